import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { newId, type PaymentId } from '../lib/ids.ts';
import type { FieldName } from '../session/flow.ts';
import {
  type PaymentErrorCode,
  type PaymentInput,
  type PaymentOutput,
  type PaymentState,
  type Result,
  stepPayment,
} from '../session/payment.ts';
import type { CallResult, MediaEvent } from './ports.ts';
import { Charging } from './session/charging.ts';
import { Entry } from './session/entry.ts';
import { Inputs } from './session/inputs.ts';
import type { RunnerCall, RunnerDeps } from './session/parts.ts';
import { Plays } from './session/plays.ts';
import { PaymentRecord } from './session/record.ts';
import { Timers } from './session/timers.ts';
import { WorkerWait } from './session/worker-wait.ts';

export type { RunnerCall, RunnerDeps } from './session/parts.ts';
export { WORKER_AWAY_MS_MAX } from './session/worker-wait.ts';

/** Here an order that fails must not keep the rest from being carried out. */
const WITH_OPEN_CHARGE: ReadonlySet<PaymentState['kind']> = new Set([
  'authorizing',
  'resolving',
  'capturing',
  'voiding',
]);

/**
 * Runs one payment: takes one input, steps, saves, then carries the outputs out in order. The only caller of
 * `stepPayment`. `run` settles when the payment has ended and its fields are wiped; it never rejects.
 */
export class SessionRunner {
  readonly paymentId: PaymentId;
  readonly #deps: RunnerDeps;
  readonly #call: RunnerCall;
  readonly #startedAt: number;
  readonly #inputs: Inputs;
  readonly #timers: Timers;
  readonly #plays: Plays;
  readonly #entry: Entry;
  readonly #record: PaymentRecord;
  readonly #charging: Charging;
  readonly #workerWait: WorkerWait;
  #state: PaymentState = { kind: 'idle' };
  #ended: ((result: CallResult) => void) | null = null;

  constructor(deps: RunnerDeps, call: RunnerCall) {
    this.#deps = deps;
    this.#call = call;
    this.#startedAt = deps.clock.now();
    const paymentId = newId('payment', this.#startedAt);
    const inputs = new Inputs({
      take: (input) => this.#take(input),
      failed: (error) => this.#failed(error),
      overflowed: () => deps.metrics.failure('INTERNAL'),
    });
    const record = new PaymentRecord(deps, call, paymentId, this.#startedAt);
    this.paymentId = paymentId;
    this.#inputs = inputs;
    this.#record = record;
    this.#timers = new Timers(deps.clock, inputs);
    this.#plays = new Plays(deps, call, inputs);
    this.#entry = new Entry(deps, paymentId, inputs);
    this.#charging = new Charging({ deps, call, paymentId, inputs, record, state: () => this.#state });
    this.#workerWait = new WorkerWait(deps.clock, inputs);
  }

  get state(): PaymentState {
    return this.#state;
  }

  run(): Promise<CallResult> {
    const ended = new Promise<CallResult>((resolve) => {
      this.#ended = resolve;
    });
    this.#inputs.feed({ kind: 'begun', passedMinor: this.#call.context.amountMinor ?? null });
    return ended;
  }

  callEnded(): void {
    this.#inputs.feed({ kind: 'callEnded' });
  }

  /** Events of the caller's leg, in order. */
  mediaEvent(event: MediaEvent): void {
    switch (event.kind) {
      case 'fieldKey':
        this.#entry.key(event);
        return;
      case 'fieldEnded':
        this.#entry.ended(event);
        return;
      case 'openKey':
        this.#inputs.feed({ kind: 'keyPressed', key: event.key });
        return;
      case 'playEnded':
        // A prompt that a key stopped inside a field is over; the key has set the field's timer already.
        if (event.reason === 'stopped' || (event.reason === 'bargedIn' && this.#isKeying())) return;
        this.#plays.ended(event.playId);
        return;
      case 'legRecreated':
        if (event.legId !== this.#call.legId) return;
        this.#workerWait.over();
        this.#inputs.feed({ kind: 'legRecreated' });
        return;
      case 'legLost':
        if (event.legId === this.#call.legId) this.callEnded();
        return;
      case 'keysSent':
      case 'legSilent':
        return;
    }
  }

  #isKeying(): boolean {
    return this.#state.kind === 'collecting' && this.#state.field.kind === 'collecting';
  }

  /** The field that a time limit is closing. */
  #closing(): FieldName | null {
    const { kind } = this.#state;
    return kind === 'collecting' && this.#state.field.kind === 'closing' ? this.#state.field.field : null;
  }

  async #take(input: PaymentInput): Promise<void> {
    const before = this.#state;
    const { state, outputs, ignored } = stepPayment(this.#call.flow, before, input);
    if (ignored) {
      this.#deps.metrics.inputIgnored(before.kind, input.kind);
      this.#deps.log.debug('input ignored', { state: before.kind, input: input.kind });
      return;
    }
    this.#state = state;
    await this.#record.stepped(before, state);
    for (const output of outputs) {
      const failed = await this.#carryOut(output);
      // With a charge open, what the caller hears is not worth a charge that is never asked.
      if (failed === null || WITH_OPEN_CHARGE.has(state.kind)) continue;
      if (failed === 'workerAway') this.#workerWait.begin();
      else this.#inputs.feedFirst({ kind: 'orderFailed', code: failed });
      return;
    }
  }

  /** An assertion or a fault of ours: this payment ends, the process does not. */
  async #failed(error: unknown): Promise<void> {
    this.#deps.log.error('payment session failed', { paymentId: this.paymentId, error: String(error) });
    this.#deps.metrics.failure('INTERNAL');
    await this.#finish({ result: this.#charging.isOpen ? 'unknown' : 'failed', errorCode: 'INTERNAL' });
  }

  // ---------------------------------------------------------------- outputs

  /** Null when done; otherwise the code under which the payment cannot go on, or that it must wait for a worker. */
  async #carryOut(output: PaymentOutput): Promise<PaymentErrorCode | 'workerAway' | null> {
    try {
      await this.#order(output);
      return null;
    } catch (error) {
      const code: ErrorCode = error instanceof ServiceError ? error.code : 'INTERNAL';
      this.#deps.metrics.failure(code);
      this.#deps.log.warn('order failed', { order: output.kind, code, paymentId: this.paymentId });
      // Wiping and stopping must not keep the rest from being carried out; the end of the payment wipes again.
      if (output.kind === 'endPayment' || output.kind === 'closeKeys') return null;
      // The end of the field crossed our closing it on the way.
      if (output.kind === 'closeField' && this.#inputs.isWaiting('fieldEnded')) return null;
      if (code === 'WORKER_UNAVAILABLE') return 'workerAway';
      return code === 'WORKER_TIMEOUT' ? 'WORKER_UNAVAILABLE' : 'INTERNAL';
    }
  }

  async #order(output: PaymentOutput): Promise<void> {
    const { media } = this.#deps;
    const { callId, legId } = this.#call;
    switch (output.kind) {
      case 'beginPayment':
        return media.beginPayment(callId, this.paymentId, legId);
      case 'endPayment':
        return media.endPayment(this.paymentId);
      case 'fetchAmount':
        return this.#fetchAmount();
      case 'say':
        return this.#plays.say(output.words, output.bargeIn);
      case 'openKeys':
        return media.openKeys(legId, { allowed: output.allowed, lengthMax: output.lengthMax });
      case 'closeKeys':
        return media.closeKeys(legId);
      case 'openField':
        return this.#entry.open(output);
      case 'closeField':
        return this.#entry.close(this.#closing());
      case 'wipeField':
        return media.wipeField(this.paymentId, output.field);
      case 'readBack':
        return this.#plays.readBack(this.paymentId, output.field);
      case 'startTimer':
        return this.#timers.start(output.timer, output.ms);
      case 'stopTimer':
        return this.#timers.stop(output.timer);
      case 'authorize':
        return this.#charging.authorize(output.charge, output.amountMinor);
      case 'resolve':
        return this.#charging.resolve(output.charge, output.fieldsHeld);
      case 'capture':
        return this.#charging.capture(output.charge);
      case 'void':
        return this.#charging.void(output.charge);
      case 'attention':
        this.#record.attention = output.text;
        return this.#record.save(this.#state, null);
      case 'paymentEnded':
        return this.#finish(output.result);
    }
  }

  #fetchAmount(): void {
    const { flow, context } = this.#call;
    const { source } = flow.amount;
    const failed = () => this.#inputs.feed({ kind: 'amountFailed' });
    if (source.kind !== 'dataDip') {
      failed();
      return;
    }
    const { customer = null, reference = null } = context;
    const request = { url: source.url, timeoutMs: source.timeoutMs, customer, reference };
    // Not awaited: the caller may hang up meanwhile.
    void this.#deps.dataDip.fetchAmount(request).then(({ amountMinor, currency }) => {
      if (currency !== null && currency !== flow.currency) failed();
      else this.#inputs.feed({ kind: 'amountFetched', amountMinor });
    }, failed);
  }

  // ---------------------------------------------------------------- the end

  async #finish(result: Result): Promise<void> {
    if (this.#ended === null) return;
    const ended = this.#ended;
    this.#ended = null;
    const known = 'known' in this.#state ? this.#state.known : null;
    this.#state = { kind: 'ended', known, result };
    this.#inputs.close();
    this.#timers.stopAll();
    this.#workerWait.over();
    // Again, whatever happened before: it is safe to call twice, and forgetting it is not.
    await this.#deps.media.endPayment(this.paymentId).catch((error: unknown) => {
      this.#deps.metrics.failure('WORKER_UNAVAILABLE');
      this.#deps.log.error('payment not ended in the worker', { paymentId: this.paymentId, error: String(error) });
    });
    if (result.errorCode === 'INTERNAL' && this.#charging.isOpen)
      this.#record.attention = 'ended by a fault with an open charge';
    await this.#record.save(this.#state, result.result);
    await this.#deps.journal.append('paymentEnded', { result: result.result, error: result.errorCode }, this.paymentId);
    this.#deps.metrics.paymentEnded(result.result, this.#deps.clock.now() - this.#startedAt);
    ended(this.#callResult(result));
  }

  #callResult({ result, errorCode }: Result): CallResult {
    const { flow, context } = this.#call;
    const known = 'known' in this.#state ? this.#state.known : null;
    const { last } = this.#charging;
    return {
      result,
      paymentId: this.paymentId,
      currency: flow.currency,
      ...(known === null ? {} : { amountMinor: known.amountMinor, declines: known.declines }),
      ...(known?.brand ? { brand: known.brand } : {}),
      ...(known?.last4 ? { last4: known.last4 } : {}),
      ...(last?.gatewayReference ? { gatewayReference: last.gatewayReference } : {}),
      ...(context.reference === undefined ? {} : { reference: context.reference }),
      ...(context.customer === undefined ? {} : { customer: context.customer }),
      ...(errorCode === null ? {} : { errorCode }),
    };
  }
}
