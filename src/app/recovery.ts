import type { Timer } from '../lib/clock.ts';
import { ServiceError } from '../lib/errors.ts';
import { type Asked, askGateway, isOpen, operationOf, settled, undone, undoVerb } from './charges.ts';
import type { AppDeps } from './deps.ts';
import type { AttemptRow, GatewayVerb, PaymentRow, UnsettledPayment } from './ports.ts';

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
        if (unsettled.payment.endedAt === null || !canSettle(deps, unsettled)) continue;
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

/** What is held needs no lookup: it is voided under its own key, however often. */
function canSettle(deps: RecoveryDeps, { attempts }: UnsettledPayment): boolean {
  return attempts.some((row) => row.state === 'authorized' || (isOpen(row) && canLookUp(deps, row)));
}

function canLookUp(deps: RecoveryDeps, row: AttemptRow): boolean {
  return deps.gateways.get(row.gateway)?.capabilities.unknownOutcome === 'lookup';
}

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
  // Who was being told already may have heard otherwise; what was noted for a person then still stands.
  const heard = payment.state === 'announcing' ? payment.attention : null;
  const late = (text: string): string | null =>
    payment.endedAt === null ? heard : `${text}: found after the call had ended as ${payment.result}`;
  switch (last?.state) {
    case 'approved':
      return { result: 'approved', attention: late('approved') };
    case 'declined':
      return { result: 'declined', attention: late('declined') };
    case 'voided':
      return { result: voidedResult(payment), attention: late('voided') };
    case 'authorized': {
      const text = `charge ${last.idempotencyKey} at ${last.gateway} is authorized, neither captured nor voided`;
      return { result: payment.result ?? 'unknown', attention: payment.attention ?? text };
    }
    case 'asking':
    case 'unknown':
      return { result: 'unknown', attention: `outcome of charge ${last.idempotencyKey} at ${last.gateway} is unknown` };
    case 'notSent':
      return { result: 'failed', attention: late('nothing was charged') };
    case undefined:
      return { result: 'failed', attention: null };
  }
}

/** A payment that ended as unknown is now proved not charged; one that ended as that already keeps its word for it. */
function voidedResult({ endedAt, result }: PaymentRow): PaymentRow['result'] {
  if (endedAt === null) return 'abandoned';
  return result === 'unknown' ? 'failed' : result;
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
  // What is known to be held is asked for by its capture or its void.
  const found =
    row.state === 'authorized' ? row : settled(row, await lookUp(deps, payment, row, until), deps.clock.now());
  // On disk before the capture: a second crash finds what is held.
  if (found.state !== row.state) await deps.store.saveAttempt(found);
  if (found.state !== 'authorized') return found;
  const after = await settleHeld(deps, payment, found, until);
  if (after !== found) await deps.store.saveAttempt(after);
  return after;
}

/** States in which nobody had decided against the charge yet. */
const BEFORE_CAPTURE: ReadonlySet<string> = new Set(['authorizing', 'resolving', 'capturing']);

/**
 * Captured where the flow completes what a caller left and the payment was on its way there; otherwise, and where the
 * capture is refused, voided. Both go by the charge's own key, so one that was carried out before the crash is not
 * carried out twice. A payment that has ended, or was being told that it failed, is never captured.
 */
async function settleHeld(
  deps: RecoveryDeps,
  payment: PaymentRow,
  row: AttemptRow,
  until: number,
): Promise<AttemptRow> {
  const adapter = deps.gateways.get(row.gateway);
  const completes =
    deps.flows.get(payment.flow)?.onHangUp !== 'void' && adapter?.capabilities.verbs.includes('capture');
  const now = () => deps.clock.now();
  if (completes && payment.endedAt === null && BEFORE_CAPTURE.has(payment.state)) {
    for (let tries = 1; ; tries += 1) {
      const asked = await ask(deps, payment, row, 'capture');
      if (asked.outcome === 'declined') break;
      const after = settled(row, asked, now());
      if (after.state === 'approved' || tries >= LOOKUPS_MAX || now() >= until) return after;
      await wait(deps, LOOKUP_DELAY_MS);
    }
  } else if (canLookUp(deps, row)) {
    // A capture of before may have been carried out: that is a charge found later, and not ours to undo unasked.
    const found = settled(row, await lookUp(deps, payment, row, until), now());
    if (found.state === 'approved') return found;
  }
  const verb = adapter === undefined ? null : undoVerb(adapter);
  return verb === null ? row : undone(row, await ask(deps, payment, row, verb), now());
}

function wait(deps: RecoveryDeps, ms: number): Promise<void> {
  return new Promise((resolve) => {
    deps.clock.startTimer(ms, resolve);
  });
}

async function lookUp(deps: RecoveryDeps, payment: PaymentRow, row: AttemptRow, until: number): Promise<Asked> {
  if (!canLookUp(deps, row)) return { outcome: 'unknown', reason: 'no lookup' };
  for (let tries = 1; ; tries += 1) {
    const asked = await ask(deps, payment, row, 'lookup');
    if (asked.outcome !== 'notSent' && asked.outcome !== 'unknown') return asked;
    // A lookup that was not sent says nothing of the charge.
    if (tries >= LOOKUPS_MAX || deps.clock.now() >= until) return { outcome: 'unknown', reason: asked.reason };
    await wait(deps, LOOKUP_DELAY_MS);
  }
}

async function ask(deps: RecoveryDeps, payment: PaymentRow, row: AttemptRow, verb: GatewayVerb): Promise<Asked> {
  const adapter = deps.gateways.get(row.gateway);
  if (adapter === undefined) return { outcome: 'unknown', reason: 'no gateway' };
  const reference = payment.reference ?? payment.paymentId;
  const operation = operationOf(row, verb, { reference, description: payment.flow, fields: [] });
  return askGateway(deps, adapter, operation, null, deps.flows.get(payment.flow)?.gatewayTimeoutMs);
}

const TWO_STEPS: readonly GatewayVerb[] = ['authorize', 'capture', 'void'];

/** For the composition root: a flow's gateway must exist and be able to take money. Throws CONFIG_INVALID. */
export function checkGateways(deps: Pick<AppDeps, 'flows' | 'gateways' | 'defaultFlow'>): void {
  if (!deps.flows.has(deps.defaultFlow)) throw new ServiceError('CONFIG_INVALID', `no flow ${deps.defaultFlow}`);
  for (const flow of deps.flows.values()) {
    const verbs = deps.gateways.get(flow.gateway)?.capabilities.verbs;
    if (verbs === undefined) throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: no gateway ${flow.gateway}`);
    // What is authorized must be taken, or let go where it cannot be.
    const lacking = verbs.includes('purchase') ? [] : TWO_STEPS.filter((verb) => !verbs.includes(verb));
    if (lacking.length > 0) {
      const text = `gateway ${flow.gateway} has no purchase, and without it no ${lacking.join(', ')}`;
      throw new ServiceError('CONFIG_INVALID', `flow ${flow.name}: ${text}`);
    }
    if (flow.onHangUp === 'void' && !verbs.includes('void') && !verbs.includes('refund')) {
      throw new ServiceError(
        'CONFIG_INVALID',
        `flow ${flow.name}: gateway ${flow.gateway} can neither void nor refund`,
      );
    }
  }
}
