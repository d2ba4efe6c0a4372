/*
 * The sandbox gateway's HTTP API, as its server answers and our adapter asks. JSON both ways.
 *
 *   POST /v1/authorize | /v1/purchase    SandboxCharge      Idempotency-Key: ours
 *   POST /v1/capture | /v1/void | /v1/refund   SandboxFollowUp   Idempotency-Key: ours
 *   GET  /v1/transactions/{key}          the transaction that the charge with this idempotency key made
 *   GET  /v1/transactions?reference=R    all of them, oldest first: { transactions: SandboxTransaction[] }; for tests
 *
 * `Authorization: Bearer KEY` where the server was started with a key; otherwise it is not read.
 *
 *   status  body                 means
 *   200     SandboxTransaction   approved (or, for GET, whatever it is)
 *   402     SandboxTransaction   declined: `declineReason` says why
 *   400     SandboxFault         bad request: nothing was charged
 *   401     SandboxFault         wrong key: nothing was charged
 *   404     SandboxFault         no such transaction
 *   409     SandboxFault         `duplicate`: seen before, look it up; `keyReused`: same key, other request, not charged;
 *                                `notPossible`: capture, void or refund of what is not in a state for it
 *   500     SandboxFault         nobody knows: look it up
 *
 * A key that comes again with the same request gets the first answer again, also where the first answer was lost.
 * A card that is not in server/test-cards.ts is declined as `invalid-card` and nothing of it is kept.
 */

export type SandboxVerb = 'authorize' | 'purchase' | 'capture' | 'void' | 'refund';

/** Numbers as strings of digits: month two, year two, `cvc` three or four; what the caller did not key is left out. */
export interface SandboxCharge {
  readonly pan: string;
  readonly expiry_month: string;
  readonly expiry_year: string;
  readonly cvc?: string;
  readonly postcode?: string;
  readonly start_month?: string;
  readonly start_year?: string;
  readonly issue_number?: string;
  readonly amount_minor: number;
  readonly currency: string;
  readonly reference: string;
  readonly description: string;
}

/** By our key of the charge, or by their id; one of the two. `amount_minor` at most what is left of the charge. */
export interface SandboxFollowUp {
  readonly charge_key?: string;
  readonly transaction_id?: string;
  readonly amount_minor: number;
  readonly currency: string;
}

export type SandboxStatus = 'authorized' | 'captured' | 'declined' | 'voided' | 'refunded';

export type SandboxDecline =
  | 'do-not-honor'
  | 'insufficient-funds'
  | 'expired-card'
  | 'incorrect-cvc'
  | 'lost-or-stolen'
  | 'not-supported'
  | 'invalid-card';

/** Never the number, expiry or code: `last4` and `brand` only. */
export interface SandboxTransaction {
  readonly id: string;
  readonly idempotency_key: string;
  readonly status: SandboxStatus;
  /** Six characters, or null where declined. */
  readonly authorization_code: string | null;
  readonly decline_reason: SandboxDecline | null;
  readonly text: string;
  readonly amount_minor: number;
  readonly currency: string;
  readonly reference: string;
  readonly brand: string;
  readonly last4: string;
  /** How often this key was asked for, replays included. */
  readonly asked: number;
}

export interface SandboxFault {
  readonly error: {
    readonly code:
      | 'requestInvalid'
      | 'unauthorized'
      | 'notFound'
      | 'duplicate'
      | 'keyReused'
      | 'notPossible'
      | 'internal';
    readonly message: string;
  };
}

/** What the server does with a charge; a test card or a test amount chooses it, the amount first. */
export type SandboxBehaviour =
  | { readonly kind: 'approve' }
  | { readonly kind: 'decline'; readonly reason: SandboxDecline }
  /** Commits, and answers after `slowMs` of the server's settings. */
  | { readonly kind: 'slow' }
  /** Commits, then closes the connection without an answer, once; a replay gets the answer. */
  | { readonly kind: 'answerLost' }
  /** Commits, then answers 500, once; a replay gets the answer. */
  | { readonly kind: 'errorAfterCommit' }
  /** Answers 500 without having charged; a replay is charged. */
  | { readonly kind: 'errorBeforeCommit' }
  /** Commits, and closes the connection without an answer every time; only a lookup finds it. */
  | { readonly kind: 'silent' }
  /** Authorizes; a capture is declined and leaves it authorized. A purchase is approved. */
  | { readonly kind: 'captureRefused' }
  /** Commits, then answers 409 `duplicate`, as gateways do that see a charge twice. */
  | { readonly kind: 'duplicate' };

/** Whole amounts in minor units that choose a behaviour with any test card: 9001 is 90 dollars and 1 cent. */
export const SANDBOX_AMOUNTS: ReadonlyMap<number, SandboxBehaviour> = new Map<number, SandboxBehaviour>([
  [9001, { kind: 'decline', reason: 'do-not-honor' }],
  [9002, { kind: 'decline', reason: 'insufficient-funds' }],
  [9003, { kind: 'decline', reason: 'expired-card' }],
  [9004, { kind: 'decline', reason: 'incorrect-cvc' }],
  [9005, { kind: 'decline', reason: 'lost-or-stolen' }],
  [9010, { kind: 'slow' }],
  [9011, { kind: 'answerLost' }],
  [9012, { kind: 'errorAfterCommit' }],
  [9013, { kind: 'duplicate' }],
  [9014, { kind: 'errorBeforeCommit' }],
  [9015, { kind: 'silent' }],
  [9016, { kind: 'captureRefused' }],
]);
