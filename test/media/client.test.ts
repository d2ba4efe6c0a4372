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

let socketPath = '';
let clock: VirtualClock;
let client: MediaClient;
let server: Server | null = null;
let control: Socket | null = null;
/** Requests that wait for an answer. */
let asked: Extract<Frame, { type: 'request' }>[] = [];

const send = (frame: Frame) => control?.write(encodeFrame(frame));

/** Greets, answers `openLeg`, and keeps the rest waiting. */
async function startWorker(): Promise<void> {
  rmSync(socketPath, { force: true });
  const listening = createServer((socket) => {
    const reader = new FrameReader();
    control = socket;
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      for (const frame of reader.push(bytes)) {
        if (frame.type !== 'request') continue;
        const { requestId, order } = frame;
        const welcome = { protocol: PROTOCOL, legsMax: 10, pid: 1, localAddress: '127.0.0.1' };
        const opened = { localAddress: '127.0.0.1', localPort: 20_000 };
        if (order.kind === 'hello') send({ type: 'answer', requestId, answer: { kind: 'welcome', value: welcome } });
        else if (order.kind === 'openLeg')
          send({ type: 'answer', requestId, answer: { kind: 'legOpened', value: opened } });
        else asked.push(frame);
      }
    });
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(socketPath, resolve));
  await until('control is connected', async () => {
    await clock.advance(RECONNECT_MS);
    return client.readyWorkers() === 1;
  });
}

beforeEach(() => {
  socketPath = workerSocket();
  clock = new VirtualClock(0, turns);
  asked = [];
  const workers = [{ socketPath, secret: new Sensitive('worker secret', 'between us') }];
  client = createMediaClient({ workers, locale: 'en-US', hangMs: HANG_MS, clock, log: silentLog });
});

afterEach(() => {
  client.close();
  control?.destroy();
  server?.close();
  server = null;
});

describe('a call that finds no worker', () => {
  it('leaves nobody listening', async () => {
    const stale: MediaEvent[] = [];
    client.listen('ca_1', (event) => stale.push(event));
    await expect(client.openLeg(LEG)).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
    await startWorker();
    await client.openLeg({ ...LEG, callId: 'ca_2', legId: 'le_2' });
    const fresh: MediaEvent[] = [];
    client.listen('ca_2', (event) => fresh.push(event));
    for (const callId of ['ca_1', 'ca_2'])
      send({ type: 'event', callId, event: { kind: 'openKey', value: { key: '1' } } });
    await until('the event of the call that stands', () => fresh.length === 1);
    expect(stale).toEqual([]);
  });
});

describe('an order that is not answered', () => {
  beforeEach(async () => {
    await startWorker();
    await client.openLeg(LEG);
  });

  it('is taken as done where the answer is late, but there before a worker that hangs is killed', async () => {
    const stopped = client.stopPlay('le_1');
    await until('the worker is asked', () => asked.length === 1);
    await clock.advance(HANG_MS);
    const requestId = asked[0]?.requestId ?? 0;
    send({ type: 'answer', requestId, answer: { kind: 'done', value: {} } });
    await expect(stopped).resolves.toBeUndefined();
  });

  it('fails as one that found no worker where that is killed, and not as one that was late', async () => {
    const stopped = expect(client.stopPlay('le_1')).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
    await until('the worker is asked', () => asked.length === 1);
    await clock.advance(HANG_MS);
    control?.destroy();
    await stopped;
  });

  it('is given up where nobody kills the worker', async () => {
    const stopped = expect(client.stopPlay('le_1')).rejects.toMatchObject({ code: 'WORKER_TIMEOUT' });
    await clock.advance(2 * HANG_MS);
    await stopped;
  });
});
