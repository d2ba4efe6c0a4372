import type { Generated, Selectable } from 'kysely';
import type { AttemptRow, ConversationRow, PaymentRow, RecordedEvent, SegmentRow } from '../app/ports.ts';
import type { ColumnKind } from './guard.ts';

/** The database as kysely sees it; the columns are those of the migrations. Times are milliseconds since 1970. */
export interface Tables {
  readonly conversations: {
    call_id: string;
    started_at: number;
    ended_at: number | null;
    profile: string;
    from_number: string;
    to_number: string;
    customer: string | null;
    reference: string | null;
    ended_by: string | null;
  };
  readonly segments: {
    segment_id: string;
    call_id: string;
    kind: SegmentRow['kind'];
    started_at: number;
    ended_at: number | null;
    outcome: string | null;
  };
  readonly payments: {
    payment_id: string;
    call_id: string;
    flow: string;
    state: string;
    result: PaymentRow['result'];
    amount_minor: number | null;
    currency: string;
    reference: string | null;
    brand: string | null;
    last4: string | null;
    declines: number;
    started_at: number;
    ended_at: number | null;
    attention: string | null;
  };
  readonly attempts: {
    attempt_id: string;
    payment_id: string;
    idempotency_key: string;
    verb: AttemptRow['verb'];
    gateway: string;
    amount_minor: number;
    currency: string;
    state: AttemptRow['state'];
    gateway_reference: string | null;
    authorization_code: string | null;
    decline_reason: AttemptRow['declineReason'];
    started_at: number;
    ended_at: number | null;
  };
  readonly events: {
    ordinal: Generated<number>;
    call_id: string;
    sequence: number;
    payment_id: string | null;
    at: number;
    kind: string;
    detail: string;
  };
}

/**
 * What each column may take; the connection reads it before every write. Not listed are the columns that the tables
 * themselves close: kind, result, currency, last4, verb, the attempt's state, declines.
 */
export const GUARDED_COLUMNS: Readonly<Record<keyof Tables, Readonly<Record<string, ColumnKind>>>> = {
  conversations: {
    call_id: 'id',
    started_at: 'time',
    ended_at: 'time',
    profile: 'text',
    from_number: 'phone',
    to_number: 'phone',
    customer: 'text',
    reference: 'text',
    ended_by: 'words',
  },
  segments: { segment_id: 'id', call_id: 'id', started_at: 'time', ended_at: 'time', outcome: 'words' },
  payments: {
    payment_id: 'id',
    call_id: 'id',
    flow: 'words',
    state: 'words',
    amount_minor: 'number',
    reference: 'text',
    brand: 'words',
    started_at: 'time',
    ended_at: 'time',
    attention: 'words',
  },
  attempts: {
    attempt_id: 'id',
    payment_id: 'id',
    idempotency_key: 'words',
    gateway: 'words',
    amount_minor: 'number',
    gateway_reference: 'gateway',
    authorization_code: 'gateway',
    decline_reason: 'words',
    started_at: 'time',
    ended_at: 'time',
  },
  events: {
    ordinal: 'number',
    call_id: 'id',
    sequence: 'number',
    payment_id: 'id',
    at: 'time',
    kind: 'words',
    detail: 'detail',
  },
};

export function conversationOf(row: Tables['conversations']): ConversationRow {
  return {
    callId: row.call_id,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    profile: row.profile,
    from: row.from_number,
    to: row.to_number,
    customer: row.customer,
    reference: row.reference,
    endedBy: row.ended_by,
  };
}

export function segmentOf(row: Tables['segments']): SegmentRow {
  const { segment_id, call_id, kind, started_at, ended_at, outcome } = row;
  return { segmentId: segment_id, callId: call_id, kind, startedAt: started_at, endedAt: ended_at, outcome };
}

export function paymentOf(row: Tables['payments']): PaymentRow {
  const { payment_id, call_id, amount_minor, started_at, ended_at, ...same } = row;
  const ids = { paymentId: payment_id, callId: call_id, amountMinor: amount_minor };
  return { ...same, ...ids, startedAt: started_at, endedAt: ended_at };
}

export function attemptOf(row: Tables['attempts']): AttemptRow {
  return {
    attemptId: row.attempt_id,
    paymentId: row.payment_id,
    idempotencyKey: row.idempotency_key,
    verb: row.verb,
    gateway: row.gateway,
    amountMinor: row.amount_minor,
    currency: row.currency,
    state: row.state,
    gatewayReference: row.gateway_reference,
    authorizationCode: row.authorization_code,
    declineReason: row.decline_reason,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

export function eventOf(row: Selectable<Tables['events']>): RecordedEvent {
  const { ordinal, call_id, payment_id, sequence, at, kind } = row;
  const detail = JSON.parse(row.detail) as RecordedEvent['detail'];
  return { ordinal, callId: call_id, paymentId: payment_id, sequence, at, kind, detail };
}
