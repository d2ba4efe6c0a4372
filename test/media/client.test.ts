import { rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/app/ports.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createMediaClient, type MediaClient } from '../../src/media/client.ts';
import { encodeFrame, type Frame, FrameReader, PROTOCOL } from '../../src/worker/wire.ts';
import { turns, VirtualClock } from '../harness/clock.ts';
import { workerSocket } from '../harness/media.ts';
import { until } from '../harness/until.ts';

/* Control's client against a worker on paper, which speaks the protocol and answers when the test says so. */

const HANG_MS = 10_000;
const RECONNECT_MS = 100;
const LEG = { callId: 'ca_1', legId: 'le_1', media: null };

/** Greets, answers `openLeg`, and keeps what else it is asked. */
class PaperWorker {
  readonly socketPath = workerSocket();
  /** Requests that wait for an answer. */
  readonly asked: Extract<Frame, { type: 'request' }>[] = [];
  legs = 0;
  #server: Server | null = null;
  #control: Socket | null = null;

  async start(): Promise<void> {
    rmSync(this.socketPath, { force: true });
    const server = createServer((socket) => {
      const reader = new FrameReader();
      this.#control = socket;
      socket.on('error', () => {});
      socket.on('data', (bytes) => {
        for (const frame of reader.push(bytes)) if (frame.type === 'request') this.#take(frame);
      });
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.socketPath, resolve));
  }

  send(frame: Frame): void {
    this.#control?.write(encodeFrame(frame));
  }

  hangUp(): void {
    this.#control?.destroy();
  }

  close(): void {
    this.hangUp();
    this.#server?.close();
  }

  #take(frame: Extract<Frame, { type: 'request' }>): void {
    const { requestId, order } = frame;
    if (order.kind === 'hello') {
      const value = { protocol: PROTOCOL, legsMax: 10, pid: 1, localAddress: '127.0.0.1' };
      this.send({ type: 'answer', requestId, answer: { kind: 'welcome', value } });
    } else if (order.kind === 'openLeg') {
      this.legs += 1;
      const value = { localAddress: '127.0.0.1', localPort: 20_000 };
      this.send({ type: 'answer', requestId, answer: { kind: 'legOpened', value } });
    } else this.asked.push(frame);
  }
}

let clock: VirtualClock;
let client: MediaClient;
let workers: [PaperWorker, PaperWorker];

async function connected(count: number): Promise<void> {
  await until('control is connected', async () => {
    await clock.advance(RECONNECT_MS);
    return client.readyWorkers() === count;
  });
}

beforeEach(() => {
  workers = [new PaperWorker(), new PaperWorker()];
  clock = new VirtualClock(0, turns);
  const secret = new Sensitive('worker secret', 'between us');
  const addresses = workers.map(({ socketPath }) => ({ socketPath, secret }));
  client = createMediaClient({ workers: addresses, locale: 'en-US', hangMs: HANG_MS, clock, log: silentLog });
});

afterEach(() => {
  client.close();
  for (const worker of workers) worker.close();
});

describe('a call that finds no worker', () => {
  it('leaves nobody listening', async () => {
    const stale: MediaEvent[] = [];
    client.listen('ca_1', (event) => stale.push(event));
    await expect(client.openLeg(LEG)).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
    await workers[0].start();
    await connected(1);
    await client.openLeg({ ...LEG, callId: 'ca_2', legId: 'le_2' });
    const fresh: MediaEvent[] = [];
    client.listen('ca_2', (event) => fresh.push(event));
    for (const callId of ['ca_1', 'ca_2'])
      workers[0].send({ type: 'event', callId, event: { kind: 'openKey', value: { key: '1' } } });
    await until('the event of the call that stands', () => fresh.length === 1);
    expect(stale).toEqual([]);
  });
});

describe('an order that is not answered', () => {
  let worker: PaperWorker;

  beforeEach(async () => {
    [worker] = workers;
    await worker.start();
    await connected(1);
    await client.openLeg(LEG);
  });

  it('is taken as done where the answer is late, but there before a worker that hangs is killed', async () => {
    const stopped = client.stopPlay('le_1');
    await until('the worker is asked', () => worker.asked.length === 1);
    await clock.advance(HANG_MS);
    const requestId = worker.asked[0]?.requestId ?? 0;
    worker.send({ type: 'answer', requestId, answer: { kind: 'done', value: {} } });
    await expect(stopped).resolves.toBeUndefined();
  });

  it('fails as one that found no worker where that is killed, and not as one that was late', async () => {
    const stopped = expect(client.stopPlay('le_1')).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
    await until('the worker is asked', () => worker.asked.length === 1);
    await clock.advance(HANG_MS);
    worker.hangUp();
    await stopped;
  });

  it('is given up where nobody kills the worker', async () => {
    const stopped = expect(client.stopPlay('le_1')).rejects.toMatchObject({ code: 'WORKER_TIMEOUT' });
    await clock.advance(2 * HANG_MS);
    await stopped;
  });
});

describe('a worker that owes an answer', () => {
  it('gets no new call while another stands, and is the least loaded again once it has spoken', async () => {
    const [quick, other] = workers;
    await quick.start();
    await other.start();
    await connected(2);
    const open = (name: string) => client.openLeg({ callId: `ca_${name}`, legId: `le_${name}`, media: null });
    await open('1');
    await open('2');
    await open('3');
    expect([quick.legs, other.legs]).toEqual([2, 1]);
    const stopped = client.stopPlay('le_2');
    await until('the other is asked', () => other.asked.length === 1);
    await clock.advance(1_000);
    await open('4');
    expect([quick.legs, other.legs]).toEqual([3, 1]);
    other.send({ type: 'answer', requestId: other.asked[0]?.requestId ?? 0, answer: { kind: 'done', value: {} } });
    await stopped;
    await open('5');
    expect([quick.legs, other.legs]).toEqual([3, 2]);
  });

  it('is not called silent for a gateway that thinks', async () => {
    const [first, second] = workers;
    await first.start();
    await second.start();
    await connected(2);
    const request = { method: 'GET', url: 'http://127.0.0.1/', headers: {}, body: null, timeoutMs: 5_000 } as const;
    const sent = client.send(null, request);
    await until('it is asked', () => first.asked.length === 1);
    await clock.advance(1_000);
    await client.openLeg(LEG);
    expect([first.legs, second.legs]).toEqual([1, 0]);
    await clock.advance(10_000);
    await expect(sent).resolves.toMatchObject({ kind: 'noAnswer' });
  });
});
