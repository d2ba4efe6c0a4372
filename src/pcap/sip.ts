import { Sensitive } from '../lib/sensitive.ts';

/**
 * SIP as a capture shows it: enough to know which payload types mean what, and which keys came by INFO. Not a SIP
 * parser for calls: what it does not understand it leaves out.
 */
export interface SipMessage {
  /** Null for a response. */
  readonly method: string | null;
  readonly callId: string;
  readonly cseq: string;
  readonly from: string;
  readonly contentType: string;
  readonly body: string;
}

export interface CodecName {
  /** In capitals: `PCMU`, `PCMA`, `TELEPHONE-EVENT`. */
  readonly name: string;
  readonly clockRate: number;
}

/** One audio stream of a session description: where it is received, and under which payload types. */
export interface MediaDescription {
  /** `address:port` as in transport.ts. */
  readonly endpoint: string;
  readonly codecs: ReadonlyMap<number, CodecName>;
  readonly security: Security;
}

/** What a description says of how the media that its sender sends are protected. */
export interface Security {
  /** Nothing goes in clear: RTP/SAVP and its kin (RFC 3711 §12, RFC 5764 §8). */
  readonly isRequired: boolean;
  /** The keys are agreed on beside the media, where no capture shows them: `a=fingerprint` (RFC 5763 §5). */
  readonly isDtls: boolean;
  /** Values of `a=crypto` (RFC 4568), as they were written. */
  readonly crypto: readonly Sensitive<string>[];
}

export interface InfoKey {
  /** RFC 4733 event code, 0 to 15. */
  readonly event: number;
  /** Null where the body does not say. */
  readonly durationMs: number | null;
}

export const SIP_BYTES_MAX = 65_535;
const SDP_LINES_MAX = 1000;
/** `a=crypto` lines of one medium that are kept: twice as many suites as anybody offers. */
export const CRYPTO_MAX = 8;
const KEYS = '0123456789*#ABCD';

const START_LINE = /^(?:([A-Z]{3,16}) \S{1,4096} SIP\/2\.0|SIP\/2\.0 \d{3} .*)$/;
/** RFC 3261 §7.3.3: the short forms of header names. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  i: 'call-id',
  f: 'from',
  c: 'content-type',
  l: 'content-length',
};
/** Payload types of RFC 3551 §6 that this product can meet. */
export const STATIC_CODECS: ReadonlyMap<number, CodecName> = new Map([
  [0, { name: 'PCMU', clockRate: 8000 }],
  [3, { name: 'GSM', clockRate: 8000 }],
  [4, { name: 'G723', clockRate: 8000 }],
  [5, { name: 'DVI4', clockRate: 8000 }],
  [7, { name: 'LPC', clockRate: 8000 }],
  [8, { name: 'PCMA', clockRate: 8000 }],
  // RFC 3551 §4.5.2: sampled at 16 kHz, but its RTP clock is 8 kHz.
  [9, { name: 'G722', clockRate: 8000 }],
  [13, { name: 'CN', clockRate: 8000 }],
  [18, { name: 'G729', clockRate: 8000 }],
]);

/** Length in bytes of the first message in `bytes`; null where more is needed; -1 where this is no SIP. */
export function sipMessageLength(bytes: Buffer): number | null {
  const text = bytes.toString('latin1', 0, Math.min(bytes.length, SIP_BYTES_MAX));
  const lineEnd = text.indexOf('\r\n');
  if (lineEnd < 0) return bytes.length > 4200 ? -1 : null;
  if (!START_LINE.test(text.slice(0, lineEnd))) return -1;
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return bytes.length >= SIP_BYTES_MAX ? -1 : null;
  const stated = /\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,6})/i.exec(text.slice(0, headEnd))?.[1];
  const length = headEnd + 4 + Number(stated ?? 0);
  if (length > SIP_BYTES_MAX) return -1;
  return length <= bytes.length ? length : null;
}

/** One whole message; null for what is not SIP. */
export function parseSip(bytes: Uint8Array): SipMessage | null {
  if (bytes.length > SIP_BYTES_MAX) return null;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  const split = /\r?\n\r?\n/.exec(text);
  const lines = text.slice(0, split?.index ?? text.length).split(/\r?\n/);
  const start = START_LINE.exec(lines[0] ?? '');
  if (start === null) return null;
  const headers = new Map<string, string>();
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':');
    if (colon < 1) continue;
    const name = line.slice(0, colon).trim().toLowerCase();
    const full = SHORT_NAMES[name] ?? name;
    if (!headers.has(full)) headers.set(full, line.slice(colon + 1).trim());
  }
  return {
    method: start[1] ?? null,
    callId: headers.get('call-id') ?? '',
    cseq: headers.get('cseq') ?? '',
    from: headers.get('from') ?? '',
    contentType: (headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '',
    body: split === null ? '' : text.slice(split.index + split[0].length),
  };
}

interface Described {
  address: string;
  readonly port: number;
  readonly codecs: Map<number, CodecName>;
  readonly isRequired: boolean;
  isDtls: boolean;
  readonly crypto: Sensitive<string>[];
}

/** RFC 4566 §5: audio media with their addresses, rtpmaps, ports and keys; a port of zero is a refused stream. */
export function parseSdp(body: string): MediaDescription[] {
  const media: Described[] = [];
  const session = { address: '', isDtls: false };
  let isAudio: boolean | null = null;
  for (const line of body.split(/\r?\n/, SDP_LINES_MAX)) {
    const section = /^m=(\S+) (\d{1,5})(?:\/\d+)? (\S+)((?: \S+)*)/.exec(line);
    if (section !== null) {
      isAudio = section[1] === 'audio';
      if (isAudio) media.push(describe(section, session));
      continue;
    }
    const into = isAudio === null ? session : isAudio ? media.at(-1) : undefined;
    if (into !== undefined) readLine(line, into);
  }
  return media
    .filter(({ port }) => port > 0)
    .map(({ address, port, codecs, isRequired, isDtls, crypto }) => ({
      endpoint: endpointOf(address, port),
      codecs,
      security: { isRequired, isDtls, crypto },
    }));
}

function describe(section: RegExpExecArray, session: { address: string; isDtls: boolean }): Described {
  const types = (section[4] ?? '').trim().split(' ').map(Number);
  const codecs = new Map([...STATIC_CODECS].filter(([type]) => types.includes(type)));
  const isRequired = (section[3] ?? '').includes('SAVP');
  return { ...session, port: Number(section[2]), codecs, isRequired, crypto: [] };
}

function readLine(line: string, into: Described | { address: string; isDtls: boolean }): void {
  const connection = /^c=IN IP[46] ([^\s/]+)/.exec(line)?.[1];
  if (connection !== undefined) into.address = connection;
  else if (line.startsWith('a=fingerprint:')) into.isDtls = true;
  else if ('codecs' in into) readAttribute(line, into);
}

function readAttribute(line: string, { codecs, crypto }: Described): void {
  const rtpmap = /^a=rtpmap:(\d{1,3}) +([^\s/]+)\/(\d{1,6})/.exec(line);
  if (rtpmap !== null) {
    codecs.set(Number(rtpmap[1]), { name: rtpmap[2]?.toUpperCase() ?? '', clockRate: Number(rtpmap[3]) });
  } else if (line.startsWith('a=crypto:') && crypto.length < CRYPTO_MAX) {
    crypto.push(new Sensitive('SRTP key', line.slice('a=crypto:'.length)));
  }
}

function endpointOf(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The key of an INFO body, `application/dtmf-relay` or `application/dtmf`; null for anything else. */
export function parseInfoKey(contentType: string, body: string): InfoKey | null {
  if (contentType === 'application/dtmf') return keyOf(/^\s*([0-9*#A-Da-d]|1[0-5])\s*$/.exec(body)?.[1], null);
  if (contentType !== 'application/dtmf-relay') return null;
  const signal = /^\s*Signal\s*=\s*([0-9*#A-Da-d]|1[0-5])\s*$/im.exec(body)?.[1];
  const duration = /^\s*Duration\s*=\s*(\d{1,6})\s*$/im.exec(body)?.[1];
  return keyOf(signal, duration === undefined ? null : Number(duration));
}

/** Some senders write star and hash as 10 and 11, the event codes. */
function keyOf(signal: string | undefined, durationMs: number | null): InfoKey | null {
  if (signal === undefined) return null;
  const event = signal.length === 2 ? Number(signal) : KEYS.indexOf(signal.toUpperCase());
  return event < 0 || event >= KEYS.length ? null : { event, durationMs };
}
