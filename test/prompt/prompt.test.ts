import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { saysOf } from '../../src/app/words.ts';
import { BRAND_NAMES } from '../../src/card/brands.ts';
import { CURRENCIES } from '../../src/money/minor-units.ts';
import { EN_US_RECORDINGS } from '../../src/prompt/en-us-words.ts';
import { plan } from '../../src/prompt/plan.ts';
import type { Say } from '../../src/prompt/recording.ts';
import { requiredRecordings } from '../../src/prompt/required.ts';

const TEXTS = new Map(EN_US_RECORDINGS.map(({ name, text }) => [name, text]));
const heard = (...says: Say[]): string =>
  plan('en-US', says)
    .map((name) => TEXTS.get(name) ?? `<${name}>`)
    .join(' ');

describe('the recordings of en-US', () => {
  it('have one name each, in lower-case kebab', () => {
    expect(TEXTS.size).toBe(EN_US_RECORDINGS.length);
    for (const name of TEXTS.keys()) expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
  });
  it('name every brand of the table', () => {
    for (const brand of BRAND_NAMES) expect(TEXTS.has(`brand-${brand}`)).toBe(true);
  });
});

describe('an amount is said', () => {
  it.each([
    [4210, 'USD', 'forty-two dollars and ten cents'],
    [4200, 'USD', 'forty-two dollars'],
    [101, 'USD', 'one dollar and one cent'],
    [10, 'USD', 'ten cents'],
    [0, 'USD', 'zero dollars'],
    [200, 'GBP', 'two pounds'],
    [101, 'GBP', 'one pound and one penny'],
    [
      123_456_789,
      'EUR',
      'one million two hundred thirty-four thousand five hundred sixty-seven euros and eighty-nine cents',
    ],
    [4210, 'JPY', 'four thousand two hundred ten yen'],
    [4210, 'KWD', 'four dinars and two hundred ten fils'],
    [4210, 'ZMW', 'forty-two point one zero Z M W'],
  ])('%i %s: %s', (amountMinor, currency, text) => {
    expect(heard({ kind: 'amount', amountMinor, currency })).toBe(text);
  });
});

describe('a plan', () => {
  it('says dates, digits and references', () => {
    expect(heard({ kind: 'date', year: 2026, month: 11, day: 23 })).toBe('November twenty-third twenty twenty-six');
    expect(heard({ kind: 'digits', digits: '0042' })).toBe('zero zero four two');
    expect(heard({ kind: 'spelled', text: 'Inv-7/é' })).toBe('I N V dash seven slash');
  });
  it('names only recordings that the flow requires, whatever is said', () => {
    const say = fc.oneof(
      fc.record({ kind: fc.constant('amount' as const), amountMinor: fc.nat(), currency: fc.constant('') }),
      fc.record({ kind: fc.constant('number' as const), value: fc.integer({ min: 0, max: 999_999_999_999 }) }),
      fc.record({ kind: fc.constant('spelled' as const), text: fc.string() }),
      fc.record({ kind: fc.constant('digits' as const), digits: fc.string() }),
    );
    fc.assert(
      fc.property(fc.constantFrom(...CURRENCIES), fc.array(say), (currency, says) => {
        const required = new Set(requiredRecordings('en-US', { brands: ['visa'], currency }));
        const given = says.map((one): Say => (one.kind === 'amount' ? { ...one, currency } : one));
        for (const name of plan('en-US', given)) expect(required).toContain(name);
        for (const name of required) expect(TEXTS.has(name)).toBe(true);
      }),
    );
  });
  it('is not to be had for a locale that nobody wrote', () => {
    expect(requiredRecordings('xx-XX', { brands: [], currency: 'USD' })).toBeNull();
  });
  it('gives the keyed amount an example in the flow’s own currency', () => {
    const says = saysOf({ currency: 'KWD', brands: [] }, [{ kind: 'enterAmount' }]);
    expect(heard(...says)).toContain('four dinars and two hundred ten fils press four two one zero');
  });
});
