import { isMainThread, Worker } from 'node:worker_threads';
import { loadAddon } from '../../src/worker/engine.ts';

/*
 * Opens an engine with a leg and a request under way, and ends in the middle of it, as the argument says: `exit`, `fall`
 * (nothing keeps the process alive), `throw`, `close` or `terminate` (a thread's environment is torn down).
 */
const manner = process.argv[2] ?? 'exit';

interface OpenEngine {
  openEgress(wake: () => void): void;
  openLeg(...order: unknown[]): [fault: number, leg: number, port: number];
  legOrder(which: number, request: number, leg: number, field: number): number;
  send(request: object): [fault: number, reason: string] | null;
  close(): void;
}

function open(): OpenEngine {
  const { Engine } = loadAddon();
  const brand = { name: 'visa', cvcLength: 3, precedence: 1, luhn: true, ranges: Uint32Array.of(4, 4, 1, 1 << 16) };
  const port = Number(process.argv[3] ?? 17_700);
  const engine = new Engine([brand], port, port + 9, 30_000, 200, () => {}) as unknown as OpenEngine;
  engine.openEgress(() => {});
  // With SRTP, whose library brings libraries of its own into the process.
  const media = Int32Array.of(0, 0, 0, 101, 101, 20, 1, 1, 0, 1, 0, 8000, -1, -1, 0, 0, 0);
  const keys = new Uint8Array(60).fill(1);
  const [fault, leg] = engine.openLeg(1, '127.0.0.1', 0, '', 0, media, keys);
  if (fault !== 0) throw new Error(`no leg: ${fault}`);
  for (let request = 1; request < 20; request += 1) engine.legOrder(3, request, leg, 0);
  const target = { tls: false, host: '127.0.0.1', port: 1, path: '/' };
  const rest = {
    headers: [],
    format: 0,
    body: '',
    timeoutMs: 1000,
    fields: 0,
    plainAnywhere: false,
    trust: 0,
    signer: 0,
  };
  const sent = engine.send({ id: 1, leg: 0, method: 'GET', ...target, ...rest });
  if (sent !== null) throw new Error(sent[1]);
  engine.send({ id: 2, leg, method: 'GET', ...target, host: 'localhost', ...rest });
  return engine;
}

if (!isMainThread) {
  open();
} else if (manner === 'terminate') {
  const thread = new Worker(new URL(import.meta.url), { argv: ['thread', process.argv[3] ?? ''] });
  await new Promise((resolve) => thread.once('online', resolve));
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 120));
  await thread.terminate();
} else {
  const engine = open();
  if (manner === 'exit') process.exit(0);
  if (manner === 'throw') {
    process.once('uncaughtException', () => process.exit(0));
    throw new Error('on purpose');
  }
  if (manner === 'close') {
    engine.close();
    engine.close();
  }
}
