import Type from 'typebox';
import type { AttemptRow, EventRow, PaymentRow, SegmentRow } from '../app/ports.ts';
import type { ConversationShown } from './options.ts';

/*
 * What the API answers. Times are ISO 8601 in UTC; amounts are whole minor units. Nothing here could hold a card number,
 * expiry or code.
 */
const text = Type.String();
const textOrNull = Type.Union([Type.String(), Type.Null()]);
const time = Type.String({ format: 'date-time' });
const timeOrNull = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);
const count = Type.Integer();
const countOrNull = Type.Union([Type.Integer(), Type.Null()]);

export const PAYMENT_RESULTS = ['approved', 'declined', 'abandoned', 'failed', 'unknown', 'not-identified'] as const;

export const Payment = Type.Object({
  paymentId: text,
  callId: text,
  flow: text,
  state: text,
  result: Type.Union([Type.Enum([...PAYMENT_RESULTS]), Type.Null()]),
  amountMinor: countOrNull,
  currency: text,
  reference: textOrNull,
  brand: textOrNull,
  last4: textOrNull,
  declines: count,
  startedAt: time,
  endedAt: timeOrNull,
  attention: Type.Union([Type.String(), Type.Null()], { description: 'What a person must look at.' }),
});

export const Segment = Type.Object({
  segmentId: text,
  kind: text,
  startedAt: time,
  endedAt: timeOrNull,
  outcome: textOrNull,
});

const conversation = {
  callId: text,
  startedAt: time,
  endedAt: timeOrNull,
  profile: text,
  from: text,
  to: text,
  customer: textOrNull,
  reference: textOrNull,
  endedBy: textOrNull,
  payments: Type.Array(Payment),
};
export const Conversation = Type.Object(conversation);
export const ConversationDetails = Type.Object({ ...conversation, segments: Type.Array(Segment) });
export const ConversationPage = Type.Object({
  conversations: Type.Array(Conversation),
  next: Type.Union([Type.String(), Type.Null()], { description: 'The cursor of the next page; null at the end.' }),
});

export const Attempt = Type.Object({
  attemptId: text,
  idempotencyKey: text,
  verb: text,
  gateway: text,
  amountMinor: count,
  currency: text,
  state: text,
  gatewayReference: textOrNull,
  authorizationCode: textOrNull,
  declineReason: textOrNull,
  startedAt: time,
  endedAt: timeOrNull,
});

export const Event = Type.Object({
  sequence: count,
  at: time,
  kind: text,
  detail: Type.Record(Type.String(), Type.Unknown()),
});

export const PaymentDetails = Type.Object({
  ...Payment.properties,
  attempts: Type.Array(Attempt),
  events: Type.Array(Event),
});

export function iso(at: number): string {
  return new Date(at).toISOString();
}

function times(row: { readonly startedAt: number; readonly endedAt: number | null }) {
  return { startedAt: iso(row.startedAt), endedAt: row.endedAt === null ? null : iso(row.endedAt) };
}

export const paymentBody = (row: PaymentRow) => ({ ...row, ...times(row) });
export const segmentBody = (row: SegmentRow) => ({ ...row, ...times(row) });
export const attemptBody = (row: AttemptRow) => ({ ...row, ...times(row) });
export const eventBody = (row: EventRow) => ({ ...row, at: iso(row.at), detail: { ...row.detail } });
export const conversationBody = (row: ConversationShown) => ({
  ...row,
  ...times(row),
  payments: row.payments.map(paymentBody),
});
