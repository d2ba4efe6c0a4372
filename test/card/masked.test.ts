import { describe, expect, it } from 'vitest';
import { maskedNumber } from '../../src/card/masked.ts';

describe('a masked number', () => {
  it('shows the last four digits at most, in groups as cards print them', () => {
    const rows: readonly (readonly [number, string | null, string | null, string])[] = [
      [16, '4242', 'visa', '•••• •••• •••• 4242'],
      [16, null, null, '•••• •••• •••• ••••'],
      [15, '0005', 'amex', '•••• •••••• •0005'],
      [7, null, 'amex', '•••• •••'],
      [14, '0004', 'diners', '•••• •••••• 0004'],
      [19, '2428', 'maestro', '•••• •••• •••• •••2 428'],
      [8, null, null, '•••• ••••'],
      [3, null, null, '•••'],
      [4, '4242', null, '4242'],
      [0, null, null, ''],
    ];
    for (const [length, last4, brand, shown] of rows) expect(maskedNumber(length, last4, brand)).toBe(shown);
  });

  it('keeps the rest hidden when it is given a whole number by mistake', () => {
    expect(maskedNumber(16, '4242424242424242', null)).toBe('•••• •••• •••• 4242');
  });
});
