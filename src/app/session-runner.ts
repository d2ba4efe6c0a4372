import { fieldsFor } from '../card/fields.ts';
import { maskedNumber } from '../card/masked.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { type ErrorCode, ServiceError } from '../lib/errors.ts';
import { type CallId, type LegId, newId, type PaymentId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { plan } from '../prompt/plan.ts';
import type { FieldName, Flow } from '../session/flow.ts';
import {
  type PaymentErrorCode,
  type PaymentInput,
  type PaymentOutput,
  type PaymentState,
  type Result,
  stepPayment,
  type TimerName,
} from '../session/payment.ts';
import { type Asked, askGateway, isOpen, newAttempt, operationOf, settled, undone } from './charges.ts';
import type { CallJournal } from './journal.ts';
import type { AppMetrics } from './metrics.ts';
import type {
  AttemptRow,
  CallContext,
  CallResult,
  DataDipPort,
  FieldFacts,
  GatewayAdapter,
  MediaEvent,
  MediaPort,
  PaymentRow,
  ReadBackStyle,
  StorePort,
} from './ports.ts';
import { saysOf } from './words.ts';

export interface RunnerDeps {
  readonly media: MediaPort;
  readonly store: StorePort;
  readonly dataDip: DataDipPort;
  readonly gateway: GatewayAdapter;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
  readonly journal: CallJournal;
}

export interface RunnerCall {
  readonly callId: CallId;
  readonly legId: LegId;
  readonly flow: Flow;
  readonly context: CallContext;
}

/** Inputs that wait; a call makes a few a second, so more than this is a fault and ends the payment. */
export const INPUTS_MAX = 256;
/**
 * From an order that found no worker to the payment's end, unless the next worker has made the leg again. That takes a
 * second on an idle machine and many on one that starts everything at once; a caller hears silence meanwhile.
 */
export const WORKER_AWAY_MS_MAX = 20_000;
/** Recordings in one play order, as the engine has it. */
const PLAY_LIST_MAX = 64;

const STYLES: Readonly<Record<FieldName, ReadBackStyle>> = {
  pan: 'digits',
  expiry: 'monthYear',
  startDate: 'monthYear',
  cvc: 'digits',
  postcode: 'digits',
  issueNumber: 'digits',
};

/** Here an order that fails must not keep the rest from being carried out. */
const WITH_OPEN_CHARGE: ReadonlySet<PaymentState['kind']> = new Set([
  'authorizing',
  'resolving',
  'capturing',
  'voiding',
]);

/** An input, and what it must still match when its turn comes: an old timer, play or field says nothing any more. */
interface Queued {
  readonly input: PaymentInput;
  readonly timer?: { readonly name: TimerName; readonly token: number };
  readonly playId?: string;
  readonly fieldEpoch?: number;
}

/**
 * Runs one payment: takes one input, steps, saves, then carries the outputs out in order. The only caller of
 * `stepPayment`. `run` settles when the payment has ended and its fields are wiped; it never rejects.
 */
export class SessionRunner {
  readonly paymentId: PaymentId;
  readonly #deps: RunnerDeps;
  readonly #call: RunnerCall;
  readonly #startedAt: number;
  readonly #queue: Queued[] = [];
  readonly #timers = new Map<TimerName, { readonly timer: Timer; readonly token: number }>();
  readonly #attempts = new Map<number, AttemptRow>();
  #state: PaymentState = { kind: 'idle' };
  #tokens = 0;
  #playId: string | null = null;
  #fieldEpoch = 0;
  #isDraining = false;
  #attention: string | null = null;
  #workerAway: Timer | null = null;
  #ended: ((result: CallResult) => void) | null = null;

  constructor(deps: RunnerDeps, call: RunnerCall) {
    this.#deps = deps;
    this.#call = call;
    this.#startedAt = deps.clock.now();
    this.paymentId = newId('payment', this.#startedAt);
  }

  get state(): PaymentState {
    return this.#state;
  }

  run(): Promise<CallResult> {
    const ended = new Promise<CallResult>((resolve) => {
      this.#ended = resolve;
    });
    this.#feed({ input: { kind: 'begun', passedMinor: this.#call.context.amountMinor ?? null } });
    return ended;
  }

  callEnded(): void {
    this.#feed({ input: { kind: 'callEnded' } });
  }

  /** Events of the caller's leg, in order. */
  mediaEvent(event: MediaEvent): void {
    switch (event.kind) {
      case 'fieldKey':
        if (event.field === null) return;
        if (event.facts !== null) this.#tellProgress(event.field, event.facts, false);
        this.#feed({
          input: { kind: 'fieldKeyPressed', key: event.key, complete: event.facts?.complete ?? false },
          fieldEpoch: this.#fieldEpoch,
        });
        return;
      case 'fieldEnded':
        this.#tellProgress(event.field, event.facts, true);
        this.#feed({ input: { kind: 'fieldEnded', facts: event.facts }, fieldEpoch: this.#fieldEpoch });
        return;
      case 'openKey':
        this.#feed({ input: { kind: 'keyPressed', key: event.key } });
        return;
      case 'playEnded':
        // A prompt that a key stopped inside a field is over; the key has set the field's timer already.
        if (event.reason === 'stopped' || (event.reason === 'bargedIn' && this.#isKeying())) return;
        this.#feed({ input: { kind: 'promptEnded' }, playId: event.playId });
        return;
      case 'legRecreated':
        if (event.legId !== this.#call.legId) return;
        this.#workerIsBack();
        this.#feed({ input: { kind: 'legRecreated' } });
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

  #tellProgress(field: FieldName, { length, brands, complete, last4 }: FieldFacts, ended: boolean): void {
    const isNumber = field === 'pan';
    const brand = brands.length === 1 ? (brands[0] ?? null) : null;
    const masked = isNumber ? maskedNumber(length, ended ? last4 : null, brand) : '•'.repeat(length);
    const progress = { field, masked, length, brands: isNumber ? brands : [], valid: complete, ended };
    this.#deps.journal.tell({ paymentId: this.paymentId, ...progress });
  }

  // ---------------------------------------------------------------- one input at a time

  #feed(queued: Queued): void {
    if (this.#state.kind === 'ended') return;
    if (this.#queue.length >= INPUTS_MAX) {
      this.#deps.metrics.failure('INTERNAL');
      if (queued.input.kind !== 'callEnded') return;
    }
    this.#queue.push(queued);
    if (!this.#isDraining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        if (this.#isCurrent(next)) await this.#take(next.input);
      }
    } catch (error) {
      // An assertion or a fault of ours: this payment ends, the process does not.
      this.#deps.log.error('payment session failed', { paymentId: this.paymentId, error: String(error) });
      this.#deps.metrics.failure('INTERNAL');
      await this.#finish({ result: this.#hasOpenCharge() ? 'unknown' : 'failed', errorCode: 'INTERNAL' });
    } finally {
      this.#isDraining = false;
    }
  }

  #isCurrent({ timer, playId, fieldEpoch }: Queued): boolean {
    if (timer !== undefined && this.#timers.get(timer.name)?.token !== timer.token) return false;
    if (playId !== undefined && playId !== this.#playId) return false;
    return fieldEpoch === undefined || fieldEpoch === this.#fieldEpoch;
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
    if (state.kind !== before.kind) await this.#saveState(before.kind);
    await this.#tellField(before, state);
    for (const output of outputs) {
      const failed = await this.#carryOut(output);
      // With a charge open, what the caller hears is not worth a charge that is never asked.
      if (failed === null || WITH_OPEN_CHARGE.has(state.kind)) continue;
      if (failed === 'workerAway') this.#awaitWorker();
      else this.#queue.unshift({ input: { kind: 'orderFailed', code: failed } });
      return;
    }
  }

  /** The next worker is on its way: `legRecreated` begins the field again. Where it does not come, the payment fails. */
  #awaitWorker(): void {
    if (this.#queue.some(({ input }) => input.kind === 'legRecreated')) return;
    this.#workerAway ??= this.#deps.clock.startTimer(WORKER_AWAY_MS_MAX, () => {
      this.#workerAway = null;
      this.#feed({ input: { kind: 'orderFailed', code: 'WORKER_UNAVAILABLE' } });
    });
  }

  #workerIsBack(): void {
    this.#workerAway?.cancel();
    this.#workerAway = null;
  }

  async #saveState(from: string): Promise<void> {
    await this.#save(null);
    await this.#deps.journal.append('paymentState', { from, to: this.#state.kind }, this.paymentId);
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
    await this.#deps.journal.append('field', detail, this.paymentId);
  }

  async #save(result: CallResult['result'] | null): Promise<void> {
    const known = 'known' in this.#state ? this.#state.known : null;
    const { flow, context, callId } = this.#call;
    const row: PaymentRow = {
      paymentId: this.paymentId,
      callId,
      flow: flow.name,
      state: this.#state.kind,
      result,
      amountMinor: known?.amountMinor ?? null,
      currency: flow.currency,
      reference: context.reference ?? null,
      brand: known?.brand ?? null,
      last4: known?.last4 ?? null,
      declines: known?.declines ?? 0,
      startedAt: this.#startedAt,
      endedAt: result === null ? null : this.#deps.clock.now(),
      attention: this.#attention,
    };
    try {
      await this.#deps.store.savePayment(row);
    } catch (error) {
      // The journal that money hangs on is the attempt's row: that one must be written, or nothing is asked.
      this.#deps.log.error('payment not recorded', { paymentId: this.paymentId, error: String(error) });
      this.#deps.metrics.failure('INTERNAL');
    }
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
      if (output.kind === 'closeField' && this.#queue.some((queued) => queued.input.kind === 'fieldEnded')) return null;
      if (code === 'WORKER_UNAVAILABLE') return 'workerAway';
      return code === 'WORKER_TIMEOUT' ? 'WORKER_UNAVAILABLE' : 'INTERNAL';
    }
  }

  async #order(output: PaymentOutput): Promise<void> {
    const { media } = this.#deps;
    const { callId, legId, flow } = this.#call;
    switch (output.kind) {
      case 'beginPayment':
        return media.beginPayment(callId, this.paymentId, legId);
      case 'endPayment':
        return media.endPayment(this.paymentId);
      case 'fetchAmount':
        return this.#fetchAmount();
      case 'say':
        return this.#play(plan(flow.locale, saysOf(flow, output.words)), output.bargeIn);
      case 'openKeys':
        return media.openKeys(legId, { allowed: output.allowed, lengthMax: output.lengthMax });
      case 'closeKeys':
        return media.closeKeys(legId);
      case 'openField': {
        this.#fieldEpoch += 1;
        const { field, lengthMin, lengthMax, brands } = output;
        return media.openField(this.paymentId, { field, lengthMin, lengthMax, brands });
      }
      case 'closeField': {
        const facts = await media.closeField(this.paymentId);
        if (this.#state.kind === 'collecting' && this.#state.field.kind === 'closing')
          this.#tellProgress(this.#state.field.field, facts, true);
        this.#queue.unshift({ input: { kind: 'fieldEnded', facts }, fieldEpoch: this.#fieldEpoch });
        return;
      }
      case 'wipeField':
        return media.wipeField(this.paymentId, output.field);
      case 'readBack': {
        const playId = this.#newPlay();
        const order = { playId, field: output.field, style: STYLES[output.field], locale: flow.locale };
        return media.readBack(this.paymentId, order);
      }
      case 'startTimer':
        return this.#startTimer(output.timer, output.ms);
      case 'stopTimer':
        return this.#stopTimer(output.timer);
      case 'authorize':
        return this.#authorize(output.charge, output.amountMinor);
      case 'resolve':
        return this.#resolve(output.charge, output.fieldsHeld);
      case 'capture':
        return this.#capture(output.charge);
      case 'void':
        return this.#void(output.charge);
      case 'attention':
        this.#attention = output.text;
        return this.#save(null);
      case 'paymentEnded':
        return this.#finish(output.result);
    }
  }

  #newPlay(): string {
    this.#playId = newId('play', this.#deps.clock.now());
    return this.#playId;
  }

  async #play(recordings: readonly string[], bargeIn: boolean): Promise<void> {
    const playId = this.#newPlay();
    if (recordings.length === 0) {
      this.#feed({ input: { kind: 'promptEnded' }, playId });
      return;
    }
    await this.#deps.media.play(this.#call.legId, { playId, recordings: recordings.slice(0, PLAY_LIST_MAX), bargeIn });
  }

  #startTimer(name: TimerName, ms: number): void {
    this.#stopTimer(name);
    this.#tokens += 1;
    const token = this.#tokens;
    const kind = name === 'step' ? 'timerFired' : name === 'payment' ? 'paymentTimeOver' : 'holdOver';
    const timer = this.#deps.clock.startTimer(ms, () => this.#feed({ input: { kind }, timer: { name, token } }));
    this.#timers.set(name, { timer, token });
  }

  #stopTimer(name: TimerName): void {
    this.#timers.get(name)?.timer.cancel();
    this.#timers.delete(name);
  }

  async #fetchAmount(): Promise<void> {
    const { source } = this.#call.flow.amount;
    if (source.kind !== 'dataDip') return this.#feed({ input: { kind: 'amountFailed' } });
    const { customer = null, reference = null } = this.#call.context;
    const request = { url: source.url, timeoutMs: source.timeoutMs, customer, reference };
    // Not awaited: the caller may hang up meanwhile.
    void this.#deps.dataDip.fetchAmount(request).then(
      ({ amountMinor, currency }) => {
        const isOurs = currency === null || currency === this.#call.flow.currency;
        this.#feed({ input: isOurs ? { kind: 'amountFetched', amountMinor } : { kind: 'amountFailed' } });
      },
      () => this.#feed({ input: { kind: 'amountFailed' } }),
    );
  }

  // ---------------------------------------------------------------- the gateway

  #hasOpenCharge(): boolean {
    return [...this.#attempts.values()].some(isOpen);
  }

  /** On disk before it is asked; where it cannot be written, nothing is asked. */
  async #authorize(charge: number, amountMinor: number): Promise<void> {
    const { flow } = this.#call;
    const now = this.#deps.clock.now();
    const earlier = this.#attempts.get(charge);
    const row: AttemptRow =
      earlier === undefined
        ? newAttempt(
            { paymentId: this.paymentId, gateway: flow.gateway, amountMinor, currency: flow.currency },
            chargeVerb(this.#deps.gateway),
            now,
          )
        : { ...earlier, state: 'asking', endedAt: null };
    try {
      await this.#deps.store.saveAttempt(row);
    } catch (error) {
      this.#deps.log.error('charge not asked: not recorded', { paymentId: this.paymentId, error: String(error) });
      this.#feed({ input: { kind: 'notSent' } });
      return;
    }
    this.#attempts.set(charge, row);
    this.#ask(charge, row, row.verb, this.paymentId);
  }

  async #resolve(charge: number, fieldsHeld: boolean): Promise<void> {
    const row = this.#attempts.get(charge);
    if (row === undefined) return this.#feed({ input: { kind: 'unknown' } });
    if (this.#deps.gateway.capabilities.unknownOutcome === 'lookup') return this.#ask(charge, row, 'lookup', null);
    if (row.state === 'authorized') return this.#capture(charge);
    if (fieldsHeld) return this.#ask(charge, row, row.verb, this.paymentId);
    this.#feed({ input: { kind: 'unknown' } });
  }

  /** That it is held is on disk; a capture carries the charge's own key, so asking twice takes the amount once. */
  async #capture(charge: number): Promise<void> {
    const row = this.#attempts.get(charge);
    const isAble = this.#deps.gateway.capabilities.verbs.includes('capture');
    if (row === undefined || !isAble) return this.#feed({ input: { kind: 'declined' } });
    this.#ask(charge, row, 'capture', null);
  }

  async #void(charge: number): Promise<void> {
    const row = this.#attempts.get(charge);
    const verb = undoVerb(this.#deps.gateway);
    if (row === undefined || verb === null) return this.#feed({ input: { kind: 'notVoided' } });
    this.#ask(charge, row, verb, null);
  }

  /** Not awaited: keys, hang-up and worker death are inputs while the gateway thinks. */
  #ask(charge: number, row: AttemptRow, verb: AttemptRow['verb'], paymentId: PaymentId | null): void {
    const { flow, context } = this.#call;
    const brand = 'known' in this.#state ? (this.#state.known?.brand ?? '') : '';
    const fields = fieldsFor(brand, Object.keys(flow.fields) as FieldName[]);
    const reference = context.reference ?? this.paymentId;
    const operation = operationOf(row, verb, { reference, description: flow.name, fields });
    void askGateway(this.#deps, this.#deps.gateway, operation, paymentId, flow.gatewayTimeoutMs).then((asked) =>
      this.#answered(charge, verb, asked),
    );
  }

  async #answered(charge: number, verb: AttemptRow['verb'], asked: Asked): Promise<void> {
    const row = this.#attempts.get(charge);
    if (row === undefined) return;
    const isUndo = verb === 'void' || verb === 'refund';
    const isLookup = verb === 'lookup';
    // A lookup that could not be sent says nothing of the charge.
    const outcome: Asked =
      isLookup && asked.outcome === 'notSent' ? { outcome: 'unknown', reason: asked.reason } : asked;
    // Asked again under the same key and not sent: the first try's fate is as open as before.
    const isReplay = this.#state.kind === 'resolving' && !isLookup && outcome.outcome === 'notSent';
    const judged: Asked = isReplay ? { outcome: 'unknown', reason: 'notSent' } : outcome;
    const now = this.#deps.clock.now();
    const after = isUndo ? undone(row, judged, now) : settled(row, judged, now);
    this.#attempts.set(charge, after);
    try {
      await this.#deps.store.saveAttempt(after);
    } catch (error) {
      this.#attention = `outcome ${judged.outcome} of charge ${charge} could not be recorded`;
      this.#deps.log.error('outcome not recorded', { paymentId: this.paymentId, error: String(error) });
    }
    const detail = { verb, outcome: judged.outcome, charge };
    await this.#deps.journal.append('gatewayAnswered', detail, this.paymentId);
    if (isUndo) return this.#feed({ input: { kind: judged.outcome === 'approved' ? 'voided' : 'notVoided' } });
    const reference = this.#call.context.reference ?? after.authorizationCode ?? after.gatewayReference;
    this.#feed({
      input: judged.outcome === 'approved' ? { kind: 'approved', reference } : { kind: judged.outcome },
    });
  }

  // ---------------------------------------------------------------- the end

  async #finish(result: Result): Promise<void> {
    if (this.#ended === null) return;
    const ended = this.#ended;
    this.#ended = null;
    const known = 'known' in this.#state ? this.#state.known : null;
    this.#state = { kind: 'ended', known, result };
    this.#queue.length = 0;
    for (const name of [...this.#timers.keys()]) this.#stopTimer(name);
    this.#workerIsBack();
    // Again, whatever happened before: it is safe to call twice, and forgetting it is not.
    await this.#deps.media.endPayment(this.paymentId).catch((error: unknown) => {
      this.#deps.metrics.failure('WORKER_UNAVAILABLE');
      this.#deps.log.error('payment not ended in the worker', { paymentId: this.paymentId, error: String(error) });
    });
    if (result.errorCode === 'INTERNAL' && this.#hasOpenCharge())
      this.#attention = 'ended by a fault with an open charge';
    await this.#save(result.result);
    await this.#deps.journal.append('paymentEnded', { result: result.result, error: result.errorCode }, this.paymentId);
    this.#deps.metrics.paymentEnded(result.result, this.#deps.clock.now() - this.#startedAt);
    ended(this.#callResult(result));
  }

  #callResult({ result, errorCode }: Result): CallResult {
    const { flow, context } = this.#call;
    const known = 'known' in this.#state ? this.#state.known : null;
    const last = [...this.#attempts.values()].at(-1);
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

/** One step where the gateway can: money taken by phone is wanted at once. */
export function chargeVerb(gateway: GatewayAdapter): 'purchase' | 'authorize' {
  return gateway.capabilities.verbs.includes('purchase') ? 'purchase' : 'authorize';
}

export function undoVerb(gateway: GatewayAdapter): 'void' | 'refund' | null {
  if (gateway.capabilities.verbs.includes('void')) return 'void';
  return gateway.capabilities.verbs.includes('refund') ? 'refund' : null;
}
