/** A profile for tests, as the text of its file (JSON is YAML). */
export function profileText(
  changes: {
    addresses?: string[];
    callsMax?: number;
    codecs?: string[];
    dtmf?: string;
    srtp?: string;
    allow?: string[];
    sources?: string[];
    demandOn?: string[];
    signResult?: boolean;
    refer?: boolean;
    waitMs?: number;
    hosts?: string[];
    callerId?: string;
  } = {},
): string {
  return JSON.stringify({
    admit: { addresses: changes.addresses ?? ['127.0.0.0/8'], callsMax: changes.callsMax ?? 100 },
    media: {
      codecs: changes.codecs ?? ['PCMU', 'PCMA'],
      ptimeMs: 20,
      dtmf: changes.dtmf ?? 'auto',
      ...(changes.srtp === undefined ? {} : { srtp: changes.srtp }),
    },
    callerId: changes.callerId ?? 'p-asserted-identity',
    context: {
      allow: changes.allow ?? ['customer', 'amount', 'currency', 'reference', 'flow', 'identified'],
      sources: changes.sources ?? ['uri', 'header', 'user-to-user'],
    },
    ...(changes.demandOn !== undefined || changes.signResult !== undefined
      ? {
          signature: {
            secret: 'carrier',
            windowSeconds: 300,
            demandOn: changes.demandOn ?? [],
            signResult: changes.signResult ?? false,
          },
        }
      : {}),
    result: { headers: true, userToUser: true },
    transfer: { refer: changes.refer ?? true, waitMs: changes.waitMs ?? 5000, hosts: changes.hosts ?? ['127.0.0.0/8'] },
    dial: { hosts: ['127.0.0.0/8'] },
  });
}
