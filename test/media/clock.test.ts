import type { ChildProcess } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import { clientOf, forkWorker, kill, PacketPhone, plainMedia, workerSocket } from '../harness/media.ts';

/*
 * The media clock against the machine's own, in real time, because that is what it is about. What arrives late by chance is
 * taken out as NTP does: of each second only the packet that was delayed least counts.
 */

const PORT_FIRST = 17_860;
const TEST_MS_MAX = 60_000;
const STOP_MS = 400;
const WINDOW_MS = 1_000;
const DRIFT_MS_MAX = 10;

let worker: ChildProcess;
let client: MediaClient;
let phone: PacketPhone;
/** Arrival and RTP timestamp of each packet, in milliseconds. */
const heard: { readonly at: number; readonly timestampMs: number }[] = [];

const wait = (ms: number) => new Promise<void>((resolve) => systemClock.startTimer(ms, resolve));

/** How much later than its timestamp says the promptest packet since `from` came, against the first packet of all. */
function delayMs(from: number): number {
  const first = heard[0] ?? { at: 0, timestampMs: 0 };
  const delays = heard
    .filter((packet) => packet.at >= from && packet.at < from + WINDOW_MS)
    .map((packet) => packet.at - first.at - (packet.timestampMs - first.timestampMs));
  return Math.min(...delays);
}

beforeAll(async () => {
  const socketPath = workerSocket();
  worker = forkWorker(socketPath, PORT_FIRST);
  client = await clientOf(socketPath);
  phone = await PacketPhone.open();
  phone.socket.on('message', (packet) => {
    if (packet.length > 100) heard.push({ at: performance.now(), timestampMs: packet.readUInt32BE(4) / 8 });
  });
  await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: plainMedia(phone.port) });
}, TEST_MS_MAX);

afterAll(async () => {
  client?.close();
  phone?.close();
  if (worker !== undefined) await kill(worker);
});

describe('the media clock', () => {
  it(
    'does not drift, and streams go on in step behind a stop of the machine',
    async () => {
      await wait(4 * WINDOW_MS);
      const before = delayMs(heard[0]?.at ?? 0);
      const later = delayMs(performance.now() - WINDOW_MS);
      expect(Math.abs(later - before)).toBeLessThan(DRIFT_MS_MAX);

      worker.kill('SIGSTOP');
      await wait(STOP_MS);
      worker.kill('SIGCONT');
      await wait(WINDOW_MS);
      const from = performance.now();
      await wait(WINDOW_MS);
      expect(Math.abs(delayMs(from) - before)).toBeLessThan(DRIFT_MS_MAX);
      await client.closeLeg('le_1');
      expect(client.counters.ticksSkipped).toBeGreaterThan(0);
    },
    TEST_MS_MAX,
  );
});
