import creditCardType from 'credit-card-type';
import { describe, expect, it } from 'vitest';
import { BRAND_NAMES, brandLabel, chooseBrand, cvcLength } from '../../src/card/brands.ts';
import { FIELD_ORDER, fieldsFor, lengthsOf } from '../../src/card/fields.ts';
import { TEST_CARDS } from '../../src/gateway/sandbox/server/test-cards.ts';

describe('brands', () => {
  it.each([
    ['visa', 'visa'],
    ['mastercard', 'mastercard'],
    ['amex', 'american-express'],
    ['discover', 'discover'],
    ['diners', 'diners-club'],
    ['jcb', 'jcb'],
    ['unionpay', 'unionpay'],
    ['maestro', 'maestro'],
    ['elo', 'elo'],
    ['mir', 'mir'],
  ])('%s has the code length that credit-card-type knows', (ours, theirs) => {
    expect(cvcLength(ours)).toBe(creditCardType.getTypeInfo(theirs).code.size);
  });
  it('have a label each, and an unknown name is its own', () => {
    for (const name of BRAND_NAMES) expect(brandLabel(name)).not.toBe('');
    expect(brandLabel('other')).toBe('other');
    expect(cvcLength('other')).toBeNull();
  });
  it('are chosen among those allowed first, so that a shared range pays with the one that is taken', () => {
    expect(chooseBrand(['discover', 'maestro'], ['maestro'])).toEqual({ brand: 'maestro' });
    expect(chooseBrand(['discover', 'maestro'], ['maestro', 'discover'])).toEqual({ brand: 'discover' });
    expect(chooseBrand(['discover', 'maestro'], ['visa'])).toEqual({ brand: null, refused: 'discover' });
    expect(chooseBrand([], ['visa'])).toEqual({ brand: null, refused: null });
  });
});

describe('fields', () => {
  it('are only what the brand needs, the number first', () => {
    expect(fieldsFor('visa', FIELD_ORDER)).toEqual(['pan', 'expiry', 'cvc', 'postcode']);
    expect(fieldsFor('maestro', FIELD_ORDER)).toEqual(FIELD_ORDER);
    expect(fieldsFor('visa', [])).toEqual(['pan']);
  });
  it('have the length of the brand where it is known', () => {
    expect(lengthsOf('cvc', 'amex')).toEqual({ lengthMin: 4, lengthMax: 4 });
    expect(lengthsOf('cvc', 'visa')).toEqual({ lengthMin: 3, lengthMax: 3 });
    expect(lengthsOf('pan', null)).toEqual({ lengthMin: 12, lengthMax: 19 });
  });
});

describe('the test cards', () => {
  const luhn = (pan: string): boolean =>
    [...pan].reverse().reduce((sum, digit, index) => {
      const value = Number(digit) * (index % 2 === 1 ? 2 : 1);
      return sum + (value > 9 ? value - 9 : value);
    }, 0) %
      10 ===
    0;
  it.each(TEST_CARDS.map(({ pan, brand }) => ({ end: pan.slice(-4), brand, pan })))(
    '$brand …$end passes Luhn',
    ({ pan, brand }) => {
      expect(luhn(pan)).toBe(true);
      expect(BRAND_NAMES).toContain(brand);
    },
  );
});
