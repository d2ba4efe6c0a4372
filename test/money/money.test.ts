import codes from 'currency-codes';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkRange, formatAmount, parseAmount, parseKeyedAmount, splitAmount } from '../../src/money/amount.ts';
import { CURRENCIES, minorUnits } from '../../src/money/minor-units.ts';

/** Metals, bond units, test codes: in the standard, but nobody pays in them. */
const WITHOUT_MINOR_UNIT = /^(XA[GU]|XB[A-D]|XDR|XP[DT]|XSU|XTS|XUA|XXX)$/;

describe('minor units', () => {
  it('are those of npm currency-codes for every code that people pay in', () => {
    const theirs = codes.data.filter(({ code }) => !WITHOUT_MINOR_UNIT.test(code));
    for (const { code, digits } of theirs) expect([code, minorUnits(code)]).toEqual([code, digits]);
    expect(CURRENCIES).toHaveLength(theirs.length);
  });
  it('do not know lower case, metals or nonsense', () => {
    for (const code of ['usd', 'XAU', '', 'constructor']) expect(minorUnits(code)).toBeNull();
  });
});

describe('an amount', () => {
  it.each([
    [4210, 'USD', '42.10'],
    [5, 'USD', '0.05'],
    [4210, 'JPY', '4210'],
    [4210, 'KWD', '4.210'],
    [4210, 'HUF', '42.10'],
    [1, 'CLF', '0.0001'],
    [-150, 'EUR', '-1.50'],
  ])('of %i %s is written %s', (amountMinor, currency, text) => {
    expect(formatAmount(amountMinor, currency)).toBe(text);
  });
  it('is read as it is written, in every currency', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999_999_999 }), fc.constantFrom(...CURRENCIES), (amountMinor, currency) => {
        expect(parseAmount(formatAmount(amountMinor, currency), currency)).toBe(amountMinor);
        const { major, minor } = splitAmount(amountMinor, currency);
        expect(major * 10 ** (minorUnits(currency) ?? 0) + minor).toBe(amountMinor);
      }),
    );
  });
  it.each(['', '-1', '1e3', '1,000', '1.', '.5', '1.234', '1 ', '٣', '9999999999999'])(
    'is refused when it is %j',
    (text) => {
      expect(parseAmount(text, 'USD')).toBeNull();
    },
  );
  it('has no decimals in yen', () => expect(parseAmount('1.5', 'JPY')).toBeNull());
  it('is keyed in minor units, of at most nine digits', () => {
    expect(parseKeyedAmount('4210')).toBe(4210);
    for (const keys of ['', '1234567890', '42*10']) expect(parseKeyedAmount(keys)).toBeNull();
  });
  it('may be the minimum and the maximum themselves', () => {
    const limits = { minimumMinor: 100, maximumMinor: 200 };
    expect([99, 100, 200, 201].map((amountMinor) => checkRange(amountMinor, limits))).toEqual([
      'tooLow',
      'ok',
      'ok',
      'tooHigh',
    ]);
  });
});
