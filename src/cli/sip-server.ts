import { appendFileSync, openSync } from 'node:fs';
import { systemClock } from '../lib/clock.ts';
import type { Log, LogFields } from '../lib/log.ts';
import { CounterReport } from '../sip-server/counter-report.ts';
import { runSipServer } from '../sip-server/server.ts';
import type { TlsSettings } from '../sip-server/transport/credentials.ts';
import { type Endpoint, isSecure, type Protocol } from '../sip-server/transport/flow.ts';
import { createLog } from '../telemetry/log.ts';
import { startBeating } from './heartbeat.ts';

const HELP = `hushtone sip-server: the embedded SIP server, alone, in the foreground.

Usage:
  hushtone sip-server --admin HOST:PORT --secret SECRET --sip udp:IP:PORT[,tcp:IP:PORT,ws:IP:PORT…]
      [--tls-certificate FILE --tls-key FILE [--tls-authorities FILE] [--tls-clients none|request|require]] [--log FILE]

  --admin   where applications (drachtio-srf) connect; keep it on loopback
  --secret  what applications must say; also taken from HUSHTONE_SIP_SECRET, which other users can't see
  --sip     where it listens for SIP: udp, tcp, tls, ws and wss; several, separated by commas
  --tls-…   files in PEM, for tls and wss; read again when they change. Authorities: whom we believe, as those that Node
            brings otherwise. Clients: whether who connects over tls is asked for a certificate (none), and must have one
  --log     one JSON object a line: methods, statuses and Call-IDs, never a body; without it only faults and, each
            minute in which they change and at the end, the counters are written, to standard error

Examples:
  hushtone sip-server --admin 127.0.0.1:9022 --secret cymru --sip udp:127.0.0.1:5060
  hushtone sip-server --admin 127.0.0.1:9022 --secret cymru --sip udp:0.0.0.0:5060,tcp:0.0.0.0:5060,ws:0.0.0.0:5066
  hushtone sip-server --admin 127.0.0.1:9022 --secret cymru --sip tls:0.0.0.0:5061 --tls-certificate sip.pem --tls-key sip.key
`;

interface Arguments {
  readonly admin: { host: string; port: number };
  readonly secret: string;
  readonly sip: Endpoint[];
  readonly tls?: TlsSettings;
  readonly logFile: string | undefined;
}

/** Runs until SIGINT or SIGTERM. Exit status: 0 ended, 1 could not start, 2 wrong arguments. */
export async function sipServerCommand(argv: string[]): Promise<number> {
  if (argv.includes('--help') || argv.includes('-h')) {
    process.stdout.write(HELP);
    return 0;
  }
  const given = readArguments(argv);
  if (typeof given === 'string') {
    process.stderr.write(`sip-server: ${given}\n`);
    return 2;
  }
  const ended = new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  });
  try {
    const log =
      given.logFile === undefined
        ? createLog({ level: 'info', process: 'sip-server', stream: process.stderr })
        : fileLog(given.logFile);
    const server = await runSipServer({ ...given, log });
    startBeating();
    const report = new CounterReport({ read: () => server.counters(), clock: systemClock, log });
    const where = server.sip.map(({ protocol, address, port }) => `${protocol}:${address}:${port}`).join(', ');
    process.stdout.write(`sip-server: SIP on ${where}; applications on ${given.admin.host}:${server.adminPort}\n`);
    await ended;
    report.end();
    await server.close();
    return 0;
  } catch (error) {
    process.stderr.write(`sip-server: ${explain(error)}\n`);
    return 1;
  }
}

function explain(error: unknown): string {
  const { code, address, port, message } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  const where = address === undefined ? '' : `${address}:${port} `;
  if (code === 'EADDRINUSE') return `${where}is in use by another program`;
  if (code === 'EADDRNOTAVAIL') return `${where}is not an address of this machine`;
  if (code === 'EACCES') return `${where}may not be opened by this user`;
  return message;
}

const NAMES = [
  '--admin',
  '--secret',
  '--sip',
  '--log',
  '--tls-certificate',
  '--tls-key',
  '--tls-authorities',
  '--tls-clients',
];
const CLIENTS = ['none', 'request', 'require'] as const;

function readArguments(argv: readonly string[]): Arguments | string {
  const values = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 2) {
    const name = argv[i] ?? '';
    const value = argv[i + 1];
    if (!NAMES.includes(name)) return `unknown argument ${name}; see --help`;
    if (value === undefined) return `${name} needs a value`;
    values.set(name, value);
  }
  const admin = readHostport(values.get('--admin') ?? '');
  if (admin === undefined) return '--admin must be HOST:PORT, for example 127.0.0.1:9022';
  const secret = values.get('--secret') ?? process.env.HUSHTONE_SIP_SECRET ?? '';
  if (secret === '' || secret.includes('|')) return '--secret must be given, without "|"';
  const sip: Endpoint[] = [];
  for (const item of (values.get('--sip') ?? '').split(',')) {
    const endpoint = readEndpoint(item);
    if (endpoint === undefined) return `--sip "${item}" must be udp:IP:PORT, or tcp, tls, ws, wss likewise`;
    sip.push(endpoint);
  }
  const tls = readTls(values);
  if (typeof tls === 'string') return tls;
  const secure = sip.find(({ protocol }) => isSecure(protocol));
  if (tls === undefined && secure !== undefined) return `${secure.protocol} needs --tls-certificate and --tls-key`;
  return { admin, secret, sip, ...(tls === undefined ? {} : { tls }), logFile: values.get('--log') };
}

function readTls(values: ReadonlyMap<string, string>): TlsSettings | string | undefined {
  const certificate = values.get('--tls-certificate');
  const key = values.get('--tls-key');
  const authorities = values.get('--tls-authorities');
  const asked = values.get('--tls-clients') ?? 'none';
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate === undefined || key === undefined) return '--tls-certificate and --tls-key go together';
  const clients = CLIENTS.find((one) => one === asked);
  if (clients === undefined) return `--tls-clients must be ${CLIENTS.join(', ')}`;
  return { certificate, key, ...(authorities === undefined ? {} : { authorities }), clients };
}

function readHostport(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  return match === null || port > 65_535 ? undefined : { host: match[1] ?? match[2] ?? '', port };
}

function readEndpoint(text: string): Endpoint | undefined {
  const match = /^(udp|tcp|tls|wss?):(.+)$/.exec(text);
  const hostport = readHostport(match?.[2] ?? '');
  if (match === null || hostport === undefined) return undefined;
  return { protocol: match[1] as Protocol, address: hostport.host, port: hostport.port };
}

function fileLog(path: string): Log {
  const file = openSync(path, 'a');
  const write = (level: string, bound: LogFields) => (message: string, fields?: LogFields) =>
    appendFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), level, message, ...bound, ...fields })}\n`);
  const make = (bound: LogFields): Log => ({
    debug: write('debug', bound),
    info: write('info', bound),
    warn: write('warn', bound),
    error: write('error', bound),
    child: (fields) => make({ ...bound, ...fields }),
  });
  return make({});
}
