import Type from 'typebox';
import type { AttemptRow, EventRow, PaymentRow, RecordedEvent, SegmentRow } from '../app/ports.ts';
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
export const ConversationDetails = Type.Object({
  ...conversation,
  segments: Type.Array(Segment),
  legs: Type.Array(
    Type.Object(
      { endedAt: time, figures: Type.Record(Type.String(), Type.Unknown()) },
      { description: 'docs/quality.md' },
    ),
    { description: 'What each leg that has ended came to.' },
  ),
});
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

/** The data of an event of a stream; its id is the stream's. */
export const StreamedEvent = Type.Object(
  { callId: text, paymentId: textOrNull, ...Event.properties },
  { description: 'A recorded event.' },
);

export const Progress = Type.Object(
  {
    callId: text,
    paymentId: text,
    at: time,
    field: text,
    masked: Type.String({ description: 'A dot for each digit; the last four of a card number once it has ended.' }),
    length: count,
    brands: Type.Array(Type.String(), { description: 'That the card number still fits.' }),
    valid: Type.Boolean({ description: 'As long as it must be, and its check passes.' }),
    ended: Type.Boolean(),
  },
  { description: 'A field after a key.' },
);

export const PaymentDetails = Type.Object({
  ...Payment.properties,
  attempts: Type.Array(Attempt),
  events: Type.Array(Type.Object({ id: Type.Integer({ description: 'As in event streams.' }), ...Event.properties })),
});

export function iso(at: number): string {
  return new Date(at).toISOString();
}

function times(row: { readonly startedAt: number; readonly endedAt: number | null }) {
  return { startedAt: iso(row.startedAt), endedAt: row.endedAt === null ? null : iso(row.endedAt) };
}

export const paymentBody = (row: PaymentRow) => ({ ...row, ...times(row) });
export const segmentBody = (row: SegmentRow) => ({ ...row, ...times(row) });
export const legBody = ({ at, detail }: EventRow) => ({ endedAt: iso(at), figures: { ...detail } });
export const attemptBody = (row: AttemptRow) => ({ ...row, ...times(row) });
export const eventBody = ({ sequence, at, kind, detail }: EventRow) => {
  return { sequence, at: iso(at), kind, detail: { ...detail } };
};
export const recordedBody = (row: RecordedEvent) => ({ id: row.ordinal, ...eventBody(row) });
export const streamedBody = (row: EventRow) => {
  return { callId: row.callId, paymentId: row.paymentId, ...eventBody(row) };
};
export const conversationBody = (row: ConversationShown) => ({
  ...row,
  ...times(row),
  payments: row.payments.map(paymentBody),
});
