import { fieldsFor } from '../card/fields.ts';
import { unreachable } from '../lib/assert.ts';
import { checkRange, KEYED_AMOUNT_DIGITS_MAX, parseKeyedAmount } from '../money/amount.ts';
import { type FieldFactsSeen, type FieldInput, type FieldOutput, type FieldState, stepField } from './field.ts';
import type { FieldName, Flow } from './flow.ts';
import { leftStanding, type UndoCause, voidedResult } from './undo.ts';

/**
 * One payment, from the amount to the announcement.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   idle         begun             collecting   beginPayment, startTimer, openField, say
 *   idle         begun?            offering     beginPayment, startTimer, openKeys, say
 *   idle         begun#            keying       beginPayment, startTimer, openKeys, say
 *   idle         begun@            fetching     beginPayment, startTimer, fetchAmount
 *   fetching     amountFetched     collecting   openField, say
 *   fetching     amountFailed      announcing   stopTimer, endPayment, say, startTimer
 *   offering     keyPressed1       collecting   stopTimer, closeKeys, openField, say
 *   offering     keyPressed2       keying       stopTimer, closeKeys, openKeys, say
 *   keying       keyPressed1       keying       startTimer
 *   keying       keyPressed#       settling     stopTimer, closeKeys, openKeys, say
 *   settling     keyPressed1       collecting   stopTimer, closeKeys, openField, say
 *   settling     keyPressed2       keying       stopTimer, closeKeys, openKeys, say
 *   collecting   fieldEnded        authorizing  stopTimer, say, authorize
 *   collecting   paymentTimeOver   announcing   stopTimer, stopTimer, closeKeys, endPayment, say, startTimer
 *   collecting   legRecreated      collecting   stopTimer, beginPayment, openField, say
 *   collecting   callEnded         ended        stopTimer, stopTimer, endPayment, paymentEnded
 *   authorizing  approved          announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  declined          collecting   wipeField, wipeField, wipeField, openField, say
 *   authorizing  declined!         announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  notSent           waiting      say, startTimer
 *   authorizing  notSent!          announcing   stopTimer, endPayment, say, startTimer
 *   authorizing  unknown           resolving    startTimer, say, resolve
 *   authorizing  authorized        capturing    stopTimer, endPayment, capture
 *   authorizing  authorized~       voiding      stopTimer, endPayment, void
 *   authorizing  legRecreated      authorizing  -
 *   authorizing  callEnded         authorizing  -
 *   waiting      timerFired        authorizing  authorize
 *   waiting      callEnded         ended        stopTimer, stopTimer, endPayment, paymentEnded
 *   resolving    approved          announcing   stopTimer, stopTimer, stopTimer, endPayment, say, startTimer
 *   resolving    authorized        capturing    stopTimer, stopTimer, stopTimer, endPayment, capture
 *   resolving    notFound          authorizing  stopTimer, stopTimer, authorize
 *   resolving    unknown           resolving    startTimer
 *   resolving    timerFired        resolving    resolve
 *   resolving    holdOver          announcing   stopTimer, stopTimer, stopTimer, endPayment, attention, say, startTimer
 *   resolving    callEnded         resolving    -
 *   capturing    approved          announcing   stopTimer, stopTimer, endPayment, say, startTimer
 *   capturing    approved~         voiding      stopTimer, stopTimer, endPayment, void
 *   capturing    authorized        capturing    capture
 *   capturing    unknown           capturing    startTimer, say, startTimer
 *   capturing    notSent           capturing    startTimer, say, startTimer
 *   capturing    unknown+          capturing    startTimer
 *   capturing    timerFired        capturing    resolve
 *   capturing    declined          voiding      stopTimer, stopTimer, void
 *   capturing    holdOver          voiding      stopTimer, stopTimer, void
 *   capturing    legRecreated      capturing    -
 *   capturing    callEnded         capturing    -
 *   voiding      voided            ended        paymentEnded
 *   voiding      notVoided         ended        attention, paymentEnded
 *   voiding      voided^           announcing   say, startTimer
 *   voiding      notVoided^        announcing   attention, say, startTimer
 *   voiding      callEnded         voiding      -
 *   announcing   promptEnded       ended        stopTimer, paymentEnded
 *   announcing   timerFired        ended        stopTimer, paymentEnded
 *   announcing   legRecreated      announcing   endPayment, say, startTimer
 *   announcing   callEnded         ended        stopTimer, paymentEnded
 *
 *   begun: amount passed   ? passed, and the full amount is offered   # keyed by the caller   @ from a data dip
 *   ! the last decline, or the last try that was safe                 - nothing
 *   ~ the caller is gone, and the flow voids   ^ the caller hears that the capture failed   + not for the first time
 *
 * What the gateway is asked carries a charge number; a charge that was asked is asked again under the same number, and
 * a new one begins only after the one before was declined. A caller who is gone is remembered as `caller: 'gone'`: an
 * approved payment then stands or is voided by the flow's rule. A fetched or passed amount outside the limits ends the
 * payment; a keyed one is asked for again.
 *
 * Where the gateway authorizes and captures apart, `authorized` says that the amount is held and not taken. A capture is
 * asked again under the same number, or looked up, for as long as an unknown outcome may last; refused or still unknown
 * then, the authorization is voided, which undoes both. What ends a payment after that: captured, a void that was
 * confirmed, or a person with all that is known. The card's fields are wiped as soon as the amount is held.
 */
export interface Charge {
  /** 1 for the first; a decline makes the next. */
  readonly number: number;
  /** How often it was asked and surely not sent, or not found. */
  readonly retries: number;
  readonly caller: 'present' | 'gone';
  /** False once the worker died that held the fields: they cannot be sent again. */
  readonly fieldsHeld: boolean;
}

/** What is known once the amount is settled and the number was keyed. */
export interface Known {
  readonly amountMinor: number;
  readonly brand: string | null;
  readonly last4: string | null;
  readonly declines: number;
}

export interface Result {
  readonly result: 'approved' | 'declined' | 'abandoned' | 'failed' | 'unknown';
  readonly errorCode: PaymentErrorCode | null;
}

export type PaymentErrorCode =
  | 'GATEWAY_UNREACHABLE'
  | 'GATEWAY_OUTCOME_UNKNOWN'
  | 'GATEWAY_CAPTURE_FAILED'
  | 'DATA_DIP_FAILED'
  | 'CALL_CONTEXT_INVALID'
  | 'WORKER_UNAVAILABLE'
  | 'INTERNAL';

export type PaymentState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'fetching' }
  | { readonly kind: 'offering'; readonly balanceMinor: number; readonly wrong: number }
  | {
      readonly kind: 'keying';
      readonly keys: string;
      /** Of the balance where one was offered; the flow's maximum otherwise. */
      readonly maximumMinor: number;
      readonly wrong: number;
    }
  | { readonly kind: 'settling'; readonly amountMinor: number; readonly maximumMinor: number; readonly wrong: number }
  | { readonly kind: 'collecting'; readonly known: Known; readonly field: FieldState }
  | { readonly kind: 'authorizing'; readonly known: Known; readonly charge: Charge }
  | { readonly kind: 'waiting'; readonly known: Known; readonly charge: Charge }
  | { readonly kind: 'resolving'; readonly known: Known; readonly charge: Charge }
  | {
      readonly kind: 'capturing';
      readonly known: Known;
      readonly charge: Charge;
      /** It was not answered once: the caller has heard that it takes longer, and the hold runs. */
      readonly isSlow: boolean;
    }
  | { readonly kind: 'voiding'; readonly known: Known; readonly charge: Charge; readonly cause: UndoCause }
  | {
      readonly kind: 'announcing';
      readonly known: Known | null;
      readonly result: Result;
      /** Said once more where the worker that was saying them died. */
      readonly words: readonly Words[];
    }
  | { readonly kind: 'ended'; readonly known: Known | null; readonly result: Result };

export type TimerName = 'step' | 'payment' | 'hold';

export type PaymentInput =
  | { readonly kind: 'begun'; readonly passedMinor: number | null }
  | { readonly kind: 'amountFetched'; readonly amountMinor: number }
  | { readonly kind: 'amountFailed' }
  | { readonly kind: 'promptEnded' }
  /** Of an open collection: its value may be known. */
  | { readonly kind: 'keyPressed'; readonly key: string }
  | { readonly kind: 'fieldKeyPressed'; readonly key: 'digit' | 'star' | 'hash'; readonly complete: boolean }
  | { readonly kind: 'fieldEnded'; readonly facts: FieldFactsSeen }
  | { readonly kind: 'timerFired' }
  | { readonly kind: 'paymentTimeOver' }
  | { readonly kind: 'holdOver' }
  | { readonly kind: 'approved'; readonly reference: string | null }
  /** The amount is held and not taken. */
  | { readonly kind: 'authorized' }
  | { readonly kind: 'declined' }
  | { readonly kind: 'notSent' }
  | { readonly kind: 'notFound' }
  | { readonly kind: 'unknown' }
  /** Of a void alone: a capture that was on its way is answered meanwhile, and that says nothing of the void. */
  | { readonly kind: 'voided' }
  | { readonly kind: 'notVoided' }
  | { readonly kind: 'legRecreated' }
  /** An order could not be carried out and the payment cannot go on. */
  | { readonly kind: 'orderFailed'; readonly code: PaymentErrorCode }
  | { readonly kind: 'callEnded' };

/** What the caller hears; `session-words.ts` makes sentences of it. */
export type Words =
  | Extract<FieldOutput, { kind: 'ask' }>
  | { readonly kind: 'tellReadBack' }
  | { readonly kind: 'askConfirm' }
  | { readonly kind: 'offerFullAmount'; readonly balanceMinor: number }
  | { readonly kind: 'enterAmount' }
  | { readonly kind: 'amountWrong'; readonly limit: 'tooLow' | 'tooHigh'; readonly limitMinor: number }
  | { readonly kind: 'nothingKeyed' }
  | { readonly kind: 'confirmAmount'; readonly amountMinor: number }
  | { readonly kind: 'amountIs'; readonly amountMinor: number }
  | { readonly kind: 'pleaseWait' }
  | { readonly kind: 'stillWorking' }
  | { readonly kind: 'declined' }
  | { readonly kind: 'declinesMax' }
  /** A decline with a try left: the same card or another. */
  | { readonly kind: 'tryAgain' }
  /** Said only where it is sure. */
  | { readonly kind: 'notCharged' }
  | { readonly kind: 'interrupted' }
  | { readonly kind: 'timeOver' }
  | { readonly kind: 'tooManyTries' }
  | { readonly kind: 'approved'; readonly known: Known; readonly reference: string | null }
  | { readonly kind: 'failed'; readonly code: PaymentErrorCode };

export type PaymentOutput =
  | { readonly kind: 'beginPayment' }
  /** Wipes every field in the vault. */
  | { readonly kind: 'endPayment' }
  | { readonly kind: 'fetchAmount' }
  | { readonly kind: 'say'; readonly words: readonly Words[]; readonly bargeIn: boolean }
  | { readonly kind: 'openKeys'; readonly allowed: string; readonly lengthMax: number }
  | { readonly kind: 'closeKeys' }
  | Exclude<
      FieldOutput,
      { kind: 'ask' | 'tellReadBack' | 'askConfirm' | 'openKeys' | 'closeKeys' | 'startTimer' | 'stopTimer' }
    >
  | { readonly kind: 'startTimer'; readonly timer: TimerName; readonly ms: number }
  | { readonly kind: 'stopTimer'; readonly timer: TimerName }
  /** Persist first, then ask; the number stands for one idempotency key. */
  | { readonly kind: 'authorize'; readonly charge: number; readonly amountMinor: number }
  /** By the adapter's means: lookup, or the same request again while the vault holds the fields. */
  | { readonly kind: 'resolve'; readonly charge: number; readonly amountMinor: number; readonly fieldsHeld: boolean }
  /** Takes what is held; the same number is the same capture. */
  | { readonly kind: 'capture'; readonly charge: number; readonly amountMinor: number }
  | { readonly kind: 'void'; readonly charge: number; readonly amountMinor: number }
  /** Puts the payment before a person. */
  | { readonly kind: 'attention'; readonly text: string }
  | { readonly kind: 'paymentEnded'; readonly result: Result };

export interface PaymentStep {
  readonly state: PaymentState;
  readonly outputs: readonly PaymentOutput[];
  readonly ignored?: true;
}

/** A charge that surely was not made is asked this often again. */
export const SAFE_RETRIES_MAX = 2;
export const SAFE_RETRY_DELAY_MS = 2_000;
export const RESOLVE_DELAY_MS = 2_000;
/** The last announcement ends after this even when its end is never reported. */
export const ANNOUNCE_MS_MAX = 60_000;
const AMOUNT_RETRIES_MAX = 2;

type OpenCharge = Of<'authorizing'> | Of<'resolving'> | Of<'capturing'>;
type Of<K extends PaymentState['kind']> = Extract<PaymentState, { kind: K }>;

export function stepPayment(flow: Flow, state: PaymentState, input: PaymentInput): PaymentStep {
  const common = stepAny(flow, state, input);
  if (common !== null) return common;
  switch (state.kind) {
    case 'idle':
      return input.kind === 'begun' ? begin(flow, input.passedMinor) : ignore(state);
    case 'fetching':
      if (input.kind === 'amountFetched') return amountGiven(flow, input.amountMinor);
      return input.kind === 'amountFailed' ? fail(state, 'DATA_DIP_FAILED') : ignore(state);
    case 'offering':
      return stepOffering(flow, state, input);
    case 'keying':
      return stepKeying(flow, state, input);
    case 'settling':
      return stepSettling(flow, state, input);
    case 'collecting':
      return stepCollecting(flow, state, input);
    case 'authorizing':
      return stepAuthorizing(flow, state, input);
    case 'waiting':
      return input.kind === 'timerFired' ? authorize(state.known, state.charge, []) : ignore(state);
    case 'resolving':
      return stepResolving(flow, state, input);
    case 'capturing':
      return stepCapturing(flow, state, input);
    case 'voiding':
      return stepVoiding(state, input);
    case 'announcing':
      return input.kind === 'promptEnded' || input.kind === 'timerFired'
        ? end(state.known, state.result, [stop('step')])
        : ignore(state);
    case 'ended':
      return ignore(state);
    default:
      return unreachable(state);
  }
}

/** What ends a payment from any state in which no charge is open. */
function stepAny(flow: Flow, state: PaymentState, input: PaymentInput): PaymentStep | null {
  const known = 'known' in state ? state.known : null;
  switch (state.kind) {
    case 'fetching':
    case 'offering':
    case 'keying':
    case 'settling':
    case 'collecting':
    case 'waiting':
      break;
    case 'announcing':
      if (input.kind === 'legRecreated') return announce(known, state.result, state.words, []);
      return input.kind === 'callEnded' || input.kind === 'orderFailed'
        ? end(known, state.result, [stop('step')])
        : null;
    case 'authorizing':
    case 'resolving':
    case 'capturing':
      return stepOpenCharge(state, input);
    default:
      return null;
  }
  switch (input.kind) {
    case 'callEnded': {
      const result: Result = { result: 'abandoned', errorCode: null };
      return end(known, result, [stop('step'), stop('payment'), { kind: 'endPayment' }]);
    }
    case 'orderFailed':
      return fail(state, input.code);
    case 'paymentTimeOver': {
      const result: Result = { result: 'failed', errorCode: null };
      return announce(known, result, [{ kind: 'timeOver' }], [stop('step'), stop('payment'), { kind: 'closeKeys' }]);
    }
    case 'legRecreated':
      return restart(flow, state);
    default:
      return null;
  }
}

/** While nobody knows whether the card was charged, the caller's going and the worker's death change nothing yet. */
function stepOpenCharge(state: OpenCharge, input: PaymentInput): PaymentStep | null {
  switch (input.kind) {
    case 'callEnded':
      return { state: { ...state, charge: { ...state.charge, caller: 'gone' } }, outputs: [] };
    case 'legRecreated':
      return { state: { ...state, charge: { ...state.charge, fieldsHeld: false } }, outputs: [] };
    case 'orderFailed':
      return { state, outputs: [] };
    default:
      return null;
  }
}

// ---------------------------------------------------------------- the amount

function begin(flow: Flow, passedMinor: number | null): PaymentStep {
  const opening: PaymentOutput[] = [
    { kind: 'beginPayment' },
    { kind: 'startTimer', timer: 'payment', ms: flow.paymentMsMax },
  ];
  const { source } = flow.amount;
  if (source.kind === 'dataDip' && passedMinor === null) {
    return { state: { kind: 'fetching' }, outputs: [...opening, { kind: 'fetchAmount' }] };
  }
  if (source.kind === 'keyed' || passedMinor === null) {
    return askAmount(flow.amount.maximumMinor, 0, [], opening);
  }
  return amountGiven(flow, passedMinor, opening);
}

function amountGiven(flow: Flow, amountMinor: number, before: readonly PaymentOutput[] = []): PaymentStep {
  const { minimumMinor, maximumMinor, offerFullAmount } = flow.amount;
  const range = checkRange(amountMinor, { minimumMinor, maximumMinor });
  if (range === 'tooHigh' && offerFullAmount) return askAmount(maximumMinor, 0, [], before);
  if (range !== 'ok') {
    const words = [tooFar(range, minimumMinor, maximumMinor)];
    const result: Result = { result: 'failed', errorCode: 'CALL_CONTEXT_INVALID' };
    return announce(null, result, words, [...before, stop('payment')]);
  }
  return offerFullAmount
    ? offer(amountMinor, 0, before)
    : collect(flow, fresh(amountMinor), [amountIs(amountMinor)], before);
}

function offer(balanceMinor: number, wrong: number, before: readonly PaymentOutput[]): PaymentStep {
  const words: Words[] = [
    ...(wrong > 0 ? [{ kind: 'nothingKeyed' } as const] : []),
    { kind: 'offerFullAmount', balanceMinor },
  ];
  return {
    state: { kind: 'offering', balanceMinor, wrong },
    outputs: [...before, { kind: 'openKeys', allowed: '12', lengthMax: 1 }, { kind: 'say', words, bargeIn: true }],
  };
}

function stepOffering(flow: Flow, state: Of<'offering'>, input: PaymentInput): PaymentStep {
  const { balanceMinor } = state;
  if (input.kind === 'promptEnded') return { state, outputs: [start(flow.firstDigitTimeoutMs)] };
  if (input.kind === 'keyPressed' && input.key === '1') return collect(flow, fresh(balanceMinor), [], LEAVE_KEYS);
  if (input.kind === 'keyPressed' && input.key === '2') {
    return askAmount(Math.min(balanceMinor, flow.amount.maximumMinor), 0, [], LEAVE_KEYS);
  }
  if (input.kind !== 'timerFired') return ignore(state);
  return state.wrong >= AMOUNT_RETRIES_MAX
    ? tooManyTries(null, LEAVE_KEYS)
    : offer(balanceMinor, state.wrong + 1, LEAVE_KEYS);
}

function askAmount(
  maximumMinor: number,
  wrong: number,
  what: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  return {
    state: { kind: 'keying', keys: '', maximumMinor, wrong },
    outputs: [
      ...before,
      { kind: 'openKeys', allowed: '0123456789*#', lengthMax: KEYED_AMOUNT_DIGITS_MAX + 1 },
      { kind: 'say', words: [...what, { kind: 'enterAmount' }], bargeIn: true },
    ],
  };
}

function stepKeying(flow: Flow, state: Of<'keying'>, input: PaymentInput): PaymentStep {
  if (input.kind === 'promptEnded') return { state, outputs: [start(flow.firstDigitTimeoutMs)] };
  if (input.kind === 'timerFired') return amountKeyed(flow, state);
  if (input.kind !== 'keyPressed') return ignore(state);
  if (input.key === '#') return amountKeyed(flow, state);
  const keys = input.key === '*' ? '' : state.keys + input.key;
  if (keys.length > KEYED_AMOUNT_DIGITS_MAX) return amountKeyed(flow, { ...state, keys });
  return { state: { ...state, keys }, outputs: [start(flow.interDigitTimeoutMs)] };
}

function amountKeyed(flow: Flow, state: Of<'keying'>): PaymentStep {
  const { minimumMinor } = flow.amount;
  const amountMinor = parseKeyedAmount(state.keys);
  const limits = { minimumMinor, maximumMinor: state.maximumMinor };
  const range = amountMinor === null ? (state.keys === '' ? 'nothing' : 'tooHigh') : checkRange(amountMinor, limits);
  if (range === 'ok' && amountMinor !== null) {
    return {
      state: { kind: 'settling', amountMinor, maximumMinor: state.maximumMinor, wrong: state.wrong },
      outputs: [
        ...LEAVE_KEYS,
        { kind: 'openKeys', allowed: '12', lengthMax: 1 },
        { kind: 'say', words: [{ kind: 'confirmAmount', amountMinor }], bargeIn: true },
      ],
    };
  }
  if (state.wrong >= AMOUNT_RETRIES_MAX) return tooManyTries(null, LEAVE_KEYS);
  const what: Words =
    range === 'tooLow' || range === 'tooHigh'
      ? tooFar(range, minimumMinor, state.maximumMinor)
      : { kind: 'nothingKeyed' };
  return askAmount(state.maximumMinor, state.wrong + 1, [what], LEAVE_KEYS);
}

function stepSettling(flow: Flow, state: Of<'settling'>, input: PaymentInput): PaymentStep {
  if (input.kind === 'promptEnded') return { state, outputs: [start(flow.firstDigitTimeoutMs)] };
  if (input.kind === 'keyPressed' && input.key === '1') return collect(flow, fresh(state.amountMinor), [], LEAVE_KEYS);
  const again = input.kind === 'timerFired' || (input.kind === 'keyPressed' && input.key === '2');
  if (!again) return ignore(state);
  if (state.wrong >= AMOUNT_RETRIES_MAX) return tooManyTries(null, LEAVE_KEYS);
  return askAmount(state.maximumMinor, state.wrong + 1, [], LEAVE_KEYS);
}

const fresh = (amountMinor: number): Known => ({ amountMinor, brand: null, last4: null, declines: 0 });
const amountIs = (amountMinor: number): Words => ({ kind: 'amountIs', amountMinor });

function tooFar(limit: 'tooLow' | 'tooHigh', minimumMinor: number, maximumMinor: number): Words {
  return { kind: 'amountWrong', limit, limitMinor: limit === 'tooLow' ? minimumMinor : maximumMinor };
}

// ---------------------------------------------------------------- the fields

/** From the number on: after the amount, after a decline, and after a worker's death. */
function collect(flow: Flow, known: Known, say: readonly Words[], before: readonly PaymentOutput[]): PaymentStep {
  const cleared: Known = { ...known, brand: null, last4: null };
  return request(flow, cleared, 'pan', null, say, before);
}

function request(
  flow: Flow,
  known: Known,
  field: FieldName,
  brand: string | null,
  say: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  const step = stepField(flow, { kind: 'idle' }, { kind: 'requested', field, brand });
  return {
    state: { kind: 'collecting', known, field: step.state },
    outputs: [...before, ...step.outputs.map((o) => carry(o, say))],
  };
}

function stepCollecting(flow: Flow, state: Of<'collecting'>, input: PaymentInput): PaymentStep {
  const given = fieldInput(input);
  if (given === null) return ignore(state);
  const step = stepField(flow, state.field, given);
  if (step.ignored) return ignore(state);
  const outputs = step.outputs.map((output) => carry(output, []));
  switch (step.state.kind) {
    case 'complete': {
      const { field, found } = step.state;
      const known = field === 'pan' ? { ...state.known, brand: found.brand, last4: found.last4 } : state.known;
      const next = neighbour(flow, known, field, 1);
      if (next !== null) return request(flow, known, next, known.brand, [], outputs);
      const charge: Charge = { number: known.declines + 1, retries: 0, caller: 'present', fieldsHeld: true };
      return authorize(known, charge, [...outputs, { kind: 'say', words: [{ kind: 'pleaseWait' }], bargeIn: false }]);
    }
    case 'back': {
      const { field } = step.state;
      const previous = neighbour(flow, state.known, field, -1) ?? field;
      const wiped: PaymentOutput[] = [...outputs, { kind: 'wipeField', field: previous }];
      if (previous === 'pan') return collect(flow, state.known, [], wiped);
      return request(flow, state.known, previous, state.known.brand, [], wiped);
    }
    case 'failed':
      return tooManyTries(state.known, outputs);
    default:
      return { state: { ...state, field: step.state }, outputs };
  }
}

function neighbour(flow: Flow, known: Known, field: FieldName, by: 1 | -1): FieldName | null {
  const fields = fieldsFor(known.brand ?? '', Object.keys(flow.fields) as FieldName[]);
  const at = fields.indexOf(field) + by;
  return at < 0 ? null : (fields[at] ?? null);
}

function fieldInput(input: PaymentInput): FieldInput | null {
  switch (input.kind) {
    case 'promptEnded':
    case 'timerFired':
      return { kind: input.kind };
    case 'fieldEnded':
      return { kind: 'ended', facts: input.facts };
    case 'fieldKeyPressed':
      if (input.key === 'digit') return { kind: 'digitPressed', complete: input.complete };
      return input.key === 'star' ? { kind: 'starPressed' } : null;
    case 'keyPressed':
      if (input.key === '1') return { kind: 'onePressed' };
      return input.key === '2' ? { kind: 'twoPressed' } : null;
    default:
      return null;
  }
}

/** The field's outputs in the payment's words. */
function carry(output: FieldOutput, say: readonly Words[]): PaymentOutput {
  switch (output.kind) {
    case 'ask':
      return { kind: 'say', words: [...say, output], bargeIn: true };
    case 'tellReadBack':
      return { kind: 'say', words: [output], bargeIn: false };
    case 'askConfirm':
      return { kind: 'say', words: [output], bargeIn: true };
    case 'openKeys':
      return { kind: 'openKeys', allowed: '12', lengthMax: 1 };
    case 'startTimer':
      return start(output.ms);
    case 'stopTimer':
      return stop('step');
    default:
      return output;
  }
}

// ---------------------------------------------------------------- the gateway

function authorize(known: Known, charge: Charge, before: readonly PaymentOutput[]): PaymentStep {
  const ask: PaymentOutput = { kind: 'authorize', charge: charge.number, amountMinor: known.amountMinor };
  return { state: { kind: 'authorizing', known, charge }, outputs: [...before, ask] };
}

function stepAuthorizing(flow: Flow, state: Of<'authorizing'>, input: PaymentInput): PaymentStep {
  const { known, charge } = state;
  switch (input.kind) {
    case 'approved':
      return approved(flow, state, input.reference, [stop('payment')]);
    case 'authorized':
      return authorized(flow, state, [stop('payment')]);
    case 'declined':
      return declined(flow, state, []);
    case 'notSent':
      return notCharged(state);
    case 'unknown':
      return {
        state: { kind: 'resolving', known, charge },
        outputs: [
          { kind: 'startTimer', timer: 'hold', ms: flow.outcomeHoldMsMax },
          { kind: 'say', words: [{ kind: 'stillWorking' }], bargeIn: false },
          resolve(known, charge),
        ],
      };
    default:
      return ignore(state);
  }
}

function stepResolving(flow: Flow, state: Of<'resolving'>, input: PaymentInput): PaymentStep {
  const { known, charge } = state;
  const leave = [stop('step'), stop('hold')];
  switch (input.kind) {
    case 'approved':
      return approved(flow, state, input.reference, [...leave, stop('payment')]);
    case 'authorized':
      return authorized(flow, state, [...leave, stop('payment')]);
    case 'declined':
      return declined(flow, state, leave);
    case 'notFound':
      // Not known there, so not charged; yet it may still be on its way, so it is asked again under the same number only.
      if (charge.fieldsHeld && charge.caller === 'present' && charge.retries < SAFE_RETRIES_MAX) {
        return authorize(known, { ...charge, retries: charge.retries + 1 }, leave);
      }
      return notCharged({ ...state, charge: { ...charge, retries: SAFE_RETRIES_MAX } }, leave);
    case 'notSent':
    case 'unknown':
      return { state, outputs: [start(RESOLVE_DELAY_MS)] };
    case 'timerFired':
      return { state, outputs: [resolve(known, charge)] };
    case 'holdOver': {
      const text = `outcome of charge ${charge.number} is unknown`;
      const before: PaymentOutput[] = [...leave, stop('payment')];
      const result: Result = { result: 'unknown', errorCode: 'GATEWAY_OUTCOME_UNKNOWN' };
      const told: PaymentOutput[] = [{ kind: 'endPayment' }, { kind: 'attention', text }];
      if (charge.caller === 'gone') return end(known, result, [...before, ...told]);
      return play(known, result, [{ kind: 'failed', code: 'GATEWAY_OUTCOME_UNKNOWN' }], [...before, ...told]);
    }
    default:
      return ignore(state);
  }
}

const resolve = (known: Known, charge: Charge): PaymentOutput => ({
  kind: 'resolve',
  charge: charge.number,
  amountMinor: known.amountMinor,
  fieldsHeld: charge.fieldsHeld,
});

function approved(
  flow: Flow,
  { known, charge }: OpenCharge,
  reference: string | null,
  before: readonly PaymentOutput[],
): PaymentStep {
  const result: Result = { result: 'approved', errorCode: null };
  if (charge.caller === 'present') return announce(known, result, [{ kind: 'approved', known, reference }], before);
  if (flow.onHangUp === 'complete') return end(known, result, [...before, { kind: 'endPayment' }]);
  return undo(known, charge, 'hungUp', [...before, { kind: 'endPayment' }]);
}

/** Held: a caller who is gone where the flow voids is not charged first; for everybody else it is captured. */
function authorized(
  flow: Flow,
  { known, charge }: Of<'authorizing'> | Of<'resolving'>,
  before: readonly PaymentOutput[],
): PaymentStep {
  const wiped: PaymentOutput[] = [...before, { kind: 'endPayment' }];
  if (charge.caller === 'gone' && flow.onHangUp === 'void') return undo(known, charge, 'hungUpBeforeCapture', wiped);
  return {
    state: { kind: 'capturing', known, charge: { ...charge, fieldsHeld: false }, isSlow: false },
    outputs: [...wiped, capture(known, charge)],
  };
}

const capture = (known: Known, charge: Charge): PaymentOutput => ({
  kind: 'capture',
  charge: charge.number,
  amountMinor: known.amountMinor,
});

function stepCapturing(flow: Flow, state: Of<'capturing'>, input: PaymentInput): PaymentStep {
  const { known, charge, isSlow } = state;
  const leave = [stop('step'), stop('hold')];
  switch (input.kind) {
    case 'approved':
      return approved(flow, state, input.reference, leave);
    case 'authorized':
      // Looked up, and not captured: whatever was asked did not arrive.
      return { state, outputs: [capture(known, charge)] };
    case 'declined':
      return undo(known, charge, 'captureRefused', leave);
    case 'notSent':
    case 'notFound':
    case 'unknown': {
      const first: PaymentOutput[] = [
        { kind: 'startTimer', timer: 'hold', ms: flow.outcomeHoldMsMax },
        { kind: 'say', words: [{ kind: 'stillWorking' }], bargeIn: false },
      ];
      return { state: { ...state, isSlow: true }, outputs: [...(isSlow ? [] : first), start(RESOLVE_DELAY_MS)] };
    }
    case 'timerFired':
      return { state, outputs: [resolve(known, charge)] };
    case 'holdOver':
      return undo(known, charge, 'captureUnknown', leave);
    default:
      return ignore(state);
  }
}

function undo(known: Known, charge: Charge, cause: UndoCause, before: readonly PaymentOutput[]): PaymentStep {
  const order: PaymentOutput = { kind: 'void', charge: charge.number, amountMinor: known.amountMinor };
  return { state: { kind: 'voiding', known, charge, cause }, outputs: [...before, order] };
}

function declined(
  flow: Flow,
  { known, charge }: Of<'authorizing'> | Of<'resolving'>,
  before: readonly PaymentOutput[],
): PaymentStep {
  const counted: Known = { ...known, declines: known.declines + 1 };
  const result: Result = { result: 'declined', errorCode: null };
  if (charge.caller === 'gone') return end(counted, result, [...before, stop('payment'), { kind: 'endPayment' }]);
  if (counted.declines >= flow.declinesMax) {
    const words: Words[] = [{ kind: 'declined' }, { kind: 'declinesMax' }, { kind: 'notCharged' }];
    return announce(counted, result, words, [...before, stop('payment')]);
  }
  // After a worker's death there is no payment in the vault to go on with.
  const held: PaymentOutput[] = charge.fieldsHeld
    ? fieldsFor(known.brand ?? '', Object.keys(flow.fields) as FieldName[]).map((field) => ({
        kind: 'wipeField',
        field,
      }))
    : [{ kind: 'beginPayment' }];
  return collect(flow, counted, [{ kind: 'declined' }, { kind: 'tryAgain' }], [...before, ...held]);
}

/** Surely not charged: tried again a little later, or given up. */
function notCharged(
  { known, charge }: Of<'authorizing'> | Of<'resolving'>,
  before: readonly PaymentOutput[] = [],
): PaymentStep {
  if (charge.caller === 'gone') {
    const result: Result = { result: 'abandoned', errorCode: null };
    return end(known, result, [...before, stop('payment'), { kind: 'endPayment' }]);
  }
  if (charge.fieldsHeld && charge.retries < SAFE_RETRIES_MAX) {
    return {
      state: { kind: 'waiting', known, charge: { ...charge, retries: charge.retries + 1 } },
      outputs: [
        ...before,
        { kind: 'say', words: [{ kind: 'stillWorking' }], bargeIn: false },
        start(SAFE_RETRY_DELAY_MS),
      ],
    };
  }
  const result: Result = { result: 'failed', errorCode: 'GATEWAY_UNREACHABLE' };
  const words: Words[] = [{ kind: 'failed', code: 'GATEWAY_UNREACHABLE' }, { kind: 'notCharged' }];
  return announce(known, result, words, [...before, stop('payment')]);
}

function stepVoiding(state: Of<'voiding'>, input: PaymentInput): PaymentStep {
  switch (input.kind) {
    case 'voided':
      return undone(state, voidedResult(state.cause), []);
    case 'notVoided':
    case 'orderFailed': {
      const { result, text } = leftStanding(state.charge.number, state.cause);
      return undone(state, result, [{ kind: 'attention', text }]);
    }
    case 'callEnded':
      return { state: { ...state, charge: { ...state.charge, caller: 'gone' } }, outputs: [] };
    default:
      return ignore(state);
  }
}

function undone({ known, charge }: Of<'voiding'>, result: Result, before: readonly PaymentOutput[]): PaymentStep {
  if (charge.caller === 'gone' || result.errorCode === null) return end(known, result, before);
  return play(known, result, [{ kind: 'failed', code: result.errorCode }], before);
}

// ---------------------------------------------------------------- ends

/** Back to the first key of what was being keyed; the vault lost every field, so that is the number. */
function restart(flow: Flow, state: PaymentState): PaymentStep | null {
  const again: PaymentOutput[] = [stop('step'), { kind: 'beginPayment' }];
  const interrupted: Words = { kind: 'interrupted' };
  switch (state.kind) {
    case 'offering':
      return offer(state.balanceMinor, state.wrong, again);
    case 'keying':
    case 'settling':
      return askAmount(state.maximumMinor, state.wrong, [interrupted], again);
    case 'collecting':
      return collect(flow, state.known, [interrupted], again);
    case 'waiting':
      return collect(flow, state.known, [interrupted], again);
    case 'fetching':
      return { state, outputs: [{ kind: 'beginPayment' }] };
    default:
      return null;
  }
}

function fail(state: PaymentState, code: PaymentErrorCode): PaymentStep {
  const known = 'known' in state ? state.known : null;
  const before = [stop('payment')];
  return announce(known, { result: 'failed', errorCode: code }, [{ kind: 'failed', code }], before);
}

function tooManyTries(known: Known | null, before: readonly PaymentOutput[]): PaymentStep {
  const result: Result = { result: 'failed', errorCode: null };
  return announce(known, result, [{ kind: 'tooManyTries' }], [...before, stop('payment')]);
}

function announce(
  known: Known | null,
  result: Result,
  words: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  return play(known, result, words, [...before, { kind: 'endPayment' }]);
}

function play(
  known: Known | null,
  result: Result,
  words: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  return {
    state: { kind: 'announcing', known, result, words },
    outputs: [...before, { kind: 'say', words, bargeIn: false }, start(ANNOUNCE_MS_MAX)],
  };
}

function end(known: Known | null, result: Result, before: readonly PaymentOutput[]): PaymentStep {
  return { state: { kind: 'ended', known, result }, outputs: [...before, { kind: 'paymentEnded', result }] };
}

const LEAVE_KEYS: readonly PaymentOutput[] = [{ kind: 'stopTimer', timer: 'step' }, { kind: 'closeKeys' }];
const start = (ms: number): PaymentOutput => ({ kind: 'startTimer', timer: 'step', ms });
const stop = (timer: TimerName): PaymentOutput => ({ kind: 'stopTimer', timer });

function ignore(state: PaymentState): PaymentStep {
  return { state, outputs: [], ignored: true };
}
