import { ignore, start, stop } from './outputs.ts';
import type {
  Known,
  Of,
  PaymentErrorCode,
  PaymentInput,
  PaymentOutput,
  PaymentState,
  PaymentStep,
  Result,
  Words,
} from './state.ts';

/** The last announcement ends after this even when its end is never reported. */
export const ANNOUNCE_MS_MAX = 60_000;

/**
 * The end: the caller hears how it ended.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   announcing   promptEnded       ended        stopTimer, paymentEnded
 *   announcing   timerFired        ended        stopTimer, paymentEnded
 */
export function stepAnnouncing(state: Of<'announcing'>, input: PaymentInput): PaymentStep {
  return input.kind === 'promptEnded' || input.kind === 'timerFired'
    ? end(state.known, state.result, [stop('step')])
    : ignore(state);
}

export function fail(state: PaymentState, code: PaymentErrorCode): PaymentStep {
  const known = 'known' in state ? state.known : null;
  const before = [stop('payment')];
  return announce(known, { result: 'failed', errorCode: code }, [{ kind: 'failed', code }], before);
}

export function tooManyTries(known: Known | null, before: readonly PaymentOutput[]): PaymentStep {
  const result: Result = { result: 'failed', errorCode: null };
  return announce(known, result, [{ kind: 'tooManyTries' }], [...before, stop('payment')]);
}

/** Wiped first, then told. */
export function announce(
  known: Known | null,
  result: Result,
  words: readonly Words[],
  before: readonly PaymentOutput[],
): PaymentStep {
  return play(known, result, words, [...before, { kind: 'endPayment' }]);
}

/** Told, where the fields are wiped already. */
export function play(
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

/** Nobody hears it. */
export function end(known: Known | null, result: Result, before: readonly PaymentOutput[]): PaymentStep {
  return { state: { kind: 'ended', known, result }, outputs: [...before, { kind: 'paymentEnded', result }] };
}
