import type { ChildProcess } from 'node:child_process';
import { createSocket } from 'node:dgram';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import {
  clientOf,
  forkWorker,
  kill as killChild,
  PacketPhone,
  plainMedia,
  until,
  workerSocket,
} from '../harness/media.ts';

/* A worker is killed in the middle of its work and another takes its place; control's side of it, on real processes. */

const PORT_FIRST = 17_800;
const TEST_MS_MAX = 60_000;
/** From the new worker's first readiness to the last leg that stands again. */
const GAP_MS_MAX = 1_000;
const FRAME_MS = 20;
const MU_LAW_SILENCE = 0xff;

let socketPath = '';
let worker: ChildProcess;
let client: MediaClient;
let phone: PacketPhone;

const start = () => forkWorker(socketPath, PORT_FIRST);
const kill = () => killChild(worker);
const press = (port: number, key: string) => phone.press(port, key);
const media = () => plainMedia(phone.port);

beforeEach(async () => {
  socketPath = workerSocket();
  worker = start();
  client = await clientOf(socketPath);
  phone = await PacketPhone.open();
}, TEST_MS_MAX);

afterEach(async () => {
  client.close();
  phone.close();
  await kill();
});

describe('calls whose worker dies', () => {
  it(
    'go on at the same ports within a moment, and a field starts at its first key',
    async () => {
      const events: MediaEvent[] = [];
      client.listen('ca_1', (event) => events.push(event));
      const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media() });
      const other = await client.openLeg({ callId: 'ca_2', legId: 'le_2', media: media() });
      await client.beginPayment('ca_1', 'pa_1', 'le_1');
      await client.openField('pa_1', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
      for (const key of '42424242') press(local.port, key);
      await until(() => events.filter((event) => event.kind === 'fieldKey').length === 8);
      expect((await client.legStats('le_1')).keysByEvent).toBe(8);

      await kill();
      // Nobody waits for figures of a worker that is away, and a leg that has none yet is not taken for one that ended.
      await until(() => client.readyWorkers() === 0);
      await expect(client.legStats('le_1')).rejects.toMatchObject({ code: 'WORKER_UNAVAILABLE' });
      worker = start();
      await new Promise((resolve) => worker.once('message', resolve));
      const readyAt = systemClock.now();
      await until(() => events.some((event) => event.kind === 'legRecreated'));
      expect(systemClock.now() - readyAt).toBeLessThan(GAP_MS_MAX);
      expect(events.at(-1)).toEqual({ kind: 'legRecreated', legId: 'le_1' });

      await client.openField('pa_1', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
      for (const key of '5555555555554444') press(local.port, key);
      await until(() => events.some((event) => event.kind === 'fieldEnded'));
      expect(events.at(-1)).toMatchObject({ by: 'full', facts: { last4: '4444', brands: ['mastercard'] } });
      expect((await client.legStats('le_1')).keysByEvent).toBe(16);
      const stats = await client.closeLeg('le_2');
      expect(stats.packetsReceived).toBe(0);
      expect(other.port).not.toBe(local.port);
      expect(client.counters).toMatchObject({ workersLost: 1, legsRecreated: 2, legsLost: 0 });
    },
    TEST_MS_MAX,
  );

  it(
    'keep a masked listener deaf to the payer until the mask is proven again',
    async () => {
      const agent = createSocket('udp4');
      await new Promise<void>((resolve) => agent.bind(0, '127.0.0.1', resolve));
      const heard: { at: number; loud: boolean }[] = [];
      agent.on('message', (packet) => {
        if ((packet[1] ?? 0) === 101 || packet.length !== 172) return;
        heard.push({ at: systemClock.now(), loud: packet.subarray(12).some((code) => (code & 0x7f) < 0x40) });
      });
      const events: MediaEvent[] = [];
      client.listen('ca_1', (event) => events.push(event));
      const local = await client.openLeg({ callId: 'ca_1', legId: 'le_payer', media: media() });
      const remotePort = (agent.address() as AddressInfo).port;
      await client.openLeg({ callId: 'ca_1', legId: 'le_agent', media: { ...media(), remotePort } });
      await client.setRoutes('ca_1', [{ from: 'le_payer', to: 'le_agent', mode: 'masked' }]);
      await client.beginPayment('ca_1', 'pa_1', 'le_payer');
      await client.armMask('le_payer', { replace: 'silence', neutralKey: null });
      let isSpeaking = true;
      const speakOn = () => {
        if (!isSpeaking) return;
        phone.speak(local.port);
        systemClock.startTimer(20, speakOn);
      };
      speakOn();
      try {
        await until(() => heard.some((one) => one.loud));
        await kill();
        const killedAt = systemClock.now();
        worker = start();
        await until(() => events.filter((event) => event.kind === 'legRecreated').length === 2);
        const standsAt = systemClock.now();
        await until(() => heard.some((one) => one.loud && one.at > standsAt));
        const first = heard.find((one) => one.loud && one.at > standsAt);
        // The proof alone takes half a second; until it is through, what he hears is silence and not the payer.
        expect((first?.at ?? 0) - standsAt).toBeGreaterThan(300);
        expect(heard.filter((one) => one.at > standsAt && !one.loud).length).toBeGreaterThan(10);
        expect(heard.filter((one) => one.loud && one.at > killedAt && one.at < standsAt)).toEqual([]);
      } finally {
        isSpeaking = false;
        agent.close();
      }
    },
    TEST_MS_MAX,
  );

  it(
    'keep their ports although new calls come at once',
    async () => {
      const legs = Array.from({ length: 8 }, (_, i) => ({ callId: `ca_${i}`, legId: `le_${i}` }));
      const before = new Set<number>();
      for (const leg of legs) before.add((await client.openLeg({ ...leg, media: media() })).port);
      await kill();
      worker = start();
      await until(() => client.readyWorkers() === 1);
      const fresh = await client.openLeg({ callId: 'ca_new', legId: 'le_new', media: media() });
      expect(before.has(fresh.port)).toBe(false);
      expect(client.counters).toMatchObject({ legsRecreated: 8, legsLost: 0 });
    },
    TEST_MS_MAX,
  );

  it(
    'are heard by nobody while a card is keyed, and again when the payment is over',
    async () => {
      const payer = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media() });
      const agent = createSocket('udp4');
      await new Promise<void>((resolve) => agent.bind(0, '127.0.0.1', resolve));
      const { port } = agent.address() as AddressInfo;
      await client.openLeg({ callId: 'ca_1', legId: 'le_2', media: { ...media(), remotePort: port } });
      await client.setRoutes('ca_1', [{ from: 'le_1', to: 'le_2', mode: 'open' }]);
      const heard = { packets: 0, loud: 0 };
      agent.on('message', (packet) => {
        heard.packets += 1;
        if (packet.subarray(12).some((code) => code !== MU_LAW_SILENCE)) heard.loud += 1;
      });
      const speaking = setInterval(() => phone.speak(payer.port), FRAME_MS);
      try {
        await until(() => heard.loud > 5);
        await client.beginPayment('ca_1', 'pa_1', 'le_1');
        await kill();
        Object.assign(heard, { packets: 0, loud: 0 });
        worker = start();
        await until(() => heard.packets > 25);
        expect(heard.loud).toBe(0);
        await client.endPayment('pa_1');
        await until(() => heard.loud > 5);
      } finally {
        clearInterval(speaking);
        agent.close();
      }
    },
    TEST_MS_MAX,
  );

  it(
    'outlive a second worker that dies while it makes them again',
    async () => {
      const events: MediaEvent[] = [];
      const legs = Array.from({ length: 8 }, (_, i) => ({ callId: `ca_${i}`, legId: `le_${i}` }));
      for (const leg of legs) {
        client.listen(leg.callId, (event) => events.push(event));
        await client.openLeg({ ...leg, media: media() });
      }
      await kill();
      worker = start();
      await until(() => client.counters.legsRecreated > 0);
      await kill();
      worker = start();
      await until(() => legs.every(({ legId }) => events.some((e) => e.kind === 'legRecreated' && e.legId === legId)));
      await until(() => client.readyWorkers() === 1);
      await expect(client.openLeg({ callId: 'ca_new', legId: 'le_new', media: media() })).resolves.toBeDefined();
      expect(client.counters.legsLost).toBe(0);
    },
    TEST_MS_MAX,
  );

  it(
    'are told when a leg cannot be made again, because its port was taken',
    async () => {
      const events: MediaEvent[] = [];
      client.listen('ca_1', (event) => events.push(event));
      const local = await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media() });
      await kill();
      const thief = createSocket('udp4');
      await new Promise<void>((resolve) => thief.bind(local.port, '127.0.0.1', resolve));
      worker = start();
      await until(() => events.some((event) => event.kind === 'legLost'));
      thief.close();
      await expect(client.stopPlay('le_1')).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
      await expect(client.openLeg({ callId: 'ca_2', legId: 'le_2', media: media() })).resolves.toBeDefined();
    },
    TEST_MS_MAX,
  );

  it(
    'have a request to a gateway called unknown',
    async () => {
      await client.openLeg({ callId: 'ca_1', legId: 'le_1', media: media() });
      await client.beginPayment('ca_1', 'pa_1', 'le_1');
      await kill();
      const sent = client.send('pa_1', {
        method: 'GET',
        url: 'http://127.0.0.1:1/',
        headers: {},
        body: null,
        timeoutMs: 500,
      });
      await expect(sent).resolves.toMatchObject({ kind: expect.stringMatching(/notSent|noAnswer/) });
      await expect(client.openLeg({ callId: 'ca_3', legId: 'le_3', media: null })).rejects.toMatchObject({
        code: 'WORKER_UNAVAILABLE',
      });
    },
    TEST_MS_MAX,
  );
});
