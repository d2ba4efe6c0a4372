import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MediaEvent } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { MediaClient } from '../../src/media/client.ts';
import { OfflineDecoder } from '../../src/worker/offline.ts';
import type { Worker } from '../../src/worker/process.ts';
import { clientOf, PacketPhone, plainMedia, until, workerHere, workerSocket } from '../harness/media.ts';

/*
 * A caller, an agent who hears him masked and a supervisor who hears him openly, over real RTP: who hears what while he
 * pays, and that a read-back reaches the caller alone although his phone sends back all that it plays.
 */

const PORT_FIRST = 17_600;
const PORTS = 20;
const TEST_MS_MAX = 60_000;
const DIGITS = '84253';
const WORDS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const MODEL = '/usr/share/pocketsphinx/model/en-us';
const hasSphinx = existsSync(MODEL) && spawnSync('pocketsphinx_continuous', ['-h']).error === undefined;
const hasMultimon = spawnSync('multimon-ng', ['-h']).error === undefined;

/** A phone on a leg: what came to it is kept, µ-law code by µ-law code. */
class Phone {
  readonly heard: number[] = [];
  eventsHeard = 0;
  isEchoing = false;
  #phone: PacketPhone | null = null;
  #to = 0;

  async open(legId: string): Promise<void> {
    const phone = await PacketPhone.open();
    this.#phone = phone;
    phone.socket.on('message', (packet) => {
      const type = (packet[1] ?? 0) & 0x7f;
      if (type === 101) this.eventsHeard += 1;
      if (type !== 0) return;
      const codes = packet.subarray(12);
      this.heard.push(...codes);
      if (this.isEchoing) this.say(codes);
    });
    this.#to = (await client.openLeg({ callId: 'ca_1', legId, media: plainMedia(phone.port) })).port;
  }

  say(codes: Uint8Array): void {
    this.#phone?.say(this.#to, codes);
  }

  press(key: string): void {
    this.#phone?.press(this.#to, key);
  }

  close(): void {
    this.#phone?.close();
  }
}

const caller = new Phone();
const agent = new Phone();
const supervisor = new Phone();
const events: MediaEvent[] = [];
/** What came to caller, agent and supervisor while a field was read back, and a second longer. */
const readBack: number[][] = [];
let worker: Worker;
let client: MediaClient;

const pause = (ms: number) => new Promise<void>((resolve) => systemClock.startTimer(ms, () => resolve()));

/** ITU-T G.711, µ-law. */
function linear(code: number): number {
  const inverted = ~code & 0xff;
  const magnitude = (((inverted & 0x0f) << 3) + 0x84) << ((inverted >> 4) & 7);
  return (inverted & 0x80) === 0 ? magnitude - 0x84 : 0x84 - magnitude;
}

const loudest = (codes: readonly number[]) => codes.reduce((most, code) => Math.max(most, Math.abs(linear(code))), 0);

/** What a recogniser that knows digits only makes of it. Its model hears nothing in 8 kHz, so the band is mirrored up. */
function recognized(codes: readonly number[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'hushtone-mask-'));
  const [raw, wav, grammar] = [join(folder, 'heard.raw'), join(folder, 'heard.wav'), join(folder, 'digits.gram')];
  writeFileSync(raw, Buffer.from(Int16Array.from(codes.flatMap((code) => [linear(code), 0])).buffer));
  writeFileSync(grammar, `#JSGF V1.0;\ngrammar digits;\npublic <digits> = ( ${WORDS.join(' | ')} )+;\n`);
  execFileSync('sox', ['-t', 'raw', '-r', '16000', '-c', '1', '-e', 'signed', '-b', '16', raw, wav]);
  const model = ['-hmm', join(MODEL, 'en-us'), '-dict', join(MODEL, 'cmudict-en-us.dict')];
  const options = [...model, '-jsgf', grammar, '-logfn', '/dev/null', '-infile', wav];
  return execFileSync('pocketsphinx_continuous', options).toString().replace(/\s+/g, ' ');
}

function multimon(codes: readonly number[]): number {
  const raw = join(mkdtempSync(join(tmpdir(), 'hushtone-mask-')), 'heard.raw');
  writeFileSync(raw, Buffer.from(codes));
  const from = ['-t', 'ul', '-r', '8000', '-c', '1', raw];
  const wide = execFileSync('sox', [...from, '-t', 'raw', '-b', '16', '-e', 'signed', '-r', '22050', '-']);
  const found = execFileSync('multimon-ng', ['-q', '-a', 'DTMF', '-t', 'raw', '-'], { input: wide }).toString();
  return (found.match(/DTMF/g) ?? []).length;
}

function decoded(codes: readonly number[]): number {
  const decoder = new OfflineDecoder();
  return decoder.feed(Int16Array.from(codes, linear)).length + decoder.finish().length;
}

/** Two digits that follow each other in what was read back: one alone a recogniser hears in any noise. */
const PAIRS = [...DIGITS].slice(1).map((digit, i) => `${WORDS[Number(DIGITS[i])]} ${WORDS[Number(digit)]}`);

beforeAll(async () => {
  const socketPath = workerSocket();
  worker = await workerHere(socketPath, PORT_FIRST, PORTS);
  client = await clientOf(socketPath);
  client.listen('ca_1', (event) => events.push(event));
  for (const [legId, phone] of [
    ['le_caller', caller],
    ['le_agent', agent],
    ['le_supervisor', supervisor],
  ] as const) {
    await phone.open(legId);
  }
  await client.setRoutes('ca_1', [
    { from: 'le_caller', to: 'le_agent', mode: 'masked' },
    { from: 'le_caller', to: 'le_supervisor', mode: 'open' },
    { from: 'le_agent', to: 'le_caller', mode: 'open' },
  ]);
}, TEST_MS_MAX);

afterAll(async () => {
  client?.close();
  await worker?.close();
  for (const phone of [caller, agent, supervisor]) phone.close();
});

/** A voice of 150 Hz, paced by what the caller hears: a packet for a packet. */
async function speak(ms: number): Promise<void> {
  const frame = Uint8Array.from({ length: 160 }, (_, i) =>
    Math.sin((2 * Math.PI * 150 * i) / 8000) > 0 ? 0xa0 : 0x20,
  );
  const from = caller.heard.length;
  for (let said = 0; said < ms / 20; said += 1) {
    await until(() => caller.heard.length >= from + said * 160);
    caller.say(frame);
  }
}

describe('an agent who stays on the line while the caller pays', () => {
  it(
    'hears the caller through the mask once it is proven, no key, and nobody else hears him',
    async () => {
      await client.beginPayment('ca_1', 'pa_1', 'le_caller');
      await speak(300);
      expect(loudest(agent.heard)).toBe(0);
      await expect(client.armMask('le_caller', { replace: 'noise', neutralKey: null })).resolves.toEqual({
        delayMs: 60,
      });
      const from = agent.heard.length;
      await speak(600);
      expect(loudest(agent.heard.slice(from))).toBeGreaterThan(1000);
      expect(loudest(supervisor.heard)).toBe(0);
      for (const key of '0123456789') caller.press(key);
      await until(() => events.filter((event) => event.kind === 'fieldKey').length === 10);
      expect(agent.eventsHeard + supervisor.eventsHeard).toBe(0);
      await expect(client.disarmMask('le_caller')).rejects.toMatchObject({ code: 'PAYMENT_IN_PROGRESS' });
      await client.endPayment('pa_1');
      await client.disarmMask('le_caller');
    },
    TEST_MS_MAX,
  );

  it(
    'hears nothing of a read-back, nor of its echo on the line',
    async () => {
      await client.beginPayment('ca_1', 'pa_2', 'le_caller');
      await client.armMask('le_caller', { replace: 'noise', neutralKey: null });
      await client.openField('pa_2', { field: 'postcode', lengthMin: 5, lengthMax: 5, brands: [] });
      for (const key of DIGITS) caller.press(key);
      await until(() => events.some((event) => event.kind === 'fieldEnded'));
      const from = [caller, agent, supervisor].map((phone) => phone.heard.length);
      caller.isEchoing = true;
      await client.readBack('pa_2', { playId: 'pl_1', field: 'postcode', style: 'digits', locale: 'en-US' });
      await until(() => events.some((event) => event.kind === 'playEnded' && event.playId === 'pl_1'));
      await pause(1000);
      const [toCaller = [], toAgent = [], toSupervisor = []] = [caller, agent, supervisor].map((phone, i) =>
        phone.heard.slice(from[i]),
      );
      expect(loudest(toCaller)).toBeGreaterThan(5000);
      expect(loudest(toAgent)).toBeLessThan(300);
      expect(loudest(toSupervisor)).toBe(0);
      for (const heard of [toAgent, toSupervisor]) {
        expect(decoded(heard)).toBe(0);
        if (hasMultimon) expect(multimon(heard)).toBe(0);
      }
      readBack.push(toCaller, toAgent, toSupervisor);
      await client.endPayment('pa_2');
    },
    TEST_MS_MAX,
  );

  // Needs Debian's pocketsphinx and pocketsphinx-en-us.
  it.skipIf(!hasSphinx)('has no digit on his line that a speech recogniser hears', () => {
    const [toCaller = [], toAgent = [], toSupervisor = []] = readBack;
    const found = (codes: readonly number[]) => {
      const words = recognized(codes);
      return PAIRS.filter((pair) => words.includes(pair));
    };
    expect(found(toCaller).length).toBeGreaterThan(2);
    expect(found(toAgent)).toEqual([]);
    expect(found(toSupervisor)).toEqual([]);
  });
});
