import type { Flow } from '../flow.ts';
import { ignore, RESOLVE_DELAY_MS, resolve, start, stop } from './outputs.ts';
import { approved, undo } from './stand.ts';
import type { Charge, Known, Of, PaymentInput, PaymentOutput, PaymentStep } from './state.ts';

/**
 * Taking what is held, where the gateway authorizes and captures apart.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   capturing    approved          announcing   stopTimer, stopTimer, endPayment, say, startTimer
 *   capturing    approved~         voiding      stopTimer, stopTimer, endPayment, void
 *   capturing    authorized        capturing    capture
 *   capturing    unknown           capturing    startTimer, say, startTimer
 *   capturing    notSent           capturing    startTimer, say, startTimer
 *   capturing    unknown+          capturing    startTimer
 *   capturing    timerFired        capturing    resolve
 *   capturing    declined          voiding      stopTimer, stopTimer, void
 *   capturing    holdOver          voiding      stopTimer, stopTimer, void
 *
 *   ~ the caller is gone, and the flow voids   + not for the first time
 *
 * `authorized` says that the amount is held and not taken. A capture is asked again under the same number, or looked up,
 * for as long as an unknown outcome may last; refused or still unknown then, the authorization is voided, which undoes
 * both. What ends a payment after that: captured, a void that was confirmed, or a person with all that is known. The
 * card's fields are wiped as soon as the amount is held.
 */
export function stepCapturing(flow: Flow, state: Of<'capturing'>, input: PaymentInput): PaymentStep {
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

/** Held: a caller who is gone where the flow voids is not charged first; for everybody else it is captured. */
export function authorized(
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
