import { fieldsFor } from '../../card/fields.ts';
import type { PaymentId } from '../../lib/ids.ts';
import type { FieldName } from '../../session/flow.ts';
import type { PaymentState } from '../../session/payment.ts';
import {
  type Asked,
  askGateway,
  chargeVerb,
  isOpen,
  newAttempt,
  operationOf,
  settled,
  undone,
  undoVerb,
} from '../charges.ts';
import type { AttemptRow } from '../ports.ts';
import type { Inputs } from './inputs.ts';
import type { RunnerCall, RunnerDeps } from './parts.ts';
import type { PaymentRecord } from './record.ts';

type Deps = Pick<RunnerDeps, 'media' | 'store' | 'gateway' | 'clock' | 'log' | 'metrics' | 'journal'>;

export interface ChargingParts {
  readonly deps: Deps;
  readonly call: RunnerCall;
  readonly paymentId: PaymentId;
  readonly inputs: Inputs;
  readonly record: PaymentRecord;
  readonly state: () => PaymentState;
}

/**
 * The charges of one payment, by their number: each is on disk before it is asked, and asked again under the same key.
 * No order here waits for the gateway; its answer is an input, so that keys, hang-up and a worker's death are seen at
 * once.
 */
export class Charging {
  readonly #parts: ChargingParts;
  readonly #attempts = new Map<number, AttemptRow>();

  constructor(parts: ChargingParts) {
    this.#parts = parts;
  }

  /** Somebody may have been charged, and nobody knows. */
  get isOpen(): boolean {
    return [...this.#attempts.values()].some(isOpen);
  }

  get last(): AttemptRow | undefined {
    return [...this.#attempts.values()].at(-1);
  }

  /** On disk before it is asked; where it cannot be written, nothing is asked. */
  async authorize(charge: number, amountMinor: number): Promise<void> {
    const { deps, call, paymentId, inputs } = this.#parts;
    const { gateway, currency } = call.flow;
    const earlier = this.#attempts.get(charge);
    const row: AttemptRow =
      earlier === undefined
        ? newAttempt({ paymentId, gateway, amountMinor, currency }, chargeVerb(deps.gateway), deps.clock.now())
        : { ...earlier, state: 'asking', endedAt: null };
    try {
      await deps.store.saveAttempt(row);
    } catch (error) {
      deps.log.error('charge not asked: not recorded', { paymentId, error: String(error) });
      return inputs.feed({ kind: 'notSent' });
    }
    this.#attempts.set(charge, row);
    this.#ask(charge, row, row.verb, paymentId);
  }

  async resolve(charge: number, fieldsHeld: boolean): Promise<void> {
    const { deps, paymentId, inputs } = this.#parts;
    const row = this.#attempts.get(charge);
    if (row === undefined) return inputs.feed({ kind: 'unknown' });
    if (deps.gateway.capabilities.unknownOutcome === 'lookup') return this.#ask(charge, row, 'lookup', null);
    if (row.state === 'authorized') return this.capture(charge);
    if (fieldsHeld) return this.#ask(charge, row, row.verb, paymentId);
    inputs.feed({ kind: 'unknown' });
  }

  /** That it is held is on disk; a capture carries the charge's own key, so asking twice takes the amount once. */
  async capture(charge: number): Promise<void> {
    const { deps, inputs } = this.#parts;
    const row = this.#attempts.get(charge);
    const isAble = deps.gateway.capabilities.verbs.includes('capture');
    if (row === undefined || !isAble) return inputs.feed({ kind: 'declined' });
    this.#ask(charge, row, 'capture', null);
  }

  async void(charge: number): Promise<void> {
    const { deps, inputs } = this.#parts;
    const row = this.#attempts.get(charge);
    const verb = undoVerb(deps.gateway);
    if (row === undefined || verb === null) return inputs.feed({ kind: 'notVoided' });
    this.#ask(charge, row, verb, null);
  }

  #ask(charge: number, row: AttemptRow, verb: AttemptRow['verb'], payer: PaymentId | null): void {
    const { deps, call, paymentId } = this.#parts;
    const { flow, context } = call;
    const state = this.#parts.state();
    const brand = 'known' in state ? (state.known?.brand ?? '') : '';
    const fields = fieldsFor(brand, Object.keys(flow.fields) as FieldName[]);
    const reference = context.reference ?? paymentId;
    const operation = operationOf(row, verb, { reference, description: flow.name, fields });
    void askGateway(deps, deps.gateway, operation, payer, flow.gatewayTimeoutMs).then((asked) =>
      this.#answered(charge, verb, asked),
    );
  }

  async #answered(charge: number, verb: AttemptRow['verb'], asked: Asked): Promise<void> {
    const { deps, call, paymentId, inputs, record } = this.#parts;
    const row = this.#attempts.get(charge);
    if (row === undefined) return;
    const isUndo = verb === 'void' || verb === 'refund';
    const judged = judge(asked, verb === 'lookup', this.#parts.state().kind === 'resolving');
    const now = deps.clock.now();
    const after = isUndo ? undone(row, judged, now) : settled(row, judged, now);
    this.#attempts.set(charge, after);
    try {
      await deps.store.saveAttempt(after);
    } catch (error) {
      record.attention = `outcome ${judged.outcome} of charge ${charge} could not be recorded`;
      deps.log.error('outcome not recorded', { paymentId, error: String(error) });
    }
    await deps.journal.append('gatewayAnswered', { verb, outcome: judged.outcome, charge }, paymentId);
    if (isUndo) return inputs.feed({ kind: judged.outcome === 'approved' ? 'voided' : 'notVoided' });
    const reference = call.context.reference ?? after.authorizationCode ?? after.gatewayReference;
    inputs.feed(judged.outcome === 'approved' ? { kind: 'approved', reference } : { kind: judged.outcome });
  }
}

/** What the answer says of the charge. */
function judge(asked: Asked, isLookup: boolean, isResolving: boolean): Asked {
  if (asked.outcome !== 'notSent') return asked;
  // A lookup that could not be sent says nothing of the charge.
  if (isLookup) return { outcome: 'unknown', reason: asked.reason };
  // Asked again under the same key and not sent: the first try's fate is as open as before.
  return isResolving ? { outcome: 'unknown', reason: 'notSent' } : asked;
}
