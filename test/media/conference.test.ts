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
const TEST_MS_MAX = 120_000;
const TONES_MS = 150_000;
/** What has changed is there after the jitter buffer, the mask's delay and its arming. */
const SETTLE_MS = 700;
const LISTEN_MS = 600;
const MATRIX_MS_MAX = 15_000;
const AMPLITUDE = 1_000;
/** Between the notes of the music and their overtones. */
const HERTZ: Readonly<Record<string, number>> = { caller: 150, agent: 370, supervisor: 460, recorder: 550 };
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

/** Who is heard by whom, by the tones in the last that came. */
function matrix(): string[] {
  return ROLES.flatMap((to) => {
    const samples = heardBy(to).slice(-(LISTEN_MS * SAMPLE_RATE) / 1000);
    return ROLES.filter((from) => amplitudeAt(samples, HERTZ[from] ?? 0) > AMPLITUDE / 3).map(
      (from) => `${from}>${to}`,
    );
  }).sort();
}

/** Jitter buffers, arming and a busy machine take their time; what is heard in the end is what counts. */
async function settlesTo(expected: readonly string[]): Promise<void> {
  await pause(LISTEN_MS);
  for (let waited = 0; waited < MATRIX_MS_MAX && matrix().join() !== expected.join(); waited += LISTEN_MS / 4)
    await pause(LISTEN_MS / 4);
  expect(matrix()).toEqual(expected);
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
/** What came to each party during each capture; looked into at the end, since that takes seconds in which no phone keeps time. */
const kept: { readonly when: string; readonly role: string; readonly samples: Int16Array }[] = [];
const marks = () => new Map<string, number>(ROLES.map((role) => [role, heardBy(role).length]));
function keep(when: string, from: ReadonlyMap<string, number>): void {
  for (const role of ROLES) kept.push({ when, role, samples: heardBy(role).slice(from.get(role)) });
}
const NOTHING = able ? { ours: 0, multimon: 0, spandsp: 0 } : { ours: 0 };

/** By events, which count; and again in tones, which the worker then takes for the same keys, and other ears would not. */
async function keyCard(): Promise<void> {
  const ended = () => events.filter(({ kind }) => kind === 'fieldEnded').length;
  const before = ended();
  await phone('caller').key(`${CARD}#`, 'event');
  await until(() => ended() > before);
  await phone('caller').key(CARD.slice(0, 8), 'inband');
  await pause(SETTLE_MS);
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
    opened.say(
      Int16Array.from({ length: (TONES_MS * SAMPLE_RATE) / 1000 }, (_, n) =>
        Math.round(AMPLITUDE * Math.sin((2 * Math.PI * (HERTZ[role] ?? 0) * n) / SAMPLE_RATE)),
      ),
    );
  }
  // Making them takes a second in which no phone keeps time.
  for (const role of ROLES) {
    const opened = phone(role);
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
    await settlesTo(ALL);
  });

  it('with the agent removed: the agent has music, the listeners the caller, and nobody a key', async () => {
    const from = marks();
    await conference.request({ kind: 'captureStarted', payer: 'caller', mode: 'removed' });
    await client.beginPayment('ca_1', 'pa_1', 'caller');
    await settlesTo(LISTENERS);
    await client.openField('pa_1', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
    await keyCard();
    const ended = events.find((event) => event.kind === 'fieldEnded');
    expect(ended).toMatchObject({ facts: { length: 16, luhnOk: true, last4: '4242' } });
    await settlesTo(LISTENERS);
    keep('removed', from);
    expect(OTHERS.map((role) => phone(role).eventsReceived)).toEqual([0, 0, 0]);
    await client.endPayment('pa_1');
    await conference.tell({ kind: 'captureEnded' });
    await settlesTo(ALL);
  });

  it('with the agent on the line: both talk, and nobody hears a key', async () => {
    const from = marks();
    await conference.request({ kind: 'captureStarted', payer: 'caller', mode: 'masked' });
    await client.beginPayment('ca_1', 'pa_2', 'caller');
    await settlesTo(ALL);
    await client.openField('pa_2', { field: 'pan', lengthMin: 12, lengthMax: 19, brands: ['visa'] });
    await keyCard();
    keep('masked', from);
    expect(OTHERS.map((role) => phone(role).eventsReceived)).toEqual([0, 0, 0]);
  });

  it('of which the worker dies meanwhile: nobody hears what is keyed until all stands again, and then each as before', async () => {
    const from = marks();
    const gone = new Promise((resolve) => worker.once('exit', resolve));
    worker.kill('SIGKILL');
    await gone;
    worker = start();
    const recreated = () => events.filter(({ kind }) => kind === 'legRecreated').length;
    await phone('caller').key('4242', 'inband');
    await until(() => recreated() === ROLES.length, 40_000);
    await phone('caller').key('4242', 'event');
    await phone('caller').key('4242', 'inband');
    await settlesTo(ALL);
    keep('worker died', from);
    expect(OTHERS.map((role) => phone(role).eventsReceived)).toEqual([0, 0, 0]);
    await client.endPayment('pa_2');
    await conference.tell({ kind: 'captureEnded' });
  });

  it('and these ears would have heard the keys: once nobody pays, all of them do', async () => {
    await pause(SETTLE_MS);
    const from = marks();
    await phone('caller').key('42424242', 'inband');
    await phone('caller').key('42', 'event');
    await until(() => OTHERS.every((role) => phone(role).eventsReceived > 0));
    await pause(SETTLE_MS);
    keep('not paying', from);
  });
});

describe('what came to them', { timeout: TEST_MS_MAX }, () => {
  const of = (when: string, role: string) => kept.find((one) => one.when === when && one.role === role)?.samples;

  it.each(['removed', 'masked', 'worker died'])('holds no key for any ear (%s)', (when) => {
    for (const role of OTHERS) {
      const samples = of(when, role) ?? new Int16Array(0);
      expect(samples.length, role).toBeGreaterThan(2 * SAMPLE_RATE);
      expect(keysIn(samples), role).toEqual(NOTHING);
    }
  });

  it('holds keys for all ears when nobody pays', () => {
    for (const role of OTHERS) {
      for (const found of Object.values(keysIn(of('not paying', role) ?? new Int16Array(0))))
        expect(found, role).toBeGreaterThanOrEqual(3);
    }
  });

  it('is music for the agent who was out, and what he waits for, and nothing of it for anybody else', () => {
    const heard = (role: string, name: string) => isHeard(of('removed', role) ?? new Int16Array(0), name);
    expect(heard('agent', 'caller-is-paying')).toBe(true);
    expect(heard('agent', 'hold-music')).toBe(true);
    for (const role of ['caller', 'supervisor', 'recorder']) expect(heard(role, 'hold-music'), role).toBe(false);
  });
});
