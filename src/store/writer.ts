import type { Statement } from 'better-sqlite3';
import type { CompiledQuery } from 'kysely';
import { ServiceError } from '../lib/errors.ts';
import type { Database } from './database.ts';

/** Writes that may wait for one commit; past it a write is refused, so that a stuck disk is noticed. */
const WRITES_WAITING_MAX = 10_000;
/** One commit holds the event loop for one sync of the disk; its writes besides take some ten microseconds each. */
const WRITES_PER_COMMIT_MAX = 500;

interface Waiting {
  readonly query: Pick<CompiledQuery, 'sql' | 'parameters'>;
  readonly done: (rowId: number) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Writes in the order of their asking, all that were asked for in one turn of the event loop in one commit. A write is
 * durable when its promise settles; one that is refused fails alone, the others of its commit stand.
 */
export class Writer {
  readonly #database: Database;
  readonly #statements = new Map<string, Statement>();
  #waiting: Waiting[] = [];
  #scheduled = false;
  #closed = false;

  constructor(database: Database) {
    this.#database = database;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** The number of the row that it inserted, where its table has one. */
  write(query: Waiting['query']): Promise<number> {
    if (this.#closed || this.#waiting.length >= WRITES_WAITING_MAX) {
      const reason = this.#closed ? 'the store is closed' : `more than ${WRITES_WAITING_MAX} writes wait`;
      return Promise.reject(new ServiceError('STORE_UNUSABLE', reason));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ query, done: resolve, failed: reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      setImmediate(() => this.#flush());
    });
  }

  /** Writes what waits, and takes nothing more. */
  close(): void {
    while (this.#waiting.length > 0) this.#flush();
    this.#closed = true;
  }

  #flush(): void {
    const batch = this.#waiting.splice(0, WRITES_PER_COMMIT_MAX);
    this.#scheduled = this.#waiting.length > 0;
    if (this.#scheduled) setImmediate(() => this.#flush());
    const settle: (() => void)[] = [];
    try {
      this.#database.transaction(() => {
        for (const { query, done, failed } of batch) {
          try {
            const run = () => this.#statementOf(query.sql).run(...query.parameters);
            const { lastInsertRowid } = this.#database.transaction(run)();
            settle.push(() => done(Number(lastInsertRowid)));
          } catch (error) {
            // A refused row is the asker's; a full or broken disk has ended the whole transaction.
            if (!this.#database.inTransaction) throw error;
            settle.push(() => failed(faultOf(error)));
          }
        }
      })();
    } catch (error) {
      for (const { failed } of batch) failed(faultOf(error));
      return;
    }
    for (const settleOne of settle) settleOne();
  }

  #statementOf(sql: string): Statement {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#database.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

function faultOf(error: unknown): ServiceError {
  const isRefused = String((error as { code?: unknown }).code).startsWith('SQLITE_CONSTRAINT');
  const message = error instanceof Error ? error.message : 'write failed';
  return new ServiceError(isRefused ? 'INTERNAL' : 'STORE_UNUSABLE', `store: ${message}`, { cause: error });
}
