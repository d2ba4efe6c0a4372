import { couldBeCardField } from '../card/pan-guard.ts';
import type { Clock } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import { newId, type PaymentId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import type { FieldName } from '../session/flow.ts';
import type { AppMetrics } from './metrics.ts';
import type {
  AttemptRow,
  GatewayAdapter,
  GatewayOperation,
  GatewayOutcome,
  GatewayVerb,
  MediaPort,
  StorePort,
} from './ports.ts';

/** What came of asking: an outcome, or `notSent`, where nothing can have been charged. */
export type Asked = GatewayOutcome | { readonly outcome: 'notSent'; readonly reason: string };

export interface ChargeDeps {
  readonly media: Pick<MediaPort, 'send'>;
  readonly store: Pick<StorePort, 'saveAttempt'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: AppMetrics;
}

export interface NewCharge {
  readonly paymentId: PaymentId;
  readonly gateway: string;
  readonly amountMinor: number;
  readonly currency: string;
}

/** A charge's first row; it is saved before anything is asked. */
export function newAttempt(charge: NewCharge, verb: GatewayVerb, now: number): AttemptRow {
  const attemptId = newId('attempt', now);
  return {
    ...charge,
    attemptId,
    idempotencyKey: attemptId,
    verb,
    state: 'asking',
    gatewayReference: null,
    authorizationCode: null,
    declineReason: null,
    startedAt: now,
    endedAt: null,
  };
}

/** Whether somebody must still do something about it. */
export const isOpen = (row: AttemptRow): boolean =>
  row.state === 'asking' || row.state === 'unknown' || row.state === 'authorized';

/** The row as an outcome leaves it. `notFound` and `notSent` are the same to the journal: nothing was charged. */
export function settled(row: AttemptRow, asked: Asked, now: number): AttemptRow {
  if (row.state === 'voided') return row;
  if (row.state === 'authorized') return captured(row, asked, now);
  switch (asked.outcome) {
    case 'authorized':
      return {
        ...row,
        state: 'authorized',
        gatewayReference: nameToKeep(asked.gatewayReference),
        authorizationCode: asked.authorizationCode,
        endedAt: null,
      };
    case 'approved':
      return {
        ...row,
        state: 'approved',
        gatewayReference: nameToKeep(asked.gatewayReference),
        authorizationCode: asked.authorizationCode,
        endedAt: now,
      };
    case 'declined':
      return {
        ...row,
        state: 'declined',
        gatewayReference: nameToKeep(asked.gatewayReference),
        declineReason: asked.reason,
        endedAt: now,
      };
    case 'notFound':
    case 'notSent':
      return { ...row, state: 'notSent', endedAt: now };
    case 'unknown':
      return { ...row, state: 'unknown', endedAt: null };
  }
}

/**
 * What the gateway calls the charge, or null where that could be a card number, an expiry or a code: no record may hold
 * what may be one, and the charge is as well followed up under our own key.
 */
function nameToKeep(gatewayReference: string | null): string | null {
  return gatewayReference !== null && couldBeCardField(gatewayReference) ? null : gatewayReference;
}

/** As a void or refund leaves it. */
export function undone(row: AttemptRow, asked: Asked, now: number): AttemptRow {
  return asked.outcome === 'approved' ? { ...row, state: 'voided', endedAt: now } : row;
}

/** What is held stays held until it is known to be captured or voided; its reference is the authorization's. */
function captured(row: AttemptRow, asked: Asked, now: number): AttemptRow {
  switch (asked.outcome) {
    case 'approved':
      return { ...row, state: 'approved', endedAt: now };
    case 'declined':
      return { ...row, declineReason: asked.reason };
    default:
      return row;
  }
}

/** Codes a worker answers with before anything of the request has left it. */
const BEFORE_SENDING: ReadonlySet<string> = new Set(['EGRESS_NOT_ALLOWED', 'TEMPLATE_INVALID', 'VAULT_FULL']);

/**
 * Asks the gateway once, within `timeoutMs` or the adapter's own limit. Never throws: a failure that says that nothing was sent is `notSent`, every other one is
 * `unknown`, because a request whose fate nobody saw may have been carried out.
 */
export async function askGateway(
  deps: ChargeDeps,
  adapter: GatewayAdapter,
  operation: GatewayOperation,
  paymentId: PaymentId | null,
  timeoutMs?: number,
): Promise<Asked> {
  const startedAt = deps.clock.now();
  const asked = await askOnce(deps, adapter, operation, paymentId, timeoutMs);
  deps.metrics.gatewayAsked(adapter.name, operation.verb, asked.outcome, deps.clock.now() - startedAt);
  deps.log.info('gateway asked', {
    gateway: adapter.name,
    verb: operation.verb,
    key: operation.idempotencyKey,
    outcome: asked.outcome,
  });
  return asked;
}

async function askOnce(
  deps: ChargeDeps,
  adapter: GatewayAdapter,
  operation: GatewayOperation,
  paymentId: PaymentId | null,
  timeoutMs: number | undefined,
): Promise<Asked> {
  let sent = false;
  try {
    const request = adapter.request(operation);
    sent = true;
    const answer = await deps.media.send(paymentId, timeoutMs === undefined ? request : { ...request, timeoutMs });
    return adapter.outcome(operation, answer);
  } catch (error) {
    const code = error instanceof ServiceError ? error.code : 'INTERNAL';
    const isSure =
      !sent || BEFORE_SENDING.has(code) || code === 'GATEWAY_UNREACHABLE' || code === 'GATEWAY_REQUEST_INVALID';
    deps.metrics.failure(code);
    return isSure ? { outcome: 'notSent', reason: code } : { outcome: 'unknown', reason: code };
  }
}

/** Built from a row, so that the same charge is always asked under the same key. */
export function operationOf(
  row: AttemptRow,
  verb: GatewayVerb,
  more: { readonly reference: string; readonly description: string; readonly fields: readonly FieldName[] },
): GatewayOperation {
  const { idempotencyKey, amountMinor, currency, gatewayReference } = row;
  return {
    verb,
    idempotencyKey,
    amountMinor,
    currency,
    ...more,
    ...(gatewayReference === null ? {} : { gatewayReference }),
  };
}

/** One step where the gateway can: money taken by phone is wanted at once. */
export function chargeVerb(gateway: GatewayAdapter): 'purchase' | 'authorize' {
  return gateway.capabilities.verbs.includes('purchase') ? 'purchase' : 'authorize';
}

export function undoVerb(gateway: GatewayAdapter): 'void' | 'refund' | null {
  if (gateway.capabilities.verbs.includes('void')) return 'void';
  return gateway.capabilities.verbs.includes('refund') ? 'refund' : null;
}
