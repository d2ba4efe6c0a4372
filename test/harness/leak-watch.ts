import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import Sqlite from 'better-sqlite3';

/** What a test keyed and nobody may find again outside the vault, the caller and the gateway. */
export interface Card {
  readonly pan: string;
  /** MMYY. */
  readonly expiry: string;
  readonly cvc: string;
}

export interface Leak {
  /** Log line, HTTP body, file: where it was found. */
  readonly where: string;
  /** Which value, and in which form; never the value. */
  readonly what: string;
}

/** A run of this many digits of a number is a leak too; the last four alone are not. */
const RUN_DIGITS = 9;
/** Runs of zeros and the like stand in any text, so a run counts only with this many different digits in it. */
const RUN_DIGITS_DIFFERENT_MIN = 3;
/**
 * A number such as 4111111111111111 has no such run: of it a run this long counts, with two different digits and no zero
 * among them, for a fraction in a metric ends in 000000000002 by chance.
 */
const POOR_RUN_DIGITS = 12;
/** Between digits of a number in one of these, the number is still there. */
const SEPARATORS = /(?<=\d)["']?[ .,\-_/|:;]{1,2}["']?(?=\d)/g;
/** One digit a line or a field: `"key":"4"`, `key=4`, `digit: 4`. */
const SINGLE = /\b(?:key|digit|value|event|char)["']?\s*[=:]\s*["']?(\d)(?!\d)/gi;
const NEAR_CODE = '(?:cvc|cvv|csc|cv2|security|code)';
const NEAR_EXPIRY = '(?:expir|exp_|exp"|validThru|valid_thru|monthYear)';

/** What is looked for of one card, made ready once. */
interface Wanted {
  readonly pan: string;
  readonly runs: readonly string[];
  readonly encodings: readonly (readonly [form: string, pattern: Buffer])[];
  /** Null where only the number is known. */
  readonly expiry: { readonly beside: readonly RegExp[]; readonly values: ReadonlySet<string> } | null;
  readonly cvc: { readonly beside: RegExp; readonly value: string } | null;
}

/** Finds card values in texts, files and databases: plain, grouped, split over lines, encoded, alone in a cell. */
export class LeakWatch {
  readonly #wanted: Wanted[] = [];
  readonly #leaks: Leak[] = [];

  /** Give the card before it is keyed. */
  add(card: Card): void {
    this.#wanted.push(wantedOf(card));
  }

  /** A number whose expiry and code nobody has fixed. */
  addNumber(pan: string): void {
    this.#wanted.push(wantedOf({ pan, expiry: '', cvc: '' }));
  }

  /** Looks through a text or bytes at once. */
  look(where: string, content: string | Uint8Array): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
    for (const what of leaksIn(bytes, this.#wanted)) this.#leaks.push({ where, what });
  }

  /** Looks through every file below a folder; sockets and what vanished meanwhile are passed over. */
  lookThroughFolder(folder: string): void {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      const where = `file ${relative(folder, file)}`;
      let bytes: Buffer;
      try {
        bytes = readFileSync(file);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw error;
      }
      this.look(where, bytes);
      if (bytes.subarray(0, SQLITE_HEAD.length).equals(SQLITE_HEAD)) this.#lookThroughDatabase(where, file);
    }
  }

  /** Throws where anything was found, and forgets it. */
  assertNone(): void {
    if (this.#leaks.length === 0) return;
    const lines = [...new Set(this.#leaks.splice(0).map(({ where, what }) => `${where}: ${what}`))];
    throw new Error(`card data was found outside the vault:\n  ${lines.join('\n  ')}`);
  }

  /**
   * Every value of every row, for an expiry or code that stands alone, without its name beside it. Of a copy with its
   * write-ahead log, so that the database is not touched and what was not yet folded in is seen.
   */
  #lookThroughDatabase(where: string, file: string): void {
    const folder = join(tmpdir(), `leak-watch-${process.pid}-${copies++}`);
    mkdirSync(folder);
    try {
      const copy = join(folder, 'copy.db');
      copyFileSync(file, copy);
      if (existsSync(`${file}-wal`)) copyFileSync(`${file}-wal`, `${copy}-wal`);
      for (const [place, value] of cellsOf(copy)) {
        for (const what of leaksInCell(value, this.#wanted)) this.#leaks.push({ where: `${where}, ${place}`, what });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

/** Numbers that count rows one by one, and so pass every code on their way. */
const COUNTERS: ReadonlySet<string> = new Set(['events.ordinal', 'events.sequence', 'sqlite_sequence.seq']);
/** The same within the detail of `legClosed`: 25 seconds of a call are 1,250 packets, and some expiry on the way. */
const PACKET_COUNTS: ReadonlySet<string> = new Set([
  'packetsReceived',
  'packetsSent',
  'packetsLost',
  'packetsLate',
  'framesConcealed',
  'peerPacketsLost',
]);
const SQLITE_HEAD = Buffer.from('SQLite format 3\0');
let copies = 0;

function* cellsOf(file: string): Generator<[place: string, value: string]> {
  let database: Sqlite.Database;
  try {
    database = new Sqlite(file);
  } catch {
    return;
  }
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").pluck().all() as string[];
    for (const table of tables) {
      for (const row of database.prepare(`SELECT * FROM "${table}"`).iterate() as Iterable<Record<string, unknown>>) {
        for (const [column, cell] of Object.entries(row)) {
          if (typeof cell === 'number' && COUNTERS.has(`${table}.${column}`)) continue;
          for (const value of leavesOf(cell)) yield [`${table}.${column}`, value];
        }
      }
    }
  } catch {
    // Damaged by the test that owns it; its bytes were looked through as a file.
  } finally {
    database.close();
  }
}

/** The cell, or every value inside it where it is JSON. */
function* leavesOf(cell: unknown): Generator<string> {
  if (typeof cell === 'object' && cell !== null && !Buffer.isBuffer(cell)) {
    for (const [name, value] of Object.entries(cell)) {
      if (typeof value !== 'number' || !PACKET_COUNTS.has(name)) yield* leavesOf(value);
    }
    return;
  }
  const text = String(cell);
  yield text;
  if (!/^[[{]/.test(text)) return;
  try {
    yield* leavesOf(JSON.parse(text));
  } catch {
    // No JSON.
  }
}

function* leaksInCell(value: string, wanted: readonly Wanted[]): Generator<string> {
  for (const { expiry, cvc } of wanted) {
    if (cvc?.value === value) yield 'the security code as a value of its own';
    if (expiry?.values.has(value) === true) yield 'the expiry as a value of its own';
  }
}

/** Times and ids of ours: three digits of a millisecond are no security code, however near its name they stand. */
const TIMES_AND_IDS = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|\b(?:ca|le|pa|at|pl|se|rq)_[0-9a-z]{19}\b/g;

function* leaksIn(bytes: Buffer, wanted: readonly Wanted[]): Generator<string> {
  const text = bytes.toString('latin1');
  const joined = text.replace(SEPARATORS, '');
  const singles = [...text.matchAll(SINGLE)].map((match) => match[1]).join('');
  const named = text.replace(TIMES_AND_IDS, '-');
  for (const { pan, runs, encodings, expiry, cvc } of wanted) {
    if (runs.some((run) => joined.includes(run))) yield `${RUN_DIGITS} or more digits of the number`;
    if (singles.includes(pan)) yield 'the number, one digit a field';
    for (const [form, pattern] of encodings) if (bytes.includes(pattern)) yield `the number in ${form}`;
    if (cvc?.beside.test(named) === true) yield 'the security code beside its name';
    if (expiry?.beside.some((pattern) => pattern.test(named)) === true) yield 'the expiry beside its name';
  }
}

function wantedOf({ pan, expiry, cvc }: Card): Wanted {
  const [month, year] = [expiry.slice(0, 2), expiry.slice(2)];
  const dates = [expiry, `${month}/${year}`, `${month}/20${year}`, `20${year}-${month}`];
  return {
    pan,
    runs: runsOf(pan),
    encodings: encodingsOf(pan),
    expiry:
      expiry === ''
        ? null
        : {
            beside: dates.map((date) => near(NEAR_EXPIRY, date)),
            // As tracks and some gateways have it, too: YYMM.
            values: new Set([...dates, `${year}${month}`, `20${year}/${month}`]),
          },
    cvc: cvc === '' ? null : { beside: near(NEAR_CODE, cvc), value: cvc },
  };
}

function runsOf(pan: string): string[] {
  const runs = (length: number, differentMin: number) =>
    Array.from({ length: Math.max(0, pan.length - length + 1) }, (_, at) => pan.slice(at, at + length)).filter(
      (run) => new Set(run).size >= differentMin,
    );
  return [
    pan,
    ...runs(RUN_DIGITS, RUN_DIGITS_DIFFERENT_MIN),
    ...runs(POOR_RUN_DIGITS, 2).filter((run) => !run.includes('0')),
  ];
}

function near(name: string, value: string): RegExp {
  return new RegExp(`${name}.{0,24}?(?<!\\d)${value}(?!\\d)`, 'i');
}

/** As a database, a dump or a careless encoder would hold the number. */
function encodingsOf(pan: string): [string, Buffer][] {
  const ascii = Buffer.from(pan);
  const even = pan.length % 2 === 0 ? pan : `0${pan}`;
  const integer = Buffer.alloc(8);
  integer.writeBigUInt64BE(BigInt(pan));
  // The middle of each of the three alignments, so that neighbours do not matter.
  const base64 = [0, 1, 2].map((pad): [string, Buffer] => {
    const encoded = Buffer.concat([Buffer.alloc(pad), ascii]).toString('base64');
    return ['base64', Buffer.from(encoded.slice(pad === 0 ? 0 : 4, Math.floor((pan.length + pad) / 3) * 4))];
  });
  return [
    ['UTF-16', Buffer.from(pan, 'utf16le')],
    ['hex', Buffer.from(ascii.toString('hex'))],
    ['percent', Buffer.from([...pan].map((digit) => `%3${digit}`).join(''))],
    ['one byte a digit', Buffer.from([...pan].map(Number))],
    ['packed BCD', Buffer.from(even, 'hex')],
    ['a 64-bit integer', integer],
    ['a 64-bit integer, little endian', Buffer.from(integer).reverse()],
    ['reverse', Buffer.from([...pan].reverse().join(''))],
    ...base64,
  ];
}
