import type SqliteClient from 'better-sqlite3';
import { type CompiledQuery, Kysely, SqliteDialect } from 'kysely';
import type {
  AttemptRow,
  ConversationRow,
  EventRow,
  PaymentRow,
  SegmentRow,
  StorePort,
  UnsettledPayment,
} from '../app/ports.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import type { Log } from '../lib/log.ts';
import { openDatabase } from './database.ts';
import { Queries } from './queries.ts';
import { attemptOf, paymentOf, type Tables } from './tables.ts';
import { withhold } from './withhold.ts';
import { Writer } from './writer.ts';

const DAY_MS = 86_400_000;
const PURGE_EVERY_MS = 3_600_000;
const PURGED_AT_ONCE_MAX = 500;

/** As the tables have it. An address from the network may be longer; a record of its beginning is better than none. */
const ADDRESS_CHARS_MAX = 256;
const ATTENTION_CHARS_MAX = 512;

const OPEN_STATES = ['asking', 'unknown', 'authorized'] as const;

/** The last event of the call is the last moment it is known to have lasted. */
const LAST_SEEN = (table: string) =>
  `max(started_at, coalesce((SELECT max(at) FROM events e WHERE e.call_id = ${table}.call_id), 0))`;

const END_LEFT_OPEN: readonly string[] = [
  `UPDATE segments SET ended_at = ${LAST_SEEN('segments')}, outcome = 'crash' WHERE ended_at IS NULL`,
  `UPDATE conversations SET ended_at = ${LAST_SEEN('conversations')}, ended_by = 'crash' WHERE ended_at IS NULL`,
];

export interface StoreOptions {
  /** Absolute path; its folder is made. */
  readonly file: string;
  readonly retentionDays: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** The store of one process. Throws ServiceError STORE_UNUSABLE with one line for a person. */
export function openStore(options: StoreOptions): Store {
  return new Store(options);
}

/** Records and journal in SQLite: saving as StorePort promises, reading by `queries`. */
export class Store implements StorePort {
  readonly queries: Queries;
  readonly #database: SqliteClient.Database;
  readonly #kysely: Kysely<Tables>;
  readonly #writer: Writer;
  readonly #options: StoreOptions;
  #purgeTimer: Timer;
  #withheldCount = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#database = openDatabase(options.file);
    this.#kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: this.#database }) });
    this.#writer = new Writer(this.#database);
    this.queries = new Queries(this.#kysely);
    this.#purgeTimer = options.clock.startTimer(PURGE_EVERY_MS, () => this.#purgeOften());
  }

  /** Texts that looked like a card number and were not stored; a metric. */
  get withheldCount(): number {
    return this.#withheldCount;
  }

  /** Writes that wait for their commit; a metric. */
  get writesWaiting(): number {
    return this.#writer.waiting;
  }

  async saveConversation(row: ConversationRow): Promise<void> {
    const values = this.#clean('conversations', {
      call_id: row.callId,
      started_at: row.startedAt,
      ended_at: row.endedAt,
      profile: row.profile,
      from_number: cut(row.from, ADDRESS_CHARS_MAX),
      to_number: cut(row.to, ADDRESS_CHARS_MAX),
      customer: row.customer,
      reference: row.reference,
      ended_by: row.endedBy,
    });
    await this.#save('conversations', 'call_id', values);
  }

  async saveSegment(row: SegmentRow): Promise<void> {
    const { segmentId, callId, kind, startedAt, endedAt, outcome } = row;
    const values = { segment_id: segmentId, call_id: callId, kind, started_at: startedAt, ended_at: endedAt, outcome };
    await this.#save('segments', 'segment_id', this.#clean('segments', values));
  }

  async savePayment(row: PaymentRow): Promise<void> {
    const { paymentId, callId, amountMinor, startedAt, endedAt, ...same } = row;
    const values = this.#clean('payments', {
      ...same,
      attention: same.attention === null ? null : cut(same.attention, ATTENTION_CHARS_MAX),
      payment_id: paymentId,
      call_id: callId,
      amount_minor: amountMinor,
      started_at: startedAt,
      ended_at: endedAt,
    });
    await this.#save('payments', 'payment_id', values);
  }

  async saveAttempt(row: AttemptRow): Promise<void> {
    const values = this.#clean('attempts', {
      attempt_id: row.attemptId,
      payment_id: row.paymentId,
      idempotency_key: row.idempotencyKey,
      verb: row.verb,
      gateway: row.gateway,
      amount_minor: row.amountMinor,
      currency: row.currency,
      state: row.state,
      gateway_reference: row.gatewayReference,
      authorization_code: row.authorizationCode,
      decline_reason: row.declineReason,
      started_at: row.startedAt,
      ended_at: row.endedAt,
    });
    await this.#save('attempts', 'attempt_id', values);
  }

  /** Rejects where the call has an event with this sequence already: an event is never changed. */
  async appendEvent(row: EventRow): Promise<number> {
    const { callId, paymentId, sequence, at, kind, detail } = row;
    const text = { call_id: callId, sequence, payment_id: paymentId, at, kind, detail: JSON.stringify(detail) };
    return this.#write(this.#kysely.insertInto('events').values(this.#clean('events', text)).compile());
  }

  async unsettledPayments(since: number, limit: number): Promise<readonly UnsettledPayment[]> {
    const payments = await this.#kysely
      .selectFrom('payments')
      .selectAll()
      .where('started_at', '>=', since)
      .where((by) =>
        by.or([
          by('ended_at', 'is', null),
          by('payment_id', 'in', by.selectFrom('attempts').select('payment_id').where('state', 'in', OPEN_STATES)),
        ]),
      )
      .orderBy('started_at', 'desc')
      .orderBy('payment_id')
      .limit(limit)
      .execute();
    const ids = payments.map((row) => row.payment_id);
    if (ids.length === 0) return [];
    const attempts = await this.#kysely
      .selectFrom('attempts')
      .selectAll()
      .where('payment_id', 'in', ids)
      .orderBy('started_at')
      .orderBy('attempt_id')
      .execute();
    return payments.map((row) => ({
      payment: paymentOf(row),
      attempts: attempts.filter((one) => one.payment_id === row.payment_id).map(attemptOf),
    }));
  }

  async endLeftOpen(): Promise<number> {
    const left = await this.#kysely
      .selectFrom('conversations')
      .select(({ fn }) => fn.countAll<number>().as('rows'))
      .where('ended_at', 'is', null)
      .executeTakeFirstOrThrow();
    for (const sql of END_LEFT_OPEN) await this.#writer.write({ sql, parameters: [] });
    return left.rows;
  }

  /** Whether a write would succeed now; for /readyz. */
  isWritable(): boolean {
    try {
      this.#database.exec('BEGIN IMMEDIATE; ROLLBACK');
      return true;
    } catch {
      return false;
    }
  }

  /** Deletes ended conversations older than the retention, with all that belongs to them; returns how many. */
  purge(): number {
    const before = this.#options.clock.now() - this.#options.retentionDays * DAY_MS;
    const old = this.#database.prepare(
      `DELETE FROM conversations WHERE call_id IN (
         SELECT call_id FROM conversations c WHERE started_at < ? AND ended_at IS NOT NULL
         AND NOT EXISTS (SELECT 1 FROM payments p JOIN attempts a USING (payment_id)
                         WHERE p.call_id = c.call_id AND a.state IN ('asking', 'unknown', 'authorized'))
         LIMIT ?)`,
    );
    return old.run(before, PURGED_AT_ONCE_MAX).changes;
  }

  close(): void {
    this.#purgeTimer.cancel();
    this.#writer.close();
    this.#database.close();
  }

  #purgeOften(): void {
    const purged = this.purge();
    if (purged > 0) this.#options.log.info('old conversations deleted', { conversations: purged });
    this.#purgeTimer = this.#options.clock.startTimer(PURGE_EVERY_MS, () => this.#purgeOften());
  }

  #clean<Row extends object>(table: keyof Tables, row: Row): Row {
    const { row: clean, withheld } = withhold(table, row);
    if (withheld.length === 0) return clean;
    this.#withheldCount += withheld.length;
    this.#options.log.warn('text that looks like a card number is not stored', { columns: withheld.join(' ') });
    return clean;
  }

  async #save(table: 'conversations' | 'segments' | 'payments' | 'attempts', key: string, row: object): Promise<void> {
    const columns = Object.keys(row);
    const updates = columns.filter((name) => name !== key).map((name) => `${name} = excluded.${name}`);
    const sql =
      `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(', ')}) ` +
      `ON CONFLICT (${key}) DO UPDATE SET ${updates.join(', ')}`;
    await this.#writer.write({ sql, parameters: Object.values(row) });
  }

  #write(query: CompiledQuery): Promise<number> {
    return this.#writer.write(query);
  }
}

function cut(text: string, charsMax: number): string {
  return text.length <= charsMax ? text : `${text.slice(0, charsMax - 1)}…`;
}
