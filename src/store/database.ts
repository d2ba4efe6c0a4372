import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import Sqlite from 'better-sqlite3';
import { ServiceError } from '../lib/errors.ts';
import { type ColumnKind, isRefused } from './guard.ts';
import { MIGRATIONS } from './migrations.ts';
import { GUARDED_COLUMNS } from './tables.ts';

export type Database = Sqlite.Database;

const BUSY_TIMEOUT_MS = 5_000;

/**
 * Opens the database, makes it where there is none, and brings it to this version's tables.
 * Throws ServiceError STORE_UNUSABLE with one line that names the file and what is wrong with it.
 */
export function openDatabase(file: string): Database {
  let database: Database | null = null;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    database = new Sqlite(file, { timeout: BUSY_TIMEOUT_MS });
    // Whoever holds a promise of a saved attempt must find it after a power cut: WAL with a sync at each commit.
    database.pragma('journal_mode = WAL');
    database.pragma('synchronous = FULL');
    database.pragma('foreign_keys = ON');
    database.pragma('trusted_schema = OFF');
    const check = database.pragma('quick_check(1)', { simple: true });
    if (check !== 'ok') throw new ServiceError('STORE_UNUSABLE', `${file}: database is damaged (${String(check)})`);
    migrate(database, file);
    guard(database);
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof ServiceError) throw error;
    throw new ServiceError('STORE_UNUSABLE', `${file}: ${reasonOf(error)}`, { cause: error });
  }
}

function migrate(database: Database, file: string): void {
  const version = Number(database.pragma('user_version', { simple: true }));
  if (version > MIGRATIONS.length) {
    const versions = `version ${version}, this Hushtone knows ${MIGRATIONS.length}`;
    throw new ServiceError('STORE_UNUSABLE', `${file}: database was written by a newer Hushtone (${versions})`);
  }
  const migrateOne = database.transaction((sql: string, next: number) => {
    database.exec(sql);
    database.pragma(`user_version = ${next}`);
  });
  for (let next = version + 1; next <= MIGRATIONS.length; next++) migrateOne(MIGRATIONS[next - 1] ?? '', next);
}

/**
 * Refuses, on this connection, every write of a guarded column that looks like a card field. The triggers are
 * temporary: the file stays readable and checkable by any SQLite, which a CHECK with a function of ours would spoil.
 */
function guard(database: Database): void {
  database.function('is_refused', { deterministic: true, varargs: false }, (kind: unknown, value: unknown) =>
    (typeof value === 'string' || typeof value === 'number') && isRefused(kind as ColumnKind, value) ? 1 : 0,
  );
  for (const [table, columns] of Object.entries(GUARDED_COLUMNS)) {
    const names = Object.keys(columns);
    const rules = names.map(
      (name) =>
        `SELECT RAISE(ABORT, '${table}.${name} looks like a card field') WHERE is_refused('${columns[name]}', NEW.${name});`,
    );
    for (const when of ['INSERT', `UPDATE OF ${names.join(', ')}`]) {
      const name = `guard_${table}_${when.slice(0, 6).toLowerCase()}`;
      database.exec(`CREATE TEMP TRIGGER ${name} BEFORE ${when} ON main.${table} BEGIN ${rules.join(' ')} END`);
    }
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown }).code;
  switch (code) {
    case 'SQLITE_NOTADB':
      return 'is not a database';
    case 'SQLITE_CORRUPT':
      return 'database is damaged';
    case 'SQLITE_CANTOPEN':
    case 'EACCES':
      return 'cannot be opened (does the folder exist, and may this user write there?)';
    case 'SQLITE_BUSY':
      return `is locked by another process for more than ${BUSY_TIMEOUT_MS} ms`;
    case 'SQLITE_READONLY':
      return 'may not be written';
    default:
      return error instanceof Error ? error.message : 'cannot be opened';
  }
}
