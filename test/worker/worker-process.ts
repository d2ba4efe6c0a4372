import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createEgress, type NativeEgress } from '../../src/worker/egress.ts';
import type { EgressDestination } from '../../src/worker/limits.ts';
import { runWorker } from '../../src/worker/process.ts';

/* A worker as a process of its own, for tests that look into its memory: socket path, first port, destinations. */
const [socketPath = '', portFirst = '', destinations = '[]'] = process.argv.slice(2);
/** Secrets of signatures come as text. */
const wrap = (key: string, value: unknown) =>
  key === 'secret' && typeof value === 'string' ? new Sensitive('secret', value) : value;
const allowed = JSON.parse(destinations, wrap) as readonly EgressDestination[];

await runWorker({
  socketPath,
  secret: new Sensitive('worker secret', 'between us'),
  localAddress: '127.0.0.1',
  portFirst: Number(portFirst),
  portLast: Number(portFirst) + 39,
  legsMax: 100,
  silenceMs: 30_000,
  jitterMsMax: 200,
  prompts: { directory: 'prompts', overrides: null },
  makeEgress: (engine) =>
    createEgress({ native: engine.native as NativeEgress, destinations: allowed, clock: systemClock }),
  clock: systemClock,
  log: silentLog,
});
process.send?.('ready');
process.on('disconnect', () => process.exit());
