import type { Fault } from './check.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What tests and containers set from outside; it goes over the file. Anything else belongs in the file. */
export const ENVIRONMENT_KEYS = {
  HUSHTONE_VAR_DIR: ['varDir', 'text'],
  HUSHTONE_SIP_ADDRESS: ['sip.address', 'text'],
  HUSHTONE_SIP_UDP_PORT: ['sip.udpPort', 'number'],
  HUSHTONE_SIP_TCP_PORT: ['sip.tcpPort', 'number'],
  HUSHTONE_SIP_WS_PORT: ['sip.wsPort', 'number'],
  HUSHTONE_SIP_ADMIN_PORT: ['sip.adminPort', 'number'],
  HUSHTONE_RTP_ADDRESS: ['media.address', 'text'],
  HUSHTONE_RTP_PORT_FIRST: ['media.portFirst', 'number'],
  HUSHTONE_RTP_PORT_LAST: ['media.portLast', 'number'],
  HUSHTONE_WORKERS: ['media.workers', 'number'],
  HUSHTONE_HTTP_ADDRESS: ['http.address', 'text'],
  HUSHTONE_HTTP_PORT: ['http.port', 'number'],
  HUSHTONE_SANDBOX_PORT: ['sandbox.port', 'number'],
  HUSHTONE_DRAIN_MS: ['drainMs', 'number'],
  HUSHTONE_LOG_LEVEL: ['log.level', 'text'],
} as const satisfies Readonly<Record<string, readonly [key: string, kind: 'text' | 'number']>>;

/** The tree with the environment's values over it; a value that is no number is a fault that names its variable. */
export function applyEnvironment(tree: unknown, environment: Environment, faults: Fault[]): unknown {
  let result = tree;
  for (const [variable, [key, kind]] of Object.entries(ENVIRONMENT_KEYS)) {
    const text = environment[variable];
    if (text === undefined || text === '') continue;
    if (kind === 'number' && !/^\d{1,9}$/.test(text)) {
      faults.push({ path: key, message: `expected a whole number in environment variable ${variable}` });
      continue;
    }
    result = set(result, key.split('.'), kind === 'number' ? Number(text) : text);
  }
  return result;
}

function set(tree: unknown, [key, ...rest]: readonly string[], value: unknown): unknown {
  if (key === undefined) return value;
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) {
    return tree === undefined || tree === null ? { [key]: set(undefined, rest, value) } : tree;
  }
  return { ...tree, [key]: set((tree as Record<string, unknown>)[key], rest, value) };
}
