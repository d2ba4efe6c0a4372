import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PhoneCall, placeCall } from '../../caller/sip-phone.ts';
import { fieldsFor } from '../../card/fields.ts';
import type { Clock } from '../../lib/clock.ts';
import { writeWav } from '../../lib/wav.ts';
import type { FieldName, Flow } from '../../session/flow.ts';
import type { Api } from './events.ts';
import { CallRecords, fieldWords, isWorthALine, tellEvent, tellProgress } from './records.ts';
import type { Entry, TimeLine } from './time-line.ts';

/*
 * The three calls: what each caller keys, how each must end, and the calling itself. A caller acts on what it hears:
 * speech, then silence. Only whether a card was declined is taken from the records, because it understands no words.
 */

/** A pause inside a prompt is shorter; a person waits about so long. */
const QUIET_MS = 900;
const PROMPT_MS_MAX = 45_000;
const SETTLED_MS_MAX = 30_000;
const END_MS_MAX = 60_000;
const ANSWERED = 200;
const RECORDING_RATE = 8_000;

/** A published test card; no issuer gives its number to anybody. */
interface Card {
  readonly pan: string;
  readonly brand: string;
}

export interface Story {
  readonly name: string;
  readonly title: string;
  readonly cards: readonly Card[];
  /** Digits of the first card after which the caller hangs up. */
  readonly hangsUpAfter: number | null;
  readonly keyStyle: 'event' | 'inband';
  readonly expected: Expected;
}

export interface Expected {
  readonly result: 'approved' | 'abandoned';
  readonly attempts: readonly string[];
  readonly declines: number;
  readonly brand: string | null;
  readonly last4: string | null;
  /** Whether the server hangs up, with the result in its BYE. */
  readonly bye: boolean;
}

const VISA: Card = { pan: '4242424242424242', brand: 'visa' };
const POOR_VISA: Card = { pan: '4000000000009995', brand: 'visa' };
const MASTERCARD: Card = { pan: '5555555555554444', brand: 'mastercard' };

export const STORIES: readonly Story[] = [
  {
    name: 'approved',
    title: 'pays with a card that is approved',
    cards: [VISA],
    hangsUpAfter: null,
    keyStyle: 'event',
    expected: { result: 'approved', attempts: ['approved'], declines: 0, brand: 'visa', last4: '4242', bye: true },
  },
  {
    name: 'declined',
    title: 'is declined, and pays with another card',
    cards: [POOR_VISA, MASTERCARD],
    hangsUpAfter: null,
    keyStyle: 'event',
    expected: {
      result: 'approved',
      attempts: ['declined', 'approved'],
      declines: 1,
      brand: 'mastercard',
      last4: '4444',
      bye: true,
    },
  },
  {
    name: 'abandoned',
    title: 'hangs up in the middle of the card number',
    cards: [VISA],
    hangsUpAfter: 8,
    keyStyle: 'event',
    expected: { result: 'abandoned', attempts: [], declines: 0, brand: null, last4: null, bye: false },
  },
];

const FIELD_KEYS: Readonly<Record<Exclude<FieldName, 'pan'>, string>> = {
  expiry: '1230',
  cvc: '123',
  postcode: '12345#',
  startDate: '0124',
  issueNumber: '1#',
};

/** What a caller keys for one field, and whether it is read back and confirmed. */
export interface Step {
  readonly field: FieldName;
  readonly keys: string;
  readonly confirm: boolean;
}

export function stepsOf(flow: Pick<Flow, 'fields' | 'readBackCvc'>, card: Card): readonly Step[] {
  return fieldsFor(card.brand, Object.keys(flow.fields) as FieldName[]).map((field) => ({
    field,
    keys: field === 'pan' ? `${card.pan}#` : FIELD_KEYS[field],
    confirm: (flow.fields[field]?.confirm ?? false) && (field !== 'cvc' || flow.readBackCvc),
  }));
}

/** What a record and a BYE say, as far as a story expects something of it. */
export interface Found {
  readonly result: string | null;
  readonly attempts: readonly string[];
  readonly declines: number | null;
  readonly brand: string | null;
  readonly last4: string | null;
  /** X-Hushtone-Result of the BYE. */
  readonly byeResult: string | null;
}

/** One line for each thing that is not as expected. */
export function faultsOf(expected: Expected, found: Found): readonly string[] {
  const faults: string[] = [];
  const expect = (what: string, wanted: unknown, got: unknown) => {
    const [one, other] = [JSON.stringify(wanted), JSON.stringify(got)];
    if (one !== other) faults.push(`${what}: expected ${one}, found ${other}`);
  };
  expect('result', expected.result, found.result);
  expect('attempts', expected.attempts, found.attempts);
  expect('declines', expected.declines, found.declines);
  expect('brand', expected.brand, found.brand);
  expect('last4', expected.last4, found.last4);
  expect('X-Hushtone-Result of the BYE', expected.bye ? expected.result : null, found.byeResult);
  return faults;
}

export interface CallOrder {
  readonly story: Story;
  readonly flow: Flow;
  readonly api: Api;
  /** `ws://127.0.0.1:5066`. */
  readonly wsUrl: string;
  readonly amountMinor: number;
  /** By which the call is found in the records. */
  readonly customer: string;
  readonly folder: string;
  readonly clock: Clock;
  readonly timeLine: TimeLine;
  readonly isTerminal: boolean;
  /** Settles when the caller must hang up at once. */
  readonly interrupted: Promise<null>;
}

export interface CallReport {
  readonly story: Story;
  readonly found: Found;
  readonly faults: readonly string[];
  readonly recording: string | null;
}

/** Places one call and follows it to its end. Never throws: what went wrong is a fault in the report. */
export async function runCall(order: CallOrder): Promise<CallReport> {
  const { story, api, customer, clock, timeLine } = order;
  const tell = (entry: Pick<Entry, 'who' | 'text' | 'tone' | 'growth'> & { at?: number }) =>
    timeLine.add({ at: clock.now(), call: story.name, ...entry });
  const records = new CallRecords(api, customer, clock, {
    event: (event, payment) => {
      const told = tellEvent(event, payment);
      if (told !== null) tell({ ...told, at: Date.parse(event.at) });
    },
    progress: (progress) => {
      if (order.isTerminal || isWorthALine(progress)) tell({ ...tellProgress(progress), at: Date.parse(progress.at) });
    },
  });
  const followed = records.follow();
  const faults: string[] = [];
  let call: PhoneCall | null = null;
  try {
    call = await dial(order, tell);
    await carryOut(order, call, records, tell);
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
    await call?.hangUp().catch(() => {});
  }
  // The record of the end follows the BYE by a moment.
  const timer = clock.startTimer(SETTLED_MS_MAX, () => records.stop());
  if (call === null) records.stop();
  await followed;
  timer.cancel();
  if (records.fault !== null) faults.push(records.fault);
  const { payment } = records;
  const found: Found = {
    result: payment?.result ?? null,
    attempts: payment?.attempts.map(({ state }) => state) ?? [],
    declines: payment?.declines ?? null,
    brand: payment?.brand ?? null,
    last4: payment?.last4 ?? null,
    byeResult: call?.byeHeaders()['x-hushtone-result'] ?? null,
  };
  const recording = call === null ? null : keepRecording(order, call);
  return { story, found, faults: [...faults, ...faultsOf(story.expected, found)], recording };
}

type Tell = (entry: Pick<Entry, 'who' | 'text' | 'tone'>) => void;

async function dial(order: CallOrder, tell: Tell): Promise<PhoneCall> {
  const { story, flow, wsUrl, amountMinor, customer, clock } = order;
  const headers = {
    'X-Hushtone-Customer': customer,
    'X-Hushtone-Amount': String(amountMinor),
    'X-Hushtone-Flow': flow.name,
  };
  tell({ who: 'caller', text: `dials sip:pay@${new URL(wsUrl).hostname}; this caller ${story.title}` });
  const call = await placeCall({ server: wsUrl, uri: `sip:pay@${new URL(wsUrl).hostname}`, headers }, clock);
  const status = await call.answered.catch(async (error: unknown) => {
    await call.hangUp();
    throw error;
  });
  if (status !== ANSWERED) throw new Error(`the call was refused with ${status}`);
  tell({ who: 'caller', text: 'is answered' });
  return call;
}

async function carryOut(order: CallOrder, call: PhoneCall, records: CallRecords, tell: Tell): Promise<void> {
  const { story, flow, clock, interrupted } = order;
  const ended = Promise.race([
    call.ended.then(() => 'ended' as const),
    interrupted.then(() => Promise.reject(new Error('interrupted'))),
  ]);
  // It may come while keys are pressed, when nobody waits for it; whoever waits next is told.
  ended.catch(() => {});
  const hear = async (what: string) => {
    const heard = await Promise.race([listen(call, clock), ended]);
    if (heard === 'ended') throw new Error(`the call ended before ${what}`);
    if (heard === null) throw new Error(`no prompt within ${PROMPT_MS_MAX / 1000} s: ${what}`);
    tell({ who: 'caller', text: `hears ${what} (${(heard / 1000).toFixed(1)} s)` });
  };
  for (const [number, card] of story.cards.entries()) {
    for (const { field, keys, confirm } of stepsOf(flow, card)) {
      const words = fieldWords(field);
      const before = number > 0 && field === 'pan' ? 'that the card was declined, and ' : '';
      await hear(`${before}the question for the ${words}`);
      const pressed = field === 'pan' && story.hangsUpAfter !== null ? keys.slice(0, story.hangsUpAfter) : keys;
      tell({ who: 'caller', text: `keys the ${words}` });
      await call.media.key(pressed, story.keyStyle);
      if (pressed !== keys) {
        tell({ who: 'caller', text: 'hangs up' });
        await call.hangUp();
        return;
      }
      if (!confirm) continue;
      await hear(`the ${words} read back, and the question whether it is right`);
      tell({ who: 'caller', text: 'keys 1: it is right' });
      await call.media.key('1', story.keyStyle);
    }
    const settled = records.until(
      ({ state, declines }) => declines > number || state === 'announcing' || state === 'ended',
      SETTLED_MS_MAX,
    );
    if ((await Promise.race([settled, ended])) === false)
      throw new Error(`no outcome within ${SETTLED_MS_MAX / 1000} s`);
    // Being asked to wait is not the answer.
    call.media.forgetPrompts();
  }
  const late = Promise.withResolvers<'late'>();
  const timer = clock.startTimer(END_MS_MAX, () => late.resolve('late'));
  const left = await Promise.race([ended, late.promise]).finally(() => timer.cancel());
  if (left === 'late') throw new Error(`the server did not hang up within ${END_MS_MAX / 1000} s`);
  const result = call.byeHeaders()['x-hushtone-result'] ?? 'nothing';
  tell({ who: 'server', text: `hangs up; its BYE says X-Hushtone-Result: ${result}` });
}

/** How long a prompt was heard, in milliseconds; null where none came. */
async function listen({ media }: PhoneCall, clock: Clock): Promise<number | null> {
  if (!(await media.promptBegins(PROMPT_MS_MAX))) return null;
  const begunAt = clock.now();
  return (await media.promptEnds(QUIET_MS, PROMPT_MS_MAX)) ? clock.now() - begunAt - QUIET_MS : null;
}

function keepRecording({ story, folder }: CallOrder, { media }: PhoneCall): string {
  const { left, right } = media.recording();
  const length = Math.min(left.length, right.length);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${story.name}.wav`);
  writeFileSync(file, writeWav([left.subarray(0, length), right.subarray(0, length)], RECORDING_RATE), { mode: 0o600 });
  return file;
}
