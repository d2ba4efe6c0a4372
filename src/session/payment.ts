import { unreachable } from '../lib/assert.ts';
import type { Flow } from './flow.ts';
import { askAmount, begin, offer, stepFetching, stepKeying, stepOffering, stepSettling } from './payment/amount.ts';
import { stepCapturing } from './payment/capture.ts';
import { stepAuthorizing, stepResolving, stepWaiting } from './payment/charge.ts';
import { announce, end, fail, stepAnnouncing } from './payment/end.ts';
import { collect, stepCollecting } from './payment/fields.ts';
import { ignore, stop } from './payment/outputs.ts';
import { stepVoiding } from './payment/stand.ts';
import type {
  OpenCharge,
  PaymentInput,
  PaymentOutput,
  PaymentState,
  PaymentStep,
  Result,
  Words,
} from './payment/state.ts';

export { SAFE_RETRIES_MAX } from './payment/charge.ts';
export type {
  Charge,
  Known,
  PaymentErrorCode,
  PaymentInput,
  PaymentOutput,
  PaymentState,
  PaymentStep,
  Result,
  TimerName,
  Words,
} from './payment/state.ts';

/**
 * One payment, from the amount to the announcement. Each stage has its file in `payment/`, with its rows in the comment:
 *
 *   amount: idle, fetching, offering, keying, settling
 *   fields: collecting
 *   charge: authorizing, waiting, resolving
 *   capture: capturing
 *   stand: voiding
 *   end: announcing
 *
 * Here stands what may come in any state: the caller goes, the worker dies and the next has made the leg again, an order
 * cannot be carried out, the payment takes too long.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   collecting   paymentTimeOver   announcing   stopTimer, stopTimer, closeKeys, endPayment, say, startTimer
 *   collecting   legRecreated      collecting   stopTimer, beginPayment, openField, say
 *   collecting   callEnded         ended        stopTimer, stopTimer, endPayment, paymentEnded
 *   waiting      callEnded         ended        stopTimer, stopTimer, endPayment, paymentEnded
 *   authorizing  legRecreated      authorizing  -
 *   authorizing  callEnded         authorizing  -
 *   resolving    callEnded         resolving    -
 *   capturing    legRecreated      capturing    -
 *   capturing    callEnded         capturing    -
 *   announcing   legRecreated      announcing   endPayment, say, startTimer
 *   announcing   callEnded         ended        stopTimer, paymentEnded
 *
 *   - nothing
 */
export function stepPayment(flow: Flow, state: PaymentState, input: PaymentInput): PaymentStep {
  const common = stepAny(flow, state, input);
  if (common !== null) return common;
  switch (state.kind) {
    case 'idle':
      return input.kind === 'begun' ? begin(flow, input.passedMinor) : ignore(state);
    case 'fetching':
      return stepFetching(flow, state, input);
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
      return stepWaiting(state, input);
    case 'resolving':
      return stepResolving(flow, state, input);
    case 'capturing':
      return stepCapturing(flow, state, input);
    case 'voiding':
      return stepVoiding(state, input);
    case 'announcing':
      return stepAnnouncing(state, input);
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
