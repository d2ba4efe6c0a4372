import creditCardType from 'credit-card-type';
import { describe, expect, it } from 'vitest';
import table from '../../src/card/brands.json' with { type: 'json' };

/*
 * Our table beside Braintree's credit-card-type: the same answer for every prefix that stands at an edge of either, or a
 * row below that says where we differ and why.
 */

const THEIR_NAMES: Readonly<Record<string, string>> = { amex: 'american-express', diners: 'diners-club' };
const PREFIX_DIGITS = 8;

interface Deviation {
  readonly brand: string;
  /** Prefixes between these two, both included. */
  readonly first: string;
  readonly last: string;
  readonly ours: boolean;
  readonly why: string;
}

const DEVIATIONS: readonly Deviation[] = [
  { brand: 'diners', first: '3095', last: '3095', ours: true, why: 'ActiveMerchant has 3095' },
  { brand: 'jcb', first: '3088', last: '3094', ours: true, why: 'ActiveMerchant; an Authorize.net test number' },
  { brand: 'jcb', first: '3096', last: '3102', ours: true, why: 'ActiveMerchant' },
  { brand: 'jcb', first: '3112', last: '3120', ours: true, why: 'ActiveMerchant' },
  { brand: 'jcb', first: '3158', last: '3159', ours: true, why: 'ActiveMerchant' },
  { brand: 'jcb', first: '3337', last: '3349', ours: true, why: 'ActiveMerchant' },
  { brand: 'unionpay', first: '62', last: '62', ours: true, why: 'ActiveMerchant: all of 62; theirs has gaps' },
];

/** Lengths where we differ: [brand, length, do we have it, why]. */
const LENGTH_DEVIATIONS: ReadonlyArray<readonly [string, number, boolean, string]> = [
  ['visa', 13, true, 'ActiveMerchant; Authorize.net tests with 13 digits'],
  ['discover', 17, true, 'Twilio and ISO: 16 to 19'],
  ['discover', 18, true, 'Twilio and ISO: 16 to 19'],
  ['diners', 15, true, 'ActiveMerchant: 36 from 14 to 19'],
  ['diners', 17, true, 'ActiveMerchant: up to 19'],
  ['diners', 18, true, 'ActiveMerchant: up to 19'],
  [
    'unionpay',
    14,
    false,
    'ActiveMerchant: 16 to 19; a shorter one would shorten the wait at every length, as Luhn is off',
  ],
  ['unionpay', 15, false, 'as 14'],
];

const ours = new Map(table.brands.map((brand) => [brand.name, brand]));
const KNOWN: ReadonlySet<string> = new Set(Object.values(creditCardType.types));
const theirName = (name: string) => THEIR_NAMES[name] ?? name;
const theirs = (name: string) => (KNOWN.has(theirName(name)) ? creditCardType.getTypeInfo(theirName(name)) : undefined);
const shared = [...ours.keys()].filter((name) => theirs(name) !== undefined);

const fill = (prefix: string, digit: '0' | '9') => Number(prefix.padEnd(PREFIX_DIGITS, digit));
const within = (at: number, first: string, last: string) => at >= fill(first, '0') && at <= fill(last, '9');

type Range = readonly [first: string, last: string];
const ourRanges = (name: string): Range[] => (ours.get(name)?.ranges ?? []).map(({ first, last }) => [first, last]);
const theirRanges = (name: string): Range[] =>
  (theirs(name)?.patterns ?? []).map((p) => (Array.isArray(p) ? [String(p[0]), String(p[1])] : [String(p), String(p)]));

/** Every prefix of eight digits at an edge of a range of either table, and its neighbours. */
function edges(): number[] {
  const all = shared.flatMap((name) => [...ourRanges(name), ...theirRanges(name)]);
  const points = all.flatMap(([first, last]) => [
    fill(first, '0') - 1,
    fill(first, '0'),
    fill(last, '9'),
    fill(last, '9') + 1,
  ]);
  return [...new Set(points)].filter((at) => at >= 0 && at < 10 ** PREFIX_DIGITS);
}

describe('the table of card brands', () => {
  it('shares all brands with credit-card-type but RuPay, which that does not know', () => {
    expect([...ours.keys()].filter((name) => theirs(name) === undefined)).toEqual(['rupay']);
    expect([...KNOWN].filter((type) => !shared.some((name) => theirName(name) === type))).toEqual([]);
  });

  it('gives the same brands to every prefix at an edge, or says why not', () => {
    const unexplained: string[] = [];
    const used = new Set<Deviation>();
    for (const at of edges()) {
      for (const name of shared) {
        const mine = ourRanges(name).some(([first, last]) => within(at, first, last));
        const other = theirRanges(name).some(([first, last]) => within(at, first, last));
        if (mine === other) continue;
        const row = DEVIATIONS.find((d) => d.brand === name && d.ours === mine && within(at, d.first, d.last));
        if (row === undefined) unexplained.push(`${String(at).padStart(PREFIX_DIGITS, '0')} ${name}: ours ${mine}`);
        else used.add(row);
      }
    }
    expect(unexplained).toEqual([]);
    expect(DEVIATIONS.filter((row) => !used.has(row))).toEqual([]);
  });

  it('has the same lengths and code lengths, or says why not', () => {
    const differences = shared.flatMap((name) => {
      const mine = new Set(ours.get(name)?.ranges.flatMap((range) => range.lengths));
      const other = new Set(theirs(name)?.lengths);
      const either = [...new Set([...mine, ...other])];
      return either
        .filter((length) => mine.has(length) !== other.has(length))
        .map((length) => [name, length, mine.has(length)]);
    });
    const listed = LENGTH_DEVIATIONS.map(([name, length, has]) => [name, length, has]);
    expect(differences.map(String).sort()).toEqual(listed.map(String).sort());
    for (const name of shared) expect(ours.get(name)?.cvcLength, name).toBe(theirs(name)?.code.size);
  });

  it('has ranges the vault can read: prefixes of one length in order, lengths of card numbers', () => {
    for (const { name, ranges } of table.brands) {
      for (const { first, last, lengths } of ranges) {
        expect(first.length, name).toBe(last.length);
        expect(first.length, name).toBeLessThanOrEqual(PREFIX_DIGITS);
        expect(Number(first), name).toBeLessThanOrEqual(Number(last));
        expect(
          lengths.every((length) => length >= 12 && length <= 19),
          name,
        ).toBe(true);
      }
    }
    const precedences = table.brands.map((brand) => brand.precedence);
    expect(new Set(precedences).size).toBe(precedences.length);
    expect(table.brands.length).toBeLessThanOrEqual(32);
  });
});
