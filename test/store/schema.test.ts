import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type Database, openDatabase } from '../../src/store/database.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { openStore } from '../../src/store/store.ts';
import { attempt, conversation, event, payment, START } from './rows.ts';

/*
 * No column may hold a card number, expiry or code. Every column of the schema stands below with how it keeps them out,
 * and each is tried with all three; a new column fails here until somebody has thought about it.
 */

const CARD = { number: '4539148803436467', expiry: '0731', code: '918' };
const FIRST_SCHEMA = new URL('./schema-1.sql', import.meta.url);

type Field = keyof typeof CARD;
/** What it refuses, of the three; why the rest need not be refused; how the value stands in it, where not by itself. */
type Column =
  | { readonly refuses: 'all'; readonly as?: (value: string) => string }
  | { readonly refuses: readonly Field[]; readonly because: string };

const ALL: readonly Field[] = ['number', 'expiry', 'code'];
const CLOSED: Column = { refuses: 'all' };
const OURS: Column = { refuses: 'all' };
const CALLED: Column = { refuses: ['number'], because: 'it comes with the INVITE, before a key is pressed' };
const COUNTED: Column = { refuses: ['number'], because: 'an amount, a count or a time may be any small number' };

const COLUMNS: Readonly<Record<string, Column>> = {
  'conversations.call_id': OURS,
  'conversations.started_at': COUNTED,
  'conversations.ended_at': COUNTED,
  'conversations.profile': { refuses: ['number'], because: 'an operator names the file of a profile' },
  'conversations.from_number': CALLED,
  'conversations.to_number': CALLED,
  'conversations.customer': CALLED,
  'conversations.reference': CALLED,
  'conversations.ended_by': OURS,
  'segments.segment_id': OURS,
  'segments.call_id': OURS,
  'segments.kind': CLOSED,
  'segments.started_at': COUNTED,
  'segments.ended_at': COUNTED,
  'segments.outcome': OURS,
  'payments.payment_id': OURS,
  'payments.call_id': OURS,
  'payments.flow': OURS,
  'payments.state': OURS,
  'payments.result': CLOSED,
  'payments.amount_minor': COUNTED,
  'payments.currency': CLOSED,
  'payments.reference': CALLED,
  'payments.brand': OURS,
  'payments.last4': {
    refuses: ['number', 'code'],
    because: 'four digits are its purpose; the vault tells them of a pan',
  },
  'payments.declines': CLOSED,
  'payments.started_at': COUNTED,
  'payments.ended_at': COUNTED,
  'payments.attention': OURS,
  'attempts.attempt_id': OURS,
  'attempts.payment_id': OURS,
  'attempts.idempotency_key': OURS,
  'attempts.verb': CLOSED,
  'attempts.gateway': OURS,
  'attempts.amount_minor': COUNTED,
  'attempts.currency': CLOSED,
  'attempts.state': CLOSED,
  'attempts.gateway_reference': OURS,
  'attempts.authorization_code': OURS,
  'attempts.decline_reason': OURS,
  'attempts.started_at': COUNTED,
  'attempts.ended_at': COUNTED,
  'events.ordinal': COUNTED,
  'events.call_id': OURS,
  'events.sequence': COUNTED,
  'events.payment_id': OURS,
  'events.at': COUNTED,
  'events.kind': OURS,
  'events.detail': { refuses: 'all', as: (value) => JSON.stringify({ note: value }) },
};

let folder: string;
let database: Database;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'hushtone-schema-'));
  database = openDatabase(join(folder, 'schema.db'));
  // Whether a parent row is there is not the question; the guard alone shall refuse.
  database.pragma('foreign_keys = OFF');
  database.exec(`
    INSERT INTO conversations VALUES ('ca_1', 1, NULL, 'trunk', 'f', 't', NULL, NULL, NULL);
    INSERT INTO segments VALUES ('se_1', 'ca_1', 'ivr', 1, NULL, NULL);
    INSERT INTO payments VALUES ('pa_1', 'ca_1', 'default', 'collecting', NULL, 1, 'USD', NULL, NULL, NULL, 0, 1, NULL, NULL);
    INSERT INTO attempts VALUES ('at_1', 'pa_1', 'at_1', 'purchase', 'sandbox', 1, 'USD', 'asking', NULL, NULL, NULL, 1, NULL);
    INSERT INTO events VALUES (1, 'ca_1', 1, 'pa_1', 1, 'field', '{}');
  `);
});

afterAll(() => {
  database.close();
  rmSync(folder, { recursive: true });
});

interface SchemaColumn {
  readonly name: string;
  readonly type: string;
}

/** But for SQLite's own, which count rows. */
const TABLES = "FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";

function columnsOfSchema(): readonly (readonly [string, SchemaColumn])[] {
  const tables = database.prepare(`SELECT name ${TABLES}`).pluck().all() as string[];
  return tables.flatMap((table) =>
    (database.pragma(`table_info(${table})`) as SchemaColumn[]).map((column) => [table, column] as const),
  );
}

/** Tried in a transaction that is taken back. */
function isRefused(table: string, { name, type }: SchemaColumn, value: string): boolean {
  database.exec('BEGIN');
  try {
    const given = type === 'INTEGER' ? Number(value) : value;
    database.prepare(`UPDATE ${table} SET ${name} = ?`).run(given);
    return false;
  } catch (error) {
    expect((error as Error).message).toMatch(/looks like a card field|CHECK constraint failed/);
    return true;
  } finally {
    database.exec('ROLLBACK');
  }
}

describe('the schema', () => {
  it('has the columns that were thought about, and no other', () => {
    const names = columnsOfSchema().map(([table, { name }]) => `${table}.${name}`);
    expect(names.sort()).toEqual(Object.keys(COLUMNS).sort());
    const forbidden = /\b(pan|card|expir|cvc|cvv|security|track|pin|month|year|digits?|holder)/;
    expect(names.filter((name) => forbidden.test(name.replaceAll('_', ' ')))).toEqual([]);
  });

  it('has numbers and texts only, both strictly', () => {
    expect(new Set(columnsOfSchema().map(([, { type }]) => type))).toEqual(new Set(['TEXT', 'INTEGER']));
    const tables = database.prepare(`SELECT sql ${TABLES}`).pluck().all() as string[];
    for (const sql of tables) expect(sql).toMatch(/\) STRICT(, WITHOUT ROWID)?$/);
  });

  it.each(Object.entries(COLUMNS))('keeps card fields out of %s', (name, rule) => {
    const [table, column] = columnsOfSchema().find(([owner, one]) => `${owner}.${one.name}` === name) ?? [];
    if (table === undefined || column === undefined) throw new Error(`no column ${name}`);
    const as = ('as' in rule ? rule.as : undefined) ?? String;
    const refused = ALL.filter((field) => isRefused(table, column, as(CARD[field])));
    expect(refused).toEqual(rule.refuses === 'all' ? ALL : rule.refuses);
  });

  it('refuses a number with words around it, whoever writes', () => {
    const texts = columnsOfSchema().filter(([, { type }]) => type === 'TEXT');
    const open = texts.filter(([table, column]) => !isRefused(table, column, `paid with ${CARD.number}`));
    expect(open).toEqual([]);
  });

  it.each([
    ['{"cvc":918}', true],
    ['{"expiryMonth":"7"}', true],
    ['{"amountMinor":4539148803436467}', true],
    ['{"note":"918"}', true],
    ['{"last4":"6467","length":16,"amountMinor":918,"field":"cvc","state":"confirming"}', false],
  ])('reads the detail of an event value by value: %s', (detail, refused) => {
    expect(isRefused('events', { name: 'detail', type: 'TEXT' }, detail)).toBe(refused);
  });
});

describe('a database of the first version', () => {
  it('is what the first migration made, which is never edited', () => {
    expect(MIGRATIONS[0]).toBe(readFileSync(FIRST_SCHEMA, 'utf8'));
  });

  it('is brought to this version with every row it has, and takes new ones', async () => {
    const file = join(folder, 'first.db');
    const old = new Sqlite(file);
    old.exec(readFileSync(FIRST_SCHEMA, 'utf8'));
    old.pragma('user_version = 1');
    old.exec(`
      INSERT INTO conversations VALUES
        ('ca_1', ${START}, NULL, 'carrier-trunk', '+4917612345674', 'pay', 'C-1001', 'INV-7', NULL);
      INSERT INTO segments VALUES ('se_1', 'ca_1', 'secure-payment', ${START}, ${START + 5}, 'approved');
      INSERT INTO payments VALUES ('pa_1', 'ca_1', 'default', 'collecting', NULL, 4210, 'USD', 'INV-7', 'visa', '4242',
        0, ${START}, NULL, NULL);
      INSERT INTO attempts VALUES ('at_1', 'pa_1', 'at_1', 'purchase', 'sandbox', 4210, 'USD', 'asking', NULL, NULL,
        NULL, ${START}, NULL);
      INSERT INTO events VALUES ('ca_1', 1, 'pa_1', ${START}, 'fieldEnded', '{}');
    `);
    old.close();
    const store = openStore({ file, retentionDays: 30, clock: systemClock, log: silentLog });
    expect(await store.queries.payment('pa_1')).toEqual({
      ...payment(),
      attempts: [attempt()],
      events: [{ ...event(), ordinal: 1 }],
    });
    expect(await store.queries.conversation('ca_1')).toMatchObject({
      ...conversation(),
      segments: [{ kind: 'secure-payment', outcome: 'approved', endedAt: START + 5 }],
    });
    await store.savePayment(payment({ paymentId: 'pa_2' }));
    expect(await store.queries.payment('pa_2')).not.toBe(null);
    store.close();
    const now = new Sqlite(file, { readonly: true });
    expect(now.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length);
    now.close();
  });
});
