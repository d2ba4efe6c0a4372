import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { startSandboxServer } from '../gateway/sandbox/server/server.ts';
import type { SignatureRule } from '../gateway/sandbox/server/signature.ts';
import { systemClock } from '../lib/clock.ts';
import { type Log, silentLog } from '../lib/log.ts';
import { startBeating } from './heartbeat.ts';

const USAGE = `usage: hushtone sandbox-gateway [--listen 127.0.0.1:8090] [OPTIONS]

A stateful payment gateway simulator. It approves, declines, delays, loses answers and breaks after the commit, as the
test card or the amount asks (src/gateway/README.md lists both), and refuses cards that are not test cards.

  --listen ADDRESS:PORT     where it listens; port 0 takes a free one        (127.0.0.1:8090)
  --tls-cert F --tls-key F  PEM files; HTTPS then
  --slow-ms N               how long a slow answer takes                     (3000)
  --echo                    answers with the request's body, to test scrubbing
  --sign-header NAME        the header in which every POST must be signed; the rest as a gateway's sign in hushtone.yaml
  --sign-kind K             hmac-sha256 or sha256                            (hmac-sha256)
  --sign-encoding E         hex or base64                                    (hex)
  --sign-prefix P, --sign-suffix S                                           (none)
  HUSHTONE_SANDBOX_SIGN_SECRET   environment: the secret of an hmac-sha256
  HUSHTONE_SANDBOX_KEY      environment: the key it asks for; none where unset

examples:
  npx hushtone sandbox-gateway
  npx hushtone sandbox-gateway --listen 127.0.0.1:0 --echo
`;

/** Runs until SIGINT or SIGTERM; prints one line with its address once it listens. */
export async function sandboxGatewayCommand(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      listen: { type: 'string', default: '127.0.0.1:8090' },
      'tls-cert': { type: 'string' },
      'tls-key': { type: 'string' },
      'slow-ms': { type: 'string', default: '3000' },
      echo: { type: 'boolean', default: false },
      'sign-header': { type: 'string' },
      'sign-kind': { type: 'string', default: 'hmac-sha256' },
      'sign-encoding': { type: 'string', default: 'hex' },
      'sign-prefix': { type: 'string', default: '' },
      'sign-suffix': { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const listen = /^(.+):([0-9]{1,5})$/.exec(values.listen);
  const slowMs = Number(values['slow-ms']);
  if (listen === null || !Number.isInteger(slowMs) || slowMs < 0 || slowMs > 600_000) {
    process.stderr.write('sandbox-gateway: expected --listen ADDRESS:PORT and --slow-ms from 0 to 600000\n');
    return 2;
  }
  const sign = signatureRule(values, process.env.HUSHTONE_SANDBOX_SIGN_SECRET ?? '');
  if (sign === undefined) {
    process.stderr.write(
      'sandbox-gateway: expected --sign-kind hmac-sha256 (with HUSHTONE_SANDBOX_SIGN_SECRET) or sha256, --sign-encoding hex or base64\n',
    );
    return 2;
  }
  const [cert, key] = [values['tls-cert'], values['tls-key']];
  const tls = cert && key ? { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') } : null;
  try {
    const server = await startSandboxServer({
      address: (listen[1] ?? '').replace(/^\[(.*)\]$/, '$1'),
      port: Number(listen[2]),
      tls,
      key: process.env.HUSHTONE_SANDBOX_KEY ?? null,
      sign,
      slowMs,
      echo: values.echo,
      clock: systemClock,
      log: linesOn(process.stderr),
    });
    startBeating();
    process.stdout.write(`sandbox gateway on ${tls ? 'https' : 'http'}://${listen[1]}:${server.port}\n`);
    await new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    });
    await server.close();
    return 0;
  } catch (error) {
    const inUse = (error as NodeJS.ErrnoException).code === 'EADDRINUSE';
    process.stderr.write(
      `sandbox-gateway: ${inUse ? `port ${listen[2]} on ${listen[1]} is in use` : (error as Error).message}\n`,
    );
    return 1;
  }
}

/** Null where nothing need be signed; undefined where the options make no sense. */
function signatureRule(values: Readonly<Record<string, unknown>>, secret: string): SignatureRule | null | undefined {
  const header = values['sign-header'];
  if (header === undefined) return null;
  const [kind, encoding] = [values['sign-kind'], values['sign-encoding']];
  if (kind !== 'hmac-sha256' && kind !== 'sha256') return undefined;
  if (encoding !== 'hex' && encoding !== 'base64') return undefined;
  if ((kind === 'hmac-sha256') !== (secret !== '')) return undefined;
  const [prefix, suffix] = [String(values['sign-prefix']), String(values['sign-suffix'])];
  return { header: String(header), kind, encoding, secret, prefix, suffix };
}

function linesOn(stream: NodeJS.WritableStream): Log {
  const info: Log['info'] = (message, fields) => void stream.write(`${JSON.stringify({ message, ...fields })}\n`);
  return { ...silentLog, info };
}
