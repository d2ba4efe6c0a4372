import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import type { Config } from '../config/config.ts';
import { readConfig } from '../config/read.ts';
import { systemClock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import { Sensitive } from '../lib/sensitive.ts';
import { createLog } from '../telemetry/log.ts';
import { WORKER_SECRET_VARIABLE, workerSocketPath } from '../worker/address.ts';
import { createEgress, type NativeEgress } from '../worker/egress.ts';
import { runWorker } from '../worker/process.ts';
import { startBeating } from './heartbeat.ts';

const USAGE = `usage: hushtone worker [--index N] [--config FILE] [--socket PATH]

A media worker: RTP, the digit vault and the way to the payment gateways. It is started by hushtone serve, listens on one
Unix socket for control and on no TCP port, and reads from the configuration by itself where requests may go.

  --index N                which share of the RTP ports is its own, from 0       (0)
  --config FILE            the configuration                                     (hushtone.yaml)
  --socket PATH            the Unix socket to listen on                          (worker-N.sock in varDir)
  ${WORKER_SECRET_VARIABLE}   environment: what control must say first
`;

const EXIT_OK = 0;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
/** sockaddr_un of Linux has room for so many bytes and a zero. */
const SOCKET_PATH_BYTES_MAX = 107;
const SECRET_CHARS_MIN = 16;

/** Runs until SIGINT or SIGTERM; prints one line once it can be used. */
export async function workerCommand(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      socket: { type: 'string' },
      index: { type: 'string', default: '0' },
      config: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return EXIT_OK;
  }
  const secret = process.env[WORKER_SECRET_VARIABLE] ?? '';
  delete process.env[WORKER_SECRET_VARIABLE];
  const fault = usageFault(values.index, secret);
  if (fault !== null) {
    process.stderr.write(`worker: ${fault}\n`);
    return EXIT_USAGE;
  }
  const index = Number(values.index);
  // From here on, so that a signal during the start is not lost.
  const told = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  try {
    const config = readConfig({ file: values.config ?? null, environment: process.env, directory: process.cwd() });
    const socketPath = checkedPath(values.socket ?? workerSocketPath(config.varDir, index));
    mkdirSync(dirname(socketPath), { recursive: true });
    const worker = await runWorker({
      socketPath,
      secret: new Sensitive('worker secret', secret),
      localAddress: config.media.address,
      ...portShare(config.media, index),
      legsMax: config.worker.legsMax,
      silenceMs: config.media.silenceMs,
      jitterMsMax: config.media.jitterMsMax,
      prompts: config.prompts,
      makeEgress: (engine) =>
        createEgress({
          native: engine.native as NativeEgress,
          destinations: config.worker.egress,
          clock: systemClock,
        }),
      clock: systemClock,
      log: createLog({ level: config.log.level, process: `worker ${index}`, stream: process.stderr }),
    });
    process.stdout.write(`worker ${index} on ${socketPath}\n`);
    const stopBeating = startBeating(() => worker.isMoving());
    await told;
    stopBeating();
    await worker.close();
    return EXIT_OK;
  } catch (error) {
    const text = error instanceof ServiceError || error instanceof Error ? error.message : String(error);
    process.stderr.write(`worker: ${text}\n`);
    return EXIT_FAILED;
  }
}

function checkedPath(path: string): string {
  const bytes = Buffer.byteLength(path);
  if (bytes <= SOCKET_PATH_BYTES_MAX) return path;
  const text = `expected a socket path of at most ${SOCKET_PATH_BYTES_MAX} bytes, found ${bytes}: ${path}`;
  throw new ServiceError('CONFIG_INVALID', text);
}

function usageFault(index: string, secret: string): string | null {
  if (!/^\d{1,2}$/.test(index)) return `expected --index from 0 to 63, found ${index}`;
  if (secret.length < SECRET_CHARS_MIN) {
    return `expected ${WORKER_SECRET_VARIABLE} of at least ${SECRET_CHARS_MIN} characters, found ${secret.length}`;
  }
  return null;
}

/** Equal shares, each beginning with an even port: RTP is even, RTCP the odd one above (RFC 3550 §11). */
export function portShare(
  media: Pick<Config['media'], 'portFirst' | 'portLast' | 'workers'>,
  index: number,
): { portFirst: number; portLast: number } {
  const first = media.portFirst + (media.portFirst % 2);
  const pairs = Math.floor((media.portLast - first + 1) / 2 / media.workers);
  if (index >= media.workers || pairs < 1) {
    const range = `${media.portFirst}-${media.portLast}`;
    throw new ServiceError('CONFIG_INVALID', `worker ${index} of ${media.workers} has no ports of ${range}`);
  }
  const portFirst = first + index * pairs * 2;
  return { portFirst, portLast: portFirst + pairs * 2 - 1 };
}
