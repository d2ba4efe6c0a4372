import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

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
/** Between digits of a number in one of these, the number is still there. */
const SEPARATORS = /(?<=\d)["']?[ .,\-_/|:;]{1,2}["']?(?=\d)/g;
/** One digit a line or a field: `"key":"4"`, `key=4`, `digit: 4`. */
const SINGLE = /\b(?:key|digit|value|event|char)["']?\s*[=:]\s*["']?(\d)(?!\d)/gi;
const NEAR_CODE = '(?:cvc|cvv|csc|cv2|security|code)';
const NEAR_EXPIRY = '(?:expir|exp_|exp"|validThru|valid_thru|monthYear)';

/** Finds card values in texts and files: plain, grouped, split over lines, encoded. */
export class LeakWatch {
  readonly #cards: Card[] = [];
  readonly #leaks: Leak[] = [];

  /** Give the card before it is keyed. */
  add(card: Card): void {
    this.#cards.push(card);
  }

  /** Looks through a text or bytes at once. */
  look(where: string, content: string | Uint8Array): void {
    const bytes = typeof content === 'string' ? Buffer.from(content) : Buffer.from(content);
    const text = bytes.toString('latin1');
    for (const card of this.#cards) {
      for (const what of leaksIn(text, bytes, card)) this.#leaks.push({ where, what });
    }
  }

  /** Looks through every file below a folder; sockets and what vanished meanwhile are passed over. */
  lookThroughFolder(folder: string): void {
    if (!existsSync(folder)) return;
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const file = join(entry.parentPath, entry.name);
      this.look(`file ${relative(folder, file)}`, readFileSync(file));
    }
  }

  /** Throws where anything was found. */
  assertNone(): void {
    if (this.#leaks.length === 0) return;
    const lines = [...new Set(this.#leaks.map(({ where, what }) => `${where}: ${what}`))];
    throw new Error(`card data was found outside the vault:\n  ${lines.join('\n  ')}`);
  }
}

/** Times and ids of ours: three digits of a millisecond are no security code, however near its name they stand. */
const TIMES_AND_IDS = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z|\b(?:ca|le|pa|at|pl|se|rq)_[0-9a-z]{19}\b/g;

function* leaksIn(text: string, bytes: Buffer, card: Card): Generator<string> {
  const joined = text.replace(SEPARATORS, '');
  if (runsOf(card.pan).some((run) => joined.includes(run))) yield `${RUN_DIGITS} or more digits of the number`;
  const singles = [...text.matchAll(SINGLE)].map((match) => match[1]).join('');
  if (singles.includes(card.pan)) yield 'the number, one digit a field';
  for (const [form, pattern] of encodingsOf(card.pan)) if (bytes.includes(pattern)) yield `the number in ${form}`;
  const named = text.replace(TIMES_AND_IDS, '-');
  if (near(NEAR_CODE, card.cvc).test(named)) yield 'the security code beside its name';
  const [month, year] = [card.expiry.slice(0, 2), card.expiry.slice(2)];
  const dates = [card.expiry, `${month}/${year}`, `${month}/20${year}`, `20${year}-${month}`];
  if (dates.some((date) => near(NEAR_EXPIRY, date).test(named))) yield 'the expiry beside its name';
}

/** Runs of zeros and the like stand in any text, so a run counts only where it is of three different digits or more. */
function runsOf(pan: string): string[] {
  const runs = Array.from({ length: pan.length - RUN_DIGITS + 1 }, (_, at) => pan.slice(at, at + RUN_DIGITS));
  return [pan, ...runs.filter((run) => new Set(run).size >= 3)];
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
