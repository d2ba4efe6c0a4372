import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { openStore, type Store } from '../../src/store/store.ts';
import { attempt, conversation, event, payment, START } from './rows.ts';

const PAN = '4242424242424242';
/** Long, and no card: it does not pass Luhn. */
const TRANSACTION = 'ch_8820034577612451';
const DAY_MS = 86_400_000;

let folder: string;
let now: number;
let stores: Store[];
const timers = new Map<number, () => void>();
const clock: Clock = {
  now: () => now,
  startTimer(_delayMs, fire) {
    const id = timers.size;
    timers.set(id, fire);
    return { cancel: () => timers.delete(id) };
  },
};

function open(name = 'hushtone.db'): Store {
  const store = openStore({ file: join(folder, name), retentionDays: 30, clock, log: silentLog });
  stores.push(store);
  return store;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hushtone-store-'));
  now = START;
  stores = [];
  timers.clear();
});

afterEach(() => {
  for (const store of stores) store.close();
  rmSync(folder, { recursive: true });
});

describe('keeping records', () => {
  it('gives back what was saved, the latest state of each row', async () => {
    const store = open();
    await store.saveConversation(conversation());
    await store.saveSegment({
      segmentId: 'se_1',
      callId: 'ca_1',
      kind: 'secure-payment',
      startedAt: START,
      endedAt: null,
      outcome: null,
    });
    await store.savePayment(payment());
    await store.saveAttempt(attempt());
    await store.saveAttempt(attempt({ state: 'approved', gatewayReference: TRANSACTION, endedAt: START + 9 }));
    await store.appendEvent(event({ sequence: 2, detail: { length: 16, luhnOk: true, note: null } }));
    await store.appendEvent(event({ sequence: 1 }));
    const closed = event({
      sequence: 3,
      paymentId: null,
      kind: 'legClosed',
      detail: { role: 'caller', jitterMs: 3.25 },
    });
    await store.appendEvent(closed);
    const details = await store.queries.payment('pa_1');
    expect(details).toEqual({
      ...payment(),
      attempts: [attempt({ state: 'approved', gatewayReference: TRANSACTION, endedAt: START + 9 })],
      events: [
        { ...event({ sequence: 1 }), ordinal: 2 },
        { ...event({ sequence: 2, detail: { length: 16, luhnOk: true, note: null } }), ordinal: 1 },
      ],
    });
    const call = await store.queries.conversation('ca_1');
    expect(call).toMatchObject({ ...conversation(), payments: [payment()], segments: [{ kind: 'secure-payment' }] });
    expect(call?.legs).toEqual([{ ...closed, ordinal: 3 }]);
    expect(await store.queries.conversation('ca_2')).toBe(null);
    expect(await store.queries.payment('pa_2')).toBe(null);
  });

  it('finds payments that are not settled after the process was killed without a word', async () => {
    const store = open();
    await store.saveConversation(conversation());
    await store.savePayment(payment());
    await store.saveAttempt(attempt());
    await store.saveAttempt(attempt({ attemptId: 'at_2', state: 'approved', startedAt: START + 1 }));
    await store.savePayment(payment({ paymentId: 'pa_2', state: 'ended', result: 'unknown', endedAt: START + 2 }));
    await store.saveAttempt(attempt({ attemptId: 'at_3', paymentId: 'pa_2', state: 'unknown' }));
    await store.savePayment(payment({ paymentId: 'pa_3', state: 'ended', result: 'approved', endedAt: START + 2 }));
    await store.saveAttempt(attempt({ attemptId: 'at_4', paymentId: 'pa_3', state: 'approved' }));
    await store.savePayment(payment({ paymentId: 'pa_4', state: 'ended', result: 'failed', endedAt: START + 2 }));
    await store.saveAttempt(attempt({ attemptId: 'at_5', paymentId: 'pa_4', verb: 'authorize', state: 'authorized' }));
    // Not closed: what settled is on disk already, and another opening reads it.
    const again = open();
    expect(await again.unsettledPayments(0, 10)).toEqual([
      {
        payment: payment(),
        attempts: [attempt(), attempt({ attemptId: 'at_2', state: 'approved', startedAt: START + 1 })],
      },
      {
        payment: payment({ paymentId: 'pa_2', state: 'ended', result: 'unknown', endedAt: START + 2 }),
        attempts: [attempt({ attemptId: 'at_3', paymentId: 'pa_2', state: 'unknown' })],
      },
      {
        payment: payment({ paymentId: 'pa_4', state: 'ended', result: 'failed', endedAt: START + 2 }),
        attempts: [attempt({ attemptId: 'at_5', paymentId: 'pa_4', verb: 'authorize', state: 'authorized' })],
      },
    ]);
    expect(await again.unsettledPayments(0, 1)).toHaveLength(1);
    expect(await again.unsettledPayments(START + 1, 10)).toEqual([]);
  });

  it('ends what an earlier run left open, at the last moment it is known to have lasted', async () => {
    const store = open();
    await store.saveConversation(conversation());
    await store.appendEvent(event({ at: START + 700 }));
    const segment = { segmentId: 'se_1', callId: 'ca_1', kind: 'ivr', startedAt: START + 900, endedAt: null } as const;
    await store.saveSegment({ ...segment, outcome: null });
    await store.saveConversation(conversation({ callId: 'ca_2', endedAt: START + 1, endedBy: 'caller' }));
    const again = open();
    expect(await again.endLeftOpen()).toBe(1);
    expect(await again.queries.conversation('ca_1')).toMatchObject({
      endedAt: START + 700,
      endedBy: 'crash',
      segments: [{ endedAt: START + 900, outcome: 'crash' }],
    });
    expect(await again.queries.conversation('ca_2')).toMatchObject({ endedAt: START + 1, endedBy: 'caller' });
    expect(await again.endLeftOpen()).toBe(0);
  });

  it('keeps the events of a call in order and never changes one', async () => {
    const store = open();
    await store.saveConversation(conversation());
    await store.appendEvent(event());
    await expect(store.appendEvent(event({ kind: 'other' }))).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('numbers events over all calls, and tells those behind a number, of one payment or of all', async () => {
    const store = open();
    expect(await store.queries.newestEvent()).toBe(0);
    for (const callId of ['ca_1', 'ca_2']) await store.saveConversation(conversation({ callId, endedAt: START }));
    const rows = [
      event({ callId: 'ca_2', paymentId: 'pa_2' }),
      event(),
      event({ sequence: 2, kind: 'paymentEnded' }),
      event({ callId: 'ca_2', sequence: 2, paymentId: null }),
    ];
    expect(await Promise.all(rows.map((row) => store.appendEvent(row)))).toEqual([1, 2, 3, 4]);
    expect(await store.queries.newestEvent()).toBe(4);
    expect(await store.queries.events(null, 1, 2)).toEqual([
      { ...rows[1], ordinal: 2 },
      { ...rows[2], ordinal: 3 },
    ]);
    expect((await store.queries.events('pa_1', 2, 10)).map(({ ordinal }) => ordinal)).toEqual([3]);
    // Never the same number for another event, also when the newest is gone.
    now = START + 31 * DAY_MS;
    expect(store.purge()).toBe(2);
    await store.saveConversation(conversation());
    expect(await store.appendEvent(event())).toBe(5);
  });

  it('numbers the events of a database of version 1 in the order of their times', async () => {
    const file = join(folder, 'old.db');
    const old = new Sqlite(file);
    old.exec(MIGRATIONS[0] ?? '');
    old.pragma('user_version = 1');
    old.exec(`INSERT INTO conversations VALUES ('ca_1', 1, NULL, 'p', 'f', 't', NULL, NULL, NULL);
      INSERT INTO events VALUES ('ca_1', 2, 'pa_1', ${START + 1}, 'second', '{}'), ('ca_1', 1, 'pa_1', ${START}, 'first', '{"a":1}')`);
    old.close();
    const events = await open('old.db').queries.events(null, 0, 10);
    expect(events).toEqual([
      { ...event({ kind: 'first', detail: { a: 1 } }), ordinal: 1 },
      { ...event({ kind: 'second', sequence: 2, at: START + 1 }), ordinal: 2 },
    ]);
  });

  it('keeps the beginning of an address that is longer than any', async () => {
    const store = open();
    await store.saveConversation(conversation({ from: `sip:${'a'.repeat(5000)}@example.com` }));
    expect((await store.queries.conversation('ca_1'))?.from).toMatch(/^sip:a{251}…$/);
  });

  it('refuses one write of a commit and keeps the others', async () => {
    const store = open();
    const writes = [
      store.saveConversation(conversation()),
      store.savePayment(payment({ callId: 'ca_none' })),
      store.savePayment(payment({ paymentId: 'pa_2' })),
    ];
    const [first, second, third] = await Promise.allSettled(writes);
    expect([first?.status, second?.status, third?.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await store.queries.payment('pa_2')).not.toBe(null);
  });

  it('takes nothing more once closed', async () => {
    const store = openStore({ file: join(folder, 'x.db'), retentionDays: 30, clock, log: silentLog });
    const last = store.saveConversation(conversation());
    store.close();
    await last;
    await expect(store.saveConversation(conversation())).rejects.toMatchObject({ code: 'STORE_UNUSABLE' });
    expect(await open('x.db').queries.conversation('ca_1')).not.toBe(null);
  });
});

describe('listing conversations', () => {
  it('pages newest first, without a gap or a repeat, while new calls come in', async () => {
    const store = open();
    for (let i = 0; i < 7; i++) {
      await store.saveConversation(conversation({ callId: `ca_${i}`, startedAt: START + Math.floor(i / 2) }));
    }
    const seen: string[] = [];
    let cursor: Awaited<ReturnType<typeof store.queries.conversations>>['next'] = null;
    do {
      const page = await store.queries.conversations({}, 3, cursor);
      seen.push(...page.conversations.map((row) => row.callId));
      cursor = page.next;
      await store.saveConversation(conversation({ callId: `ca_new${seen.length}`, startedAt: START + 1000 }));
    } while (cursor !== null);
    expect(seen).toEqual(['ca_6', 'ca_5', 'ca_4', 'ca_3', 'ca_2', 'ca_1', 'ca_0']);
  });

  it('filters by customer, reference, profile, result, time and whether it goes on', async () => {
    const store = open();
    await store.saveConversation(conversation());
    await store.saveConversation(
      conversation({
        callId: 'ca_2',
        customer: 'C-2',
        reference: 'R',
        profile: 'p',
        startedAt: START + 5,
        endedAt: START + 6,
      }),
    );
    await store.savePayment(payment({ result: 'declined' }));
    const ids = async (filter: Parameters<typeof store.queries.conversations>[0]) =>
      (await store.queries.conversations(filter, 10, null)).conversations.map((row) => row.callId);
    expect(await ids({ customer: 'C-2' })).toEqual(['ca_2']);
    expect(await ids({ reference: 'INV-7' })).toEqual(['ca_1']);
    expect(await ids({ profile: 'p' })).toEqual(['ca_2']);
    expect(await ids({ result: 'declined' })).toEqual(['ca_1']);
    expect(await ids({ result: 'approved' })).toEqual([]);
    expect(await ids({ active: true })).toEqual(['ca_1']);
    expect(await ids({ active: false })).toEqual(['ca_2']);
    expect(await ids({ startedFrom: START + 1 })).toEqual(['ca_2']);
    expect(await ids({ startedBefore: START + 1 })).toEqual(['ca_1']);
  });
});

describe('keeping card numbers out', () => {
  it('stores the rest of a row when a text looks like a card number, and counts it', async () => {
    const store = open();
    await store.saveConversation(conversation({ customer: PAN, reference: `ref ${PAN}`, from: `sip:${PAN}@x` }));
    await store.savePayment(payment({ reference: PAN, attention: `card ${PAN}` }));
    await store.appendEvent(event({ detail: { text: PAN, number: Number(PAN), kept: 7 } }));
    expect(store.withheldCount).toBe(6);
    const details = await store.queries.payment('pa_1');
    expect(details?.events[0]?.detail).toEqual({ text: '[withheld]', number: '[withheld]', kept: 7 });
    expect((await store.queries.conversation('ca_1'))?.customer).toBe('[withheld]');
    for (const name of ['hushtone.db', 'hushtone.db-wal']) {
      expect(readFileSync(join(folder, name)).includes(PAN)).toBe(false);
    }
  });

  it('takes for last four nothing but four digits', async () => {
    const store = open();
    await store.saveConversation(conversation());
    for (const last4 of ['42424', '424', '42 4', PAN]) {
      await expect(store.savePayment(payment({ last4 })), last4).rejects.toMatchObject({ code: 'INTERNAL' });
    }
  });
});

describe('keeping records for so long', () => {
  it('deletes ended conversations past the retention, and no journal that is still open', async () => {
    const store = open();
    for (const [callId, endedAt] of [
      ['ca_1', START],
      ['ca_2', START],
      ['ca_3', null],
    ] as const) {
      await store.saveConversation(conversation({ callId, endedAt }));
    }
    await store.savePayment(payment({ callId: 'ca_2' }));
    await store.saveAttempt(attempt({ state: 'unknown' }));
    expect(store.purge()).toBe(0);
    now = START + 31 * DAY_MS;
    for (const fire of [...timers.values()]) fire();
    const left = await store.queries.conversations({}, 10, null);
    expect(left.conversations.map((row) => row.callId)).toEqual(['ca_3', 'ca_2']);
  });
});

describe('a database that cannot be used', () => {
  it('is named in one line', () => {
    const file = join(folder, 'broken.db');
    writeFileSync(file, 'this is a text, and rather a long one, that is certainly no database '.repeat(20));
    expect(() => open('broken.db')).toThrow(`${file}: is not a database`);
  });

  it('is refused when a newer Hushtone wrote it', () => {
    const file = join(folder, 'newer.db');
    const newer = new Sqlite(file);
    newer.pragma('user_version = 99');
    newer.close();
    expect(() => open('newer.db')).toThrow(`${file}: database was written by a newer Hushtone (version 99, this`);
  });

  it('is named where its pages are damaged', async () => {
    const store = openStore({ file: join(folder, 'd.db'), retentionDays: 1, clock, log: silentLog });
    for (let i = 0; i < 50; i++) await store.saveConversation(conversation({ callId: `ca_${i}` }));
    store.close();
    const bytes = readFileSync(join(folder, 'd.db'));
    bytes.fill(0x5a, 4096);
    writeFileSync(join(folder, 'd.db'), bytes);
    expect(() => open('d.db')).toThrow(/d\.db: database is damaged/);
  });
});
