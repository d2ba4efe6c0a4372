import type { Flow } from '../flow.ts';
import { announce, end, play } from './end.ts';
import { ignore } from './outputs.ts';
import type {
  Charge,
  Known,
  Of,
  OpenCharge,
  PaymentInput,
  PaymentOutput,
  PaymentStep,
  Result,
  UndoCause,
} from './state.ts';
import { leftStanding, voidedResult } from './undo.ts';

/**
 * Whether a charge stands: told to a caller who is there, and by the flow's rule for one who is gone; or undone.
 *
 *   state        input             next         outputs
 *   -----------  ----------------  -----------  ------------------------------------------------------
 *   voiding      voided            ended        paymentEnded
 *   voiding      notVoided         ended        attention, paymentEnded
 *   voiding      voided^           announcing   say, startTimer
 *   voiding      notVoided^        announcing   attention, say, startTimer
 *   voiding      callEnded         voiding      -
 *
 *   ^ the caller hears that the capture failed   - nothing
 */
export function stepVoiding(state: Of<'voiding'>, input: PaymentInput): PaymentStep {
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

/** Charged: by purchase or by capture. */
export function approved(
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

/** The void's yes, and nothing else, proves that nothing was taken. */
export function undo(known: Known, charge: Charge, cause: UndoCause, before: readonly PaymentOutput[]): PaymentStep {
  const order: PaymentOutput = { kind: 'void', charge: charge.number, amountMinor: known.amountMinor };
  return { state: { kind: 'voiding', known, charge, cause }, outputs: [...before, order] };
}
