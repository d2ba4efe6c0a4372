import type { Kysely } from 'kysely';
import type { AttemptRow, ConversationRow, PaymentRow, RecordedEvent, SegmentRow } from '../app/ports.ts';
import { attemptOf, conversationOf, eventOf, paymentOf, segmentOf, type Tables } from './tables.ts';

/** No conversation has more of them in any honest use; what is beyond is left out. */
const SEGMENTS_MAX = 100;
const PAYMENTS_MAX = 100;
const LEGS_MAX = 100;
const ATTEMPTS_MAX = 200;
const EVENTS_MAX = 5_000;

export interface ConversationFilter {
  readonly customer?: string;
  readonly reference?: string;
  readonly profile?: string;
  /** Result of one of its payments. */
  readonly result?: NonNullable<PaymentRow['result']>;
  /** true: still going on; false: ended. */
  readonly active?: boolean;
  /** Milliseconds since 1970: started at or after; started before. */
  readonly startedFrom?: number;
  readonly startedBefore?: number;
}

export interface ConversationPage {
  readonly conversations: readonly ConversationSummary[];
  /** Where the next page begins, or null at the end. */
  readonly next: Cursor | null;
}

/** The row a page ended with: newest first, and pages hold still while new calls come in. */
export interface Cursor {
  readonly startedAt: number;
  readonly callId: string;
}

export interface ConversationSummary extends ConversationRow {
  readonly payments: readonly PaymentRow[];
}

export interface ConversationDetails extends ConversationSummary {
  readonly segments: readonly SegmentRow[];
  readonly legs: readonly RecordedEvent[];
}

export interface PaymentDetails extends PaymentRow {
  readonly attempts: readonly AttemptRow[];
  readonly events: readonly RecordedEvent[];
}

/** What the API asks. Every answer is bounded. */
export class Queries {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async conversations(filter: ConversationFilter, limit: number, after: Cursor | null): Promise<ConversationPage> {
    let query = this.#db.selectFrom('conversations').selectAll();
    if (filter.customer !== undefined) query = query.where('customer', '=', filter.customer);
    if (filter.reference !== undefined) query = query.where('reference', '=', filter.reference);
    if (filter.profile !== undefined) query = query.where('profile', '=', filter.profile);
    if (filter.active !== undefined) query = query.where('ended_at', filter.active ? 'is' : 'is not', null);
    if (filter.startedFrom !== undefined) query = query.where('started_at', '>=', filter.startedFrom);
    if (filter.startedBefore !== undefined) query = query.where('started_at', '<', filter.startedBefore);
    const { result } = filter;
    if (result !== undefined) {
      query = query.where('call_id', 'in', (by) =>
        by.selectFrom('payments').select('call_id').where('payments.result', '=', result),
      );
    }
    if (after !== null) {
      query = query.where((by) =>
        by.or([
          by('started_at', '<', after.startedAt),
          by.and([by('started_at', '=', after.startedAt), by('call_id', '<', after.callId)]),
        ]),
      );
    }
    const rows = await query
      .orderBy('started_at', 'desc')
      .orderBy('call_id', 'desc')
      .limit(limit + 1)
      .execute();
    const shown = rows.slice(0, limit).map(conversationOf);
    const payments = await this.#paymentsOf(shown.map((row) => row.callId));
    const last = rows.length > limit ? shown.at(-1) : undefined;
    return {
      conversations: shown.map((row) => ({ ...row, payments: payments.filter((one) => one.callId === row.callId) })),
      next: last === undefined ? null : { startedAt: last.startedAt, callId: last.callId },
    };
  }

  async conversation(callId: string): Promise<ConversationDetails | null> {
    const row = await this.#db.selectFrom('conversations').selectAll().where('call_id', '=', callId).executeTakeFirst();
    if (row === undefined) return null;
    const segments = await this.#db
      .selectFrom('segments')
      .selectAll()
      .where('call_id', '=', callId)
      .orderBy('started_at')
      .orderBy('segment_id')
      .limit(SEGMENTS_MAX)
      .execute();
    const payments = await this.#paymentsOf([callId]);
    const legs = await this.#db
      .selectFrom('events')
      .selectAll()
      .where('call_id', '=', callId)
      .where('kind', '=', 'legClosed')
      .orderBy('sequence')
      .limit(LEGS_MAX)
      .execute();
    return { ...conversationOf(row), segments: segments.map(segmentOf), payments, legs: legs.map(eventOf) };
  }

  async payment(paymentId: string): Promise<PaymentDetails | null> {
    const ofPayment = ['payment_id', '=', paymentId] as const;
    const row = await this.#db
      .selectFrom('payments')
      .selectAll()
      .where(...ofPayment)
      .executeTakeFirst();
    if (row === undefined) return null;
    const attempts = await this.#db
      .selectFrom('attempts')
      .selectAll()
      .where(...ofPayment)
      .orderBy('started_at')
      .orderBy('attempt_id')
      .limit(ATTEMPTS_MAX)
      .execute();
    const events = await this.#db
      .selectFrom('events')
      .selectAll()
      .where(...ofPayment)
      .orderBy('sequence')
      .limit(EVENTS_MAX)
      .execute();
    return { ...paymentOf(row), attempts: attempts.map(attemptOf), events: events.map(eventOf) };
  }

  /** Recorded behind `after`, of one payment or (null) of all calls, oldest first. */
  async events(paymentId: string | null, after: number, limit: number): Promise<readonly RecordedEvent[]> {
    let query = this.#db.selectFrom('events').selectAll().where('ordinal', '>', after);
    if (paymentId !== null) query = query.where('payment_id', '=', paymentId);
    return (await query.orderBy('ordinal').limit(limit).execute()).map(eventOf);
  }

  /** The ordinal of the newest event; 0 where there is none. */
  async newestEvent(): Promise<number> {
    const row = await this.#db
      .selectFrom('events')
      .select(({ fn }) => fn.max('ordinal').as('newest'))
      .executeTakeFirst();
    return Number(row?.newest ?? 0);
  }

  async #paymentsOf(callIds: readonly string[]): Promise<readonly PaymentRow[]> {
    if (callIds.length === 0) return [];
    const rows = await this.#db
      .selectFrom('payments')
      .selectAll()
      .where('call_id', 'in', [...callIds])
      .orderBy('started_at')
      .orderBy('payment_id')
      .limit(PAYMENTS_MAX * callIds.length)
      .execute();
    return rows.map(paymentOf);
  }
}
