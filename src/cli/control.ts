import { parseArgs } from 'node:util';
import { readConfig } from '../config/read.ts';
import { Sensitive } from '../lib/sensitive.ts';
import { startControl } from '../main.ts';
import { createLog } from '../telemetry/log.ts';
import { WORKER_SECRET_VARIABLE, workerSocketPath } from '../worker/address.ts';
import { startBeating } from './heartbeat.ts';
import { untilSignal } from './signals.ts';

/**
 * The control process, started by the supervisor: `--config FILE --admin PORT` (of the SIP server), secrets in
 * HUSHTONE_WORKER_SECRET and HUSHTONE_SIP_SECRET. The first signal drains, the second ends at once.
 */
export async function controlCommand(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { config: { type: 'string' }, admin: { type: 'string', default: '0' } },
  });
  const secret = process.env[WORKER_SECRET_VARIABLE] ?? '';
  if (secret.length < 16) {
    process.stderr.write('control: expected HUSHTONE_WORKER_SECRET of at least 16 characters\n');
    return 2;
  }
  const config = readConfig({ file: values.config ?? null, environment: process.env, directory: process.cwd() });
  const log = createLog({ level: config.log.level, process: 'control', stream: process.stderr });
  const workers = Array.from({ length: config.media.workers }, (_, index) => ({
    socketPath: workerSocketPath(config.varDir, index),
    secret: new Sensitive('worker secret', secret),
  }));
  const { server } = config.sip;
  const sipServer =
    server.kind === 'embedded'
      ? { host: '127.0.0.1', port: Number(values.admin) || server.adminPort, secret: server.secret }
      : server;
  // Up to its first wait it reads, and brings the store up to date, which may take its time; from there on it must live,
  // though what an earlier run left may take the gateways a minute to settle.
  const starting = startControl({ config, log, workers, sipServer });
  startBeating();
  const control = await starting;
  await untilSignal();
  await Promise.race([control.stop(config.drainMs), untilSignal()]);
  return 0;
}
