import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConferenceRunner } from '../../src/app/conference-runner.ts';
import { noMetrics } from '../../src/app/metrics.ts';
import type { MediaEvent } from '../../src/app/ports.ts';
import { RtpPhone } from '../../src/caller/rtp-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { writeWav } from '../../src/lib/wav.ts';
import { createMediaClient, type MediaClient } from '../../src/media/client.ts';
import type { Role } from '../../src/session/conference.ts';
import { OfflineDecoder } from '../../src/worker/offline.ts';
import { isHeard } from '../harness/heard.ts';
import { missingEars, spandspEar, tonesByMultimon } from '../harness/other-ears.ts';

/*
 * Caller, agent, a supervisor who listens masked and a recorder, on a worker of its own, over real RTP. Each says a tone of
 * its own all the time, which no rule takes for a key, so that whoever hears whom is told by levels; keys are told by ears.
 */

const PORT_FIRST = 18_600;
const SCRIPT = new URL('../worker/worker-process.ts', import.meta.url);
const SAMPLE_RATE = 8_000;
const TEST_MS_MAX = 90_000;
const TONES_MS = 80_000;
/** What has changed is there after the jitter buffer, the mask's delay and its arming; then a second is listened to. */
const SETTLE_MS = 700;
const LISTEN_MS = 1_000;
const AMPLITUDE = 3_000;
const HERTZ: Readonly<Record<string, number>> = { caller: 190, agent: 310, supervisor: 430, recorder: 530 };
const ROLES: readonly Role[] = ['caller', 'agent', 'supervisor', 'recorder'];
const OTHERS = ['agent', 'supervisor', 'recorder'] as const;
const CARD = '4242424242424242';

const secret = new Sensitive('worker secret', 'between us');
const phones = new Map<string, RtpPhone>();
const events: MediaEvent[] = [];
let socketPath = '';
let worker: ChildProcess;
let client: MediaClient;
let conference: ConferenceRunner;

const pause = (ms: number) => new Promise<void>((resolve) => systemClock.startTimer(ms, () => resolve()));

async function until(holds: () => boolean, limitMs = 20_000): Promise<void> {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > limitMs) throw new Error('it did not come');
    await pause(5);
  }
}

const start = () => fork(SCRIPT, [socketPath, String(PORT_FIRST)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });

function phone(role: string): RtpPhone {
  const found = phones.get(role);
  if (found === undefined) throw new Error(`no ${role}`);
  return found;
}

const heardBy = (role: string) => phone(role).recording().left;

function amplitudeAt(samples: Int16Array, hertz: number): number {
  let [re, im] = [0, 0];
  for (const [n, sample] of samples.entries()) {
    const phase = (2 * Math.PI * hertz * n) / SAMPLE_RATE;
    re += sample * Math.cos(phase);
    im += sample * Math.sin(phase);
  }
  return (2 * Math.hypot(re, im)) / samples.length;
}

/** Who is heard by whom, by the tones in what came within a second. */
async function matrix(): Promise<string[]> {
  await pause(SETTLE_MS + LISTEN_MS);
  return ROLES.flatMap((to) => {
    const samples = heardBy(to).slice(-(LISTEN_MS * SAMPLE_RATE) / 1000);
    return ROLES.filter((from) => amplitudeAt(samples, HERTZ[from] ?? 0) > AMPLITUDE / 3).map(
      (from) => `${from}>${to}`,
    );
  }).sort();
}

const ALL = [
  'agent>caller',
  'agent>recorder',
  'agent>supervisor',
  'caller>agent',
  'caller>recorder',
  'caller>supervisor',
];
const LISTENERS = ['caller>recorder', 'caller>supervisor'];

const able = missingEars().length === 0;
/** What each ear makes of a party's audio: ours, and those of others where they are installed. */
function keysIn(samples: Int16Array): Record<string, number> {
  const decoder = new OfflineDecoder();
  const found: Record<string, number> = { ours: decoder.feed(samples).length + decoder.finish().length };
  if (!able) return found;
  const file = join(mkdtempSync(join(tmpdir(), 'hushtone-conference-')), 'heard.wav');
  writeFileSync(file, writeWav([samples], SAMPLE_RATE));
  return { ...found, multimon: tonesByMultimon(file).length, spandsp: spandspEar()(file).trim().length };
}
const NOTHING = able ? { ours: 0, multimon: 0, spandsp: 0 } : { ours: 0 };

/** Half of the number in tones, half as events; the hash ends it. */
async function keyCard(): Promise<void> {
  const ended = () => events.filter(({ kind }) => kind === 'fieldEnded').length;
  const before = ended();
  await phone('caller').key(CARD.slice(0, 8), 'inband');
  await phone('caller').key(`${CARD.slice(8)}#`, 'event');
  await until(() => ended() > before);
}

beforeAll(async () => {
  socketPath = join(mkdtempSync(join(tmpdir(), 'hushtone-conference-')), 'worker.sock');
  worker = start();
  client = createMediaClient({
    workers: [{ socketPath, secret }],
    locale: 'en-US',
    clock: systemClock,
    log: silentLog,
  });
  await until(() => client.readyWorkers() === 1);
  conference = new ConferenceRunner({ media: client, clock: systemClock, log: silentLog, metrics: noMetrics }, 'ca_1');
  client.listen('ca_1', (event) => {
    events.push(event);
    conference.mediaEvent(event);
    if (event.kind === 'legRecreated') void conference.legRecreated().catch(() => {});
  });
  for (const role of ROLES) {
    const opened = await RtpPhone.open(systemClock);
    phones.set(role, opened);
    const local = await client.openLeg({
      callId: 'ca_1',
      legId: role,
      media: {
        remoteAddress: '127.0.0.1',
        remotePort: opened.port,
        codec: 'PCMU',
        sendPayloadType: 0,
        receivePayloadType: 0,
        sendEventPayloadType: 101,
        receiveEventPayloadType: 101,
        ptimeMs: 20,
        direction: 'sendrecv',
        dtmf: 'auto',
      },
    });
    opened.say(
      Int16Array.from({ length: (TONES_MS * SAMPLE_RATE) / 1000 }, (_, n) =>
        Math.round(AMPLITUDE * Math.sin((2 * Math.PI * (HERTZ[role] ?? 0) * n) / SAMPLE_RATE)),
      ),
    );
    opened.talkTo({ ...local, eventPayloadType: 101 });
    await conference.request({ kind: 'joined', id: role, role });
  }
}, TEST_MS_MAX);

afterAll(() => {
  client?.close();
  worker?.kill('SIGKILL');
  for (const one of phones.values()) one.close();
});

describe('four on a call with a payment', { timeout: TEST_MS_MAX }, () => {
  it('hear each other but themselves; the listeners are heard by nobody', async () => {
    expect(await matrix()).toEqual(ALL);
  });

  it('with the agent removed: the agent has music, the listeners the caller, and nobody a key', async () => {
    const from = new Map(ROLES.map((role) => [role, heardBy(role).length]));
    await conference.request({ kind: 'captureStarted', payer: 'caller', mode: 'removed' });
    await client.beginPayment('ca_1', 'pa_1', 'caller');
    expect(await matrix()).toEqual(LISTENERS);
    await client.openField('pa_1', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
    await keyCard();
    const ended = events.find((event) => event.kind === 'fieldEnded');
    expect(ended).toMatchObject({ facts: { length: 16, luhnOk: true, last4: '4242' } });
    expect(await matrix()).toEqual(LISTENERS);
    for (const role of OTHERS) {
      expect(keysIn(heardBy(role).slice(from.get(role))), role).toEqual(NOTHING);
      expect(phone(role).eventsReceived, role).toBe(0);
    }
    const toAgent = heardBy('agent').slice(from.get('agent'));
    expect(isHeard(toAgent, 'caller-is-paying')).toBe(true);
    expect(isHeard(toAgent, 'hold-music')).toBe(true);
    for (const role of ['caller', 'supervisor', 'recorder']) {
      expect(isHeard(heardBy(role).slice(from.get(role as Role)), 'hold-music'), role).toBe(false);
    }
    await client.endPayment('pa_1');
    await conference.tell({ kind: 'captureEnded' });
    expect(await matrix()).toEqual(ALL);
  });

  it('with the agent on the line: both talk, and nobody hears a key', async () => {
    const from = new Map(ROLES.map((role) => [role, heardBy(role).length]));
    await conference.request({ kind: 'captureStarted', payer: 'caller', mode: 'masked' });
    await client.beginPayment('ca_1', 'pa_2', 'caller');
    expect(await matrix()).toEqual(ALL);
    await client.openField('pa_2', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
    await keyCard();
    for (const role of OTHERS) {
      expect(keysIn(heardBy(role).slice(from.get(role))), role).toEqual(NOTHING);
      expect(phone(role).eventsReceived, role).toBe(0);
    }
  });

  it('of which the worker dies meanwhile: nobody hears what is keyed until all stands again, and then each as before', async () => {
    const from = new Map(ROLES.map((role) => [role, heardBy(role).length]));
    const gone = new Promise((resolve) => worker.once('exit', resolve));
    worker.kill('SIGKILL');
    await gone;
    worker = start();
    const recreated = () => events.filter(({ kind }) => kind === 'legRecreated').length;
    await phone('caller').key('4242', 'inband');
    await until(() => recreated() === ROLES.length, 40_000);
    await phone('caller').key('4242', 'event');
    await phone('caller').key('4242', 'inband');
    expect(await matrix()).toEqual(ALL);
    for (const role of OTHERS) {
      expect(keysIn(heardBy(role).slice(from.get(role))), role).toEqual(NOTHING);
      expect(phone(role).eventsReceived, role).toBe(0);
    }
    await client.endPayment('pa_2');
    await conference.tell({ kind: 'captureEnded' });
  });

  it('and these ears would have heard the keys: once nobody pays, all of them do', async () => {
    const from = heardBy('recorder').length;
    await pause(SETTLE_MS);
    await phone('caller').key('4242', 'inband');
    await phone('caller').key('42', 'event');
    await until(() => OTHERS.every((role) => phone(role).eventsReceived > 0));
    await pause(SETTLE_MS);
    // The mask is off, or half a second later it is: what was keyed is heard.
    expect(keysIn(heardBy('recorder').slice(from)).ours).toBe(4);
  });
});
