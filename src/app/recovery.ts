import type { Timer } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import type { AppDeps } from './app.ts';
import { type Asked, askGateway, operationOf, settled } from './charges.ts';
import type { AttemptRow, GatewayVerb, PaymentRow, UnsettledPayment } from './ports.ts';
import { undoVerb } from './session-runner.ts';

export type RecoveryDeps = Pick<AppDeps, 'store' | 'gateways' | 'flows' | 'media' | 'clock' | 'log' | 'metrics'>;

export interface Recovered {
  /** Conversations of an earlier run that got an end. */
  readonly ended: number;
  /** Payments that now have a result that holds. */
  readonly settled: number;
  /** Ids of payments that a person must look at. */
  readonly open: readonly string[];
}

/** How often one attempt is looked up in one pass. */
const LOOKUPS_MAX = 3;
const LOOKUP_DELAY_MS = 2_000;
/** The start waits no longer for gateways than this; what is left then is looked up while the process lives. */
const RECOVER_MS_MAX = 60_000;
const PAYMENTS_PER_PASS_MAX = 1_000;
/** While the process lives: how often, and for how long after its payment began, an unknown outcome is looked up. */
export const LOOK_AGAIN_EVERY_MS = 300_000;
export const LOOK_AGAIN_MS_MAX = 86_400_000;

/**
 * Settles what an earlier run left: conversations and segments without an end, and payments without one or with an
 * attempt whose outcome is not known. By lookup where the gateway has it; the fields are gone, so nothing can be sent
 * again. What stays unknown gets `attention`. Call it before calls are let in: it takes every open row for left over.
 */
export async function recoverPayments(deps: RecoveryDeps): Promise<Recovered> {
  const ended = await deps.store.endLeftOpen();
  const until = deps.clock.now() + RECOVER_MS_MAX;
  const open: string[] = [];
  let count = 0;
  for (const unsettled of await deps.store.unsettledPayments(0, PAYMENTS_PER_PASS_MAX)) {
    const after = await settlePayment(deps, unsettled, until);
    if (after.attention === null) count += 1;
    else open.push(after.paymentId);
  }
  if (ended + count + open.length > 0) {
    deps.log.info('earlier run settled', { conversations: ended, payments: count, forPerson: open.length });
  }
  return { ended, settled: count, open };
}

/** Looks up again, now and then, what payments of this process left unknown. Returns the way to stop it. */
export function lookAgain(deps: RecoveryDeps): () => void {
  let timer: Timer;
  let isStopped = false;
  const pass = async (): Promise<void> => {
    const now = deps.clock.now();
    try {
      for (const unsettled of await deps.store.unsettledPayments(now - LOOK_AGAIN_MS_MAX, PAYMENTS_PER_PASS_MAX)) {
        if (isStopped) return;
        // One without an end is still on: its own session asks.
        if (unsettled.payment.endedAt === null || !hasLookup(deps, unsettled)) continue;
        await settlePayment(deps, unsettled, now);
      }
    } catch (error) {
      deps.metrics.failure(error instanceof ServiceError ? error.code : 'INTERNAL');
      deps.log.error('unknown outcomes not looked up', { error: String(error) });
    }
    if (!isStopped) start();
  };
  const start = (): void => {
    timer = deps.clock.startTimer(LOOK_AGAIN_EVERY_MS, () => void pass());
  };
  start();
  return () => {
    isStopped = true;
    timer.cancel();
  };
}

function hasLookup(deps: RecoveryDeps, { attempts }: UnsettledPayment): boolean {
  return attempts.some((row) => isOpen(row) && canLookUp(deps, row));
}

function canLookUp(deps: RecoveryDeps, row: AttemptRow): boolean {
  return deps.gateways.get(row.gateway)?.capabilities.unknownOutcome === 'lookup';
}

const isOpen = (row: AttemptRow): boolean => row.state === 'asking' || row.state === 'unknown';

/** Attempts first, then what they make of the payment. */
async function settlePayment(
  deps: RecoveryDeps,
  { payment, attempts }: UnsettledPayment,
  until: number,
): Promise<PaymentRow> {
  const after: AttemptRow[] = [];
  for (const row of attempts) after.push(isOpen(row) ? await settleAttempt(deps, payment, row, until) : row);
  const last = after.at(-1);
  const isLate = payment.endedAt !== null;
  // A caller who was being told that it is approved has paid; any other was gone before knowing.
  const isTold = isLate || payment.state === 'announcing';
  const mustVoid = !isTold && last?.state === 'approved' && deps.flows.get(payment.flow)?.onHangUp === 'void';
  const verdict = mustVoid ? await undo(deps, payment, last) : verdictOf(last, payment);
  const row: PaymentRow = {
    ...payment,
    ...verdict,
    state: 'ended',
    declines: Math.max(payment.declines, after.filter((one) => one.state === 'declined').length),
    endedAt: payment.endedAt ?? deps.clock.now(),
  };
  if (row.result !== payment.result || row.attention !== payment.attention || !isLate) {
    await deps.store.savePayment(row);
    const fields = { paymentId: row.paymentId, result: row.result };
    if (row.attention === null) deps.log.info('payment settled', fields);
    else deps.log.error('payment must be looked at by a person', { ...fields, attention: row.attention });
  }
  return row;
}

/** The last attempt decides: a new one begins only after the one before was declined. */
function verdictOf(last: AttemptRow | undefined, payment: PaymentRow): Pick<PaymentRow, 'result' | 'attention'> {
  const late = (text: string): string | null =>
    payment.endedAt === null ? null : `${text}: found after the call had ended as ${payment.result}`;
  switch (last?.state) {
    case 'approved':
      return { result: 'approved', attention: late('approved') };
    case 'declined':
      return { result: 'declined', attention: late('declined') };
    case 'voided':
      return { result: 'abandoned', attention: late('voided') };
    case 'asking':
    case 'unknown':
      return { result: 'unknown', attention: `outcome of charge ${last.idempotencyKey} at ${last.gateway} is unknown` };
    case 'notSent':
      return { result: 'failed', attention: late('nothing was charged') };
    case undefined:
      return { result: 'failed', attention: null };
  }
}

/** The caller is gone, and the flow says that such a charge does not stand. */
async function undo(
  deps: RecoveryDeps,
  payment: PaymentRow,
  row: AttemptRow,
): Promise<Pick<PaymentRow, 'result' | 'attention'>> {
  const adapter = deps.gateways.get(row.gateway);
  const verb = adapter === undefined ? null : undoVerb(adapter);
  if (adapter !== undefined && verb !== null) {
    const asked = await ask(deps, payment, row, verb);
    if (asked.outcome === 'approved') {
      await deps.store.saveAttempt({ ...row, state: 'voided', endedAt: deps.clock.now() });
      return { result: 'abandoned', attention: null };
    }
  }
  return { result: 'approved', attention: 'the process ended while this was charged, and the void was not confirmed' };
}

async function settleAttempt(
  deps: RecoveryDeps,
  payment: PaymentRow,
  row: AttemptRow,
  until: number,
): Promise<AttemptRow> {
  const asked = await lookUp(deps, payment, row, until);
  const after = settled(row, asked, deps.clock.now());
  if (after.state !== row.state) await deps.store.saveAttempt(after);
  return after;
}

async function lookUp(deps: RecoveryDeps, payment: PaymentRow, row: AttemptRow, until: number): Promise<Asked> {
  if (!canLookUp(deps, row)) return { outcome: 'unknown', reason: 'no lookup' };
  for (let tries = 1; ; tries += 1) {
    const asked = await ask(deps, payment, row, 'lookup');
    if (asked.outcome !== 'notSent' && asked.outcome !== 'unknown') return asked;
    // A lookup that was not sent says nothing of the charge.
    if (tries >= LOOKUPS_MAX || deps.clock.now() >= until) return { outcome: 'unknown', reason: asked.reason };
    await new Promise<void>((resolve) => {
      deps.clock.startTimer(LOOKUP_DELAY_MS, resolve);
    });
  }
}

async function ask(deps: RecoveryDeps, payment: PaymentRow, row: AttemptRow, verb: GatewayVerb): Promise<Asked> {
  const adapter = deps.gateways.get(row.gateway);
  if (adapter === undefined) return { outcome: 'unknown', reason: 'no gateway' };
  const reference = payment.reference ?? payment.paymentId;
  const operation = operationOf(row, verb, { reference, description: payment.flow, fields: [] });
  return askGateway(deps, adapter, operation, null, deps.flows.get(payment.flow)?.gatewayTimeoutMs);
}

/** For the composition root: a flow's gateway must exist and be able to take money. Throws CONFIG_INVALID. */
export function checkGateways(deps: Pick<AppDeps, 'flows' | 'gateways' | 'defaultFlow'>): void {
  if (!deps.flows.has(deps.defaultFlow)) throw new ServiceError('CONFIG_INVALID', `no flow ${deps.defaultFlow}`);
  for (const flow of deps.flows.values()) {
    const verbs = deps.gateways.get(flow.gateway)?.capabilities.verbs;
    if (verbs === undefined) throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: no gateway ${flow.gateway}`);
    if (!verbs.includes('purchase')) {
      throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: gateway ${flow.gateway} has no purchase`);
    }
    if (flow.onHangUp === 'void' && !verbs.includes('void') && !verbs.includes('refund')) {
      throw new ServiceError(
        'CONFIG_INVALID',
        `flow ${flow.name}: gateway ${flow.gateway} can neither void nor refund`,
      );
    }
  }
}
