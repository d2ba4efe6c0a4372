import type { SandboxBehaviour } from '../api.ts';

export interface TestCard {
  /** A published test number; no issuer gives it to anybody. */
  readonly pan: string;
  readonly brand: string;
  readonly behaviour: SandboxBehaviour;
}

const approve: SandboxBehaviour = { kind: 'approve' };

/**
 * The only cards the sandbox knows, from the public test pages of Stripe, Adyen, Authorize.net and Twilio
 * (Twilio's Diners number with the two digits put right that it prints swapped). The sandbox is an outsider: this file
 * may be read by it, by simulated callers and by tests, never by a server process.
 */
export const TEST_CARDS: readonly TestCard[] = [
  { pan: '4242424242424242', brand: 'visa', behaviour: approve },
  { pan: '4111111111111111', brand: 'visa', behaviour: approve },
  { pan: '4012888888881881', brand: 'visa', behaviour: approve },
  { pan: '4007000000027', brand: 'visa', behaviour: approve },
  { pan: '4242424242424242428', brand: 'visa', behaviour: approve },
  { pan: '5555555555554444', brand: 'mastercard', behaviour: approve },
  { pan: '5105105105105100', brand: 'mastercard', behaviour: approve },
  { pan: '5424000000000015', brand: 'mastercard', behaviour: approve },
  { pan: '2223000010309703', brand: 'mastercard', behaviour: approve },
  { pan: '378282246310005', brand: 'amex', behaviour: approve },
  { pan: '371449635398431', brand: 'amex', behaviour: approve },
  { pan: '370000000000002', brand: 'amex', behaviour: approve },
  { pan: '6011111111111117', brand: 'discover', behaviour: approve },
  { pan: '6011000000000012', brand: 'discover', behaviour: approve },
  { pan: '3056930009020004', brand: 'diners', behaviour: approve },
  { pan: '38000000000006', brand: 'diners', behaviour: approve },
  { pan: '3566002020360505', brand: 'jcb', behaviour: approve },
  { pan: '3088000000000017', brand: 'jcb', behaviour: approve },
  { pan: '6200000000000005', brand: 'unionpay', behaviour: approve },
  { pan: '6771798021000008', brand: 'maestro', behaviour: approve },
  { pan: '4000000000000002', brand: 'visa', behaviour: { kind: 'decline', reason: 'do-not-honor' } },
  { pan: '4000000000009995', brand: 'visa', behaviour: { kind: 'decline', reason: 'insufficient-funds' } },
  { pan: '4000000000009987', brand: 'visa', behaviour: { kind: 'decline', reason: 'lost-or-stolen' } },
  { pan: '4000000000009979', brand: 'visa', behaviour: { kind: 'decline', reason: 'lost-or-stolen' } },
  { pan: '4000000000000069', brand: 'visa', behaviour: { kind: 'decline', reason: 'expired-card' } },
  { pan: '4000000000000127', brand: 'visa', behaviour: { kind: 'decline', reason: 'incorrect-cvc' } },
  { pan: '4000000000000077', brand: 'visa', behaviour: { kind: 'slow' } },
  { pan: '4000000000000341', brand: 'visa', behaviour: { kind: 'answerLost' } },
  { pan: '4000000000000119', brand: 'visa', behaviour: { kind: 'errorAfterCommit' } },
];
