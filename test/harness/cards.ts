import type { Card } from './leak-watch.ts';

/**
 * Published test cards, each with the expiry and code that tests key with it. The first digits of none make a shorter
 * number that is complete: behind 13 right digits of a 16-digit Visa the inter-digit limit would be the short one.
 */
export const CARDS = {
  visa: { pan: '4111111111111111', expiry: '1128', cvc: '737' },
  amex: { pan: '371449635398431', expiry: '1129', cvc: '7373' },
  mastercard: { pan: '5105105105105100', expiry: '0930', cvc: '642' },
  declined: { pan: '4000000000000002', expiry: '1128', cvc: '737' },
} as const satisfies Record<string, Card>;
