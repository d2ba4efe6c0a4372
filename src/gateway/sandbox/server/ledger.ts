import { createHash, randomBytes } from 'node:crypto';
import {
  SANDBOX_AMOUNTS,
  type SandboxBehaviour,
  type SandboxCharge,
  type SandboxDecline,
  type SandboxFault,
  type SandboxFollowUp,
  type SandboxTransaction,
} from '../api.ts';
import { TEST_CARDS } from './test-cards.ts';

export const TRANSACTIONS_MAX = 100_000;

/** What the server does with the connection after the ledger has decided. */
export interface LedgerAnswer {
  readonly status: number;
  readonly body: SandboxTransaction | SandboxFault;
  /** `lost` closes the connection without a byte; `slow` waits first. */
  readonly delivery: 'now' | 'slow' | 'lost';
}

interface Entry {
  transaction: SandboxTransaction;
  readonly behaviour: SandboxBehaviour;
  readonly fingerprint: string;
  capturedMinor: number;
  refundedMinor: number;
  /** Answers of capture, void and refund by their idempotency keys. */
  readonly followUps: Map<string, { fingerprint: string; status: number; body: SandboxTransaction | SandboxFault }>;
  /** The first answer was spoilt on purpose; the next is true. */
  spoiled: boolean;
}

export type SandboxAsk = 'authorize' | 'purchase';
export type SandboxChange = 'capture' | 'void' | 'refund';

/**
 * The sandbox's books. Pure but for the ids it makes up: one call, one answer, and what a spoilt answer did is in the
 * books. Keeps brand and last four of a card, and a salted digest to know the same request again; never the card.
 */
export class Ledger {
  readonly #entries = new Map<string, Entry>();
  readonly #byId = new Map<string, Entry>();
  /** Keys that were answered 500 without a charge. */
  readonly #refusedOnce = new Set<string>();
  readonly #salt = randomBytes(16);

  charge(verb: SandboxAsk, key: string, charge: SandboxCharge): LedgerAnswer {
    const fingerprint = this.#fingerprint({ verb, ...charge });
    const known = this.#entries.get(key);
    if (known !== undefined) return this.#replay(known, fingerprint);
    if (this.#entries.size >= TRANSACTIONS_MAX) return fault(500, 'internal', `${TRANSACTIONS_MAX} transactions held`);

    const card = TEST_CARDS.find((one) => one.pan === charge.pan);
    const behaviour: SandboxBehaviour =
      card === undefined
        ? { kind: 'decline', reason: 'invalid-card' }
        : (SANDBOX_AMOUNTS.get(charge.amount_minor) ?? card.behaviour);

    if (behaviour.kind === 'errorBeforeCommit' && !this.#refusedOnce.has(key)) {
      this.#refusedOnce.add(key);
      return fault(500, 'internal', 'try again: nothing was charged');
    }
    const declined = behaviour.kind === 'decline' ? behaviour.reason : null;
    const entry = this.#book(verb, key, charge, fingerprint, { brand: card?.brand ?? 'unknown', declined, behaviour });
    switch (behaviour.kind) {
      case 'slow':
        return { ...answerOf(entry), delivery: 'slow' };
      case 'silent':
        return { ...answerOf(entry), delivery: 'lost' };
      case 'answerLost':
        entry.spoiled = true;
        return { ...answerOf(entry), delivery: 'lost' };
      case 'errorAfterCommit':
        entry.spoiled = true;
        return fault(500, 'internal', 'something broke');
      case 'duplicate':
        entry.spoiled = true;
        return fault(409, 'duplicate', 'this key was seen before');
      default:
        return answerOf(entry);
    }
  }

  change(verb: SandboxChange, key: string, change: SandboxFollowUp): LedgerAnswer {
    const entry =
      change.charge_key !== undefined
        ? this.#entries.get(change.charge_key)
        : this.#byId.get(change.transaction_id ?? '');
    if (entry === undefined) return fault(404, 'notFound', 'no such transaction');
    const fingerprint = this.#fingerprint({ verb, ...change });
    const before = entry.followUps.get(key);
    if (before !== undefined) {
      if (before.fingerprint !== fingerprint) return fault(409, 'keyReused', 'this key came with another request');
      return { status: before.status, body: before.body, delivery: 'now' };
    }
    const answer = applyChange(entry, verb, change);
    entry.followUps.set(key, { fingerprint, status: answer.status, body: answer.body });
    return answer;
  }

  lookup(key: string): LedgerAnswer {
    const entry = this.#entries.get(key);
    if (entry === undefined) return fault(404, 'notFound', 'no such transaction');
    return { status: 200, body: entry.transaction, delivery: 'now' };
  }

  /** Oldest first; all of them where no reference is given. */
  list(reference: string | null): SandboxTransaction[] {
    const all = [...this.#entries.values()].map((entry) => entry.transaction);
    return reference === null ? all : all.filter((one) => one.reference === reference);
  }

  #book(
    verb: SandboxAsk,
    key: string,
    charge: SandboxCharge,
    fingerprint: string,
    known: { brand: string; declined: SandboxDecline | null; behaviour: SandboxBehaviour },
  ): Entry {
    const approved = verb === 'purchase' ? 'captured' : 'authorized';
    const transaction: SandboxTransaction = {
      id: `sbx_${randomBytes(8).toString('hex')}`,
      idempotency_key: key,
      status: known.declined === null ? approved : 'declined',
      authorization_code: known.declined === null ? randomBytes(3).toString('hex').toUpperCase() : null,
      decline_reason: known.declined,
      text: known.declined === null ? 'approved' : known.declined.replaceAll('-', ' '),
      amount_minor: charge.amount_minor,
      currency: charge.currency,
      reference: charge.reference,
      brand: known.brand,
      // Nothing is kept of a card that is no test card.
      last4: known.declined === 'invalid-card' ? '' : charge.pan.slice(-4),
      asked: 1,
    };
    const captured = transaction.status === 'captured' ? charge.amount_minor : 0;
    const entry: Entry = {
      transaction,
      behaviour: known.behaviour,
      fingerprint,
      capturedMinor: captured,
      refundedMinor: 0,
      followUps: new Map(),
      spoiled: false,
    };
    this.#entries.set(key, entry);
    this.#byId.set(transaction.id, entry);
    return entry;
  }

  #replay(entry: Entry, fingerprint: string): LedgerAnswer {
    if (entry.fingerprint !== fingerprint) return fault(409, 'keyReused', 'this key came with another request');
    entry.transaction = { ...entry.transaction, asked: entry.transaction.asked + 1 };
    entry.spoiled = false;
    return entry.behaviour.kind === 'silent' ? { ...answerOf(entry), delivery: 'lost' } : answerOf(entry);
  }

  #fingerprint(request: object): string {
    return createHash('sha256').update(this.#salt).update(JSON.stringify(request)).digest('hex');
  }
}

function answerOf(entry: Entry): LedgerAnswer {
  const status = entry.transaction.status === 'declined' ? 402 : 200;
  return { status, body: entry.transaction, delivery: 'now' };
}

function fault(status: number, code: SandboxFault['error']['code'], message: string): LedgerAnswer {
  return { status, body: { error: { code, message } }, delivery: 'now' };
}

/**
 *   verb     status                what is left          becomes
 *   -------  --------------------  --------------------  --------
 *   capture  authorized            amount                captured
 *   void     authorized, captured  nothing refunded yet  voided
 *   refund   captured              captured - refunded   refunded (once nothing is left)
 */
function applyChange(entry: Entry, verb: SandboxChange, change: SandboxFollowUp): LedgerAnswer {
  const { transaction } = entry;
  const impossible = (why: string) => fault(409, 'notPossible', `${verb} of a transaction that is ${why}`);
  if (change.currency !== transaction.currency) return impossible(`in ${transaction.currency}`);
  switch (verb) {
    case 'capture':
      if (transaction.status !== 'authorized') return impossible(transaction.status);
      if (change.amount_minor > transaction.amount_minor) return impossible('smaller');
      if (entry.behaviour.kind === 'captureRefused') {
        const why = { status: 'declined', decline_reason: 'do-not-honor', text: 'capture refused' } as const;
        return { status: 402, body: { ...transaction, ...why }, delivery: 'now' };
      }
      entry.capturedMinor = change.amount_minor;
      entry.transaction = { ...transaction, status: 'captured' };
      break;
    case 'void':
      if (!['authorized', 'captured'].includes(transaction.status)) return impossible(transaction.status);
      if (entry.refundedMinor > 0) return impossible('refunded in part');
      entry.transaction = { ...transaction, status: 'voided' };
      break;
    case 'refund':
      if (transaction.status !== 'captured') return impossible(transaction.status);
      if (change.amount_minor > entry.capturedMinor - entry.refundedMinor) return impossible('smaller');
      entry.refundedMinor += change.amount_minor;
      if (entry.refundedMinor === entry.capturedMinor) entry.transaction = { ...transaction, status: 'refunded' };
      break;
  }
  return { status: 200, body: entry.transaction, delivery: 'now' };
}
