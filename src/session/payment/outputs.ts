import type { Charge, Known, PaymentOutput, PaymentState, PaymentStep, TimerName } from './state.ts';

/** Orders that several stages give, in one wording each. */
export const start = (ms: number): PaymentOutput => ({ kind: 'startTimer', timer: 'step', ms });
export const stop = (timer: TimerName): PaymentOutput => ({ kind: 'stopTimer', timer });
export const LEAVE_KEYS: readonly PaymentOutput[] = [{ kind: 'stopTimer', timer: 'step' }, { kind: 'closeKeys' }];

/** The input has no row in this state. */
export function ignore(state: PaymentState): PaymentStep {
  return { state, outputs: [], ignored: true };
}

/** On the way to the gateway; the charge's number stands for one idempotency key. */
export function authorize(known: Known, charge: Charge, before: readonly PaymentOutput[]): PaymentStep {
  const ask: PaymentOutput = { kind: 'authorize', charge: charge.number, amountMinor: known.amountMinor };
  return { state: { kind: 'authorizing', known, charge }, outputs: [...before, ask] };
}

/** Before it is asked again what became of a charge. */
export const RESOLVE_DELAY_MS = 2_000;

/** What became of it. */
export const resolve = (known: Known, charge: Charge): PaymentOutput => ({
  kind: 'resolve',
  charge: charge.number,
  amountMinor: known.amountMinor,
  fieldsHeld: charge.fieldsHeld,
});
