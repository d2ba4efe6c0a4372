import type { PaymentId } from '../../lib/ids.ts';
import type { PaymentState } from '../../session/payment.ts';
import type { CallResult, PaymentRow } from '../ports.ts';
import type { RunnerCall, RunnerDeps } from './parts.ts';

type Deps = Pick<RunnerDeps, 'store' | 'journal' | 'clock' | 'log' | 'metrics'>;

/** The payment's row and its events. A row that cannot be written is logged and ends nothing. */
export class PaymentRecord {
  readonly #deps: Deps;
  readonly #call: RunnerCall;
  readonly #paymentId: PaymentId;
  readonly #startedAt: number;
  /** What a person must look at. */
  attention: string | null = null;

  constructor(deps: Deps, call: RunnerCall, paymentId: PaymentId, startedAt: number) {
    this.#deps = deps;
    this.#call = call;
    this.#paymentId = paymentId;
    this.#startedAt = startedAt;
  }

  async stepped(before: PaymentState, after: PaymentState): Promise<void> {
    if (after.kind !== before.kind) {
      await this.save(after, null);
      await this.#deps.journal.append('paymentState', { from: before.kind, to: after.kind }, this.#paymentId);
    }
    await this.#tellField(before, after);
  }

  async save(state: PaymentState, result: CallResult['result'] | null): Promise<void> {
    const known = 'known' in state ? state.known : null;
    const { flow, context, callId } = this.#call;
    const row: PaymentRow = {
      paymentId: this.#paymentId,
      callId,
      flow: flow.name,
      state: state.kind,
      result,
      amountMinor: known?.amountMinor ?? null,
      currency: flow.currency,
      reference: context.reference ?? null,
      brand: known?.brand ?? null,
      last4: known?.last4 ?? null,
      declines: known?.declines ?? 0,
      startedAt: this.#startedAt,
      endedAt: result === null ? null : this.#deps.clock.now(),
      attention: this.attention,
    };
    try {
      await this.#deps.store.savePayment(row);
    } catch (error) {
      // The journal that money hangs on is the attempt's row: that one must be written, or nothing is asked.
      this.#deps.log.error('payment not recorded', { paymentId: this.#paymentId, error: String(error) });
      this.#deps.metrics.failure('INTERNAL');
    }
  }

  async #tellField(before: PaymentState, after: PaymentState): Promise<void> {
    if (after.kind !== 'collecting' || (before.kind === 'collecting' && before.field === after.field)) return;
    const { field } = after;
    const was = before.kind === 'collecting' ? before.field : null;
    if (field.kind === 'idle') return;
    const isAsked = field.kind === 'collecting';
    // A key: the same question is still open.
    if (isAsked && was?.kind === 'collecting' && was.field === field.field && was.wrong === field.wrong) return;
    const found = field.kind === 'confirming' ? { stage: field.stage, ...field.found } : {};
    const detail = { field: field.field, state: field.kind, ...(isAsked ? { wrong: field.wrong } : {}), ...found };
    await this.#deps.journal.append('field', detail, this.#paymentId);
  }
}
