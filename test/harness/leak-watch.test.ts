import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { describe, expect, it } from 'vitest';
import { LeakWatch } from './leak-watch.ts';

const card = { pan: '371449635398431', expiry: '1128', cvc: '7373' };

function watch(content: string | Uint8Array) {
  const leaks = new LeakWatch();
  leaks.add(card);
  leaks.look('text', content);
  return () => leaks.assertNone();
}

describe('the leak watch', () => {
  it.each([
    ['plain', 'asked with 371449635398431'],
    ['in part', 'tail 449635398 here'],
    ['grouped by spaces', '3714 496353 98431'],
    ['grouped by dashes', '3714-4963-5398-431'],
    ['as an array', '["3","7","1","4","4","9","6","3","5","3","9","8","4","3","1"]'],
    ['one key a line', [...card.pan].map((digit) => `{"message":"key","key":"${digit}"}`).join('\n')],
    ['in base64 in the middle of a text', Buffer.from(`{"n":"${card.pan}"}`).toString('base64')],
    ['in hex', Buffer.from(card.pan).toString('hex')],
    ['percent encoded', '%33%37%31%34%34%39%36%33%35%33%39%38%34%33%31'],
  ])('finds the number %s', (_, content) => {
    expect(watch(content)).toThrow(/the number/);
  });

  it.each([
    ['UTF-16', Buffer.from(card.pan, 'utf16le')],
    ['one byte a digit', Buffer.from([...card.pan].map(Number))],
    ['packed BCD', Buffer.from(`0${card.pan}`, 'hex')],
  ])('finds the number in %s', (form, bytes) => {
    expect(watch(Buffer.concat([Buffer.alloc(7, 0xee), bytes, Buffer.alloc(7, 0xee)]))).toThrow(form);
  });

  it('finds a part of a number that has few different digits', () => {
    const leaks = new LeakWatch();
    leaks.addNumber('4111111111111111');
    leaks.look('text', 'asked with 411111111111');
    expect(() => leaks.assertNone()).toThrow(/the number/);
    leaks.addNumber('4000000000000002');
    leaks.look('text', 'of 11111111111111, 400000000, 0.20000000000000002 and 111111111');
    expect(() => leaks.assertNone()).not.toThrow();
  });

  it('finds code and expiry beside their names', () => {
    expect(watch('{"cvc":"7373"}')).toThrow(/security code/);
    expect(watch('{"expiry":"1128"}')).toThrow(/expiry/);
    expect(watch('exp_month and more\nexpires 11/28')).toThrow(/expiry/);
  });

  it('lets the last four, times and identifiers pass', () => {
    expect(
      watch('{"last4":"8431","at":1795426843112,"time":"2026-11-28T11:28:00.000Z","port":7373,"durationMs":1128}'),
    ).not.toThrow();
  });

  it.each([
    ['{"packetsReceived":1944,"packetsSent":6158}', false],
    ['{"packetsReceived":"1944"}', true],
    ['{"waitedMs":1944}', true],
    ['{"note":"x","more":{"kept":"6158"}}', true],
  ])('looks at each value of a database by itself, but for counts of packets: %s', (detail, found) => {
    const folder = mkdtempSync(join(tmpdir(), 'hushtone-leak-watch-'));
    try {
      const database = new Sqlite(join(folder, 'records.db'));
      database.exec('CREATE TABLE events (detail TEXT)');
      database.prepare('INSERT INTO events VALUES (?)').run(detail);
      database.close();
      const leaks = new LeakWatch();
      // None of the cards that every test is watched for.
      leaks.add({ ...card, expiry: '1944', cvc: '6158' });
      leaks.lookThroughFolder(folder);
      if (found) expect(() => leaks.assertNone()).toThrow('as a value of its own');
      else leaks.assertNone();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('never says the value it found', () => {
    expect(watch(card.pan)).toThrow(expect.not.stringContaining(card.pan));
  });
});
