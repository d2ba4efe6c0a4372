import { describe, expect, it } from 'vitest';
import { holdsPan, withoutPan } from '../../src/card/pan-guard.ts';
import { newId } from '../../src/lib/ids.ts';

describe('looking for card numbers in texts that should hold none', () => {
  it.each([
    '4242424242424242',
    'paid with 4242424242424242 today',
    'pan=4242424242424242&x=1',
    'x4242424242424242y',
    '4242 4242 4242 4242',
    '4242-4242-4242-4242',
    '3782 822463 10005',
    '378282246310005',
    '30569309020004',
    '6771798021000008',
    '4 2 4 2 4 2 4 2 4 2 4 2 4 2 4 2',
    '42424242424242421229',
  ])('finds the number in %s', (text) => {
    expect(holdsPan(text)).toBe(true);
    expect(holdsPan(withoutPan(text))).toBe(false);
  });

  it.each([
    '4242424242424241',
    '0000000000000000',
    'invoice 2026-11-23 09:51',
    '20000-29999',
    '192.168.100.200:5060',
    'ORDER-2026-0001',
    '11111111-1111-4111-8111-111111111111',
    'e3b0c44298fc1c14424242424242424227ae41e4649b934c',
    newId('payment', 1_795_427_496_000),
  ])('finds none in %s', (text) => expect(holdsPan(text)).toBe(false));

  it('takes a telephone number for what it is', () => {
    // A German number with 13 digits that happens to pass Luhn.
    expect(holdsPan('+4917612345679')).toBe(true);
    expect(holdsPan('+4917612345679', 'phone')).toBe(false);
    expect(holdsPan('sip:4242424242424242@example.com', 'phone')).toBe(true);
    expect(holdsPan('378282246310005', 'phone')).toBe(true);
  });

  it('leaves the rest of a text as it is', () => {
    expect(withoutPan('key 4242424242424242 at 5060')).toBe('key [withheld] at 5060');
  });
});
