import { checkRange, KEYED_AMOUNT_DIGITS_MAX, parseKeyedAmount } from '../../money/amount.ts';
import type { Flow } from '../flow.ts';
import { announce, fail, tooManyTries } from './end.ts';
import { collect } from './fields.ts';
import { ignore, LEAVE_KEYS, start, stop } from './outputs.ts';
import type { Known, Of, PaymentInput, PaymentOutput, PaymentStep, Result, Words } from './state.ts';

/** How often the caller may answer or key again, after the first time. */
const AMOUNT_RETRIES_MAX = 2;

/**
 * The amount: passed in, fetched, or keyed and confirmed.
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
 *
 *   begun: amount passed   ? passed, and the full amount is offered   # keyed by the caller   @ from a data dip
 *
 * A fetched or passed amount outside the limits ends the payment; a keyed one is asked for again.
 */
export function begin(flow: Flow, passedMinor: number | null): PaymentStep {
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

export function stepFetching(flow: Flow, state: Of<'fetching'>, input: PaymentInput): PaymentStep {
  if (input.kind === 'amountFetched') return amountGiven(flow, input.amountMinor);
  return input.kind === 'amountFailed' ? fail(state, 'DATA_DIP_FAILED') : ignore(state);
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

export function offer(balanceMinor: number, wrong: number, before: readonly PaymentOutput[]): PaymentStep {
  const words: Words[] = [
    ...(wrong > 0 ? [{ kind: 'nothingKeyed' } as const] : []),
    { kind: 'offerFullAmount', balanceMinor },
  ];
  return {
    state: { kind: 'offering', balanceMinor, wrong },
    outputs: [...before, { kind: 'openKeys', allowed: '12', lengthMax: 1 }, { kind: 'say', words, bargeIn: true }],
  };
}

export function stepOffering(flow: Flow, state: Of<'offering'>, input: PaymentInput): PaymentStep {
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

export function askAmount(
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

export function stepKeying(flow: Flow, state: Of<'keying'>, input: PaymentInput): PaymentStep {
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

export function stepSettling(flow: Flow, state: Of<'settling'>, input: PaymentInput): PaymentStep {
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
