import type { AttemptRow, ConversationRow, EventRow, PaymentRow } from '../../src/app/ports.ts';

/** Rows for tests, complete; a test names only what it is about. */
export const START = 1_795_427_496_000;

export function conversation(over: Partial<ConversationRow> = {}): ConversationRow {
  return {
    callId: 'ca_1',
    startedAt: START,
    endedAt: null,
    profile: 'carrier-trunk',
    from: '+4917612345674',
    to: 'pay',
    customer: 'C-1001',
    reference: 'INV-7',
    endedBy: null,
    ...over,
  };
}

export function payment(over: Partial<PaymentRow> = {}): PaymentRow {
  return {
    paymentId: 'pa_1',
    callId: 'ca_1',
    flow: 'default',
    state: 'collecting',
    result: null,
    amountMinor: 4210,
    currency: 'USD',
    reference: 'INV-7',
    brand: 'visa',
    last4: '4242',
    declines: 0,
    startedAt: START,
    endedAt: null,
    attention: null,
    ...over,
  };
}

export function attempt(over: Partial<AttemptRow> = {}): AttemptRow {
  return {
    attemptId: 'at_1',
    paymentId: 'pa_1',
    idempotencyKey: 'at_1',
    verb: 'purchase',
    gateway: 'sandbox',
    amountMinor: 4210,
    currency: 'USD',
    state: 'asking',
    gatewayReference: null,
    authorizationCode: null,
    declineReason: null,
    startedAt: START,
    endedAt: null,
    ...over,
  };
}

export function event(over: Partial<EventRow> = {}): EventRow {
  return { callId: 'ca_1', paymentId: 'pa_1', sequence: 1, at: START, kind: 'fieldEnded', detail: {}, ...over };
}
