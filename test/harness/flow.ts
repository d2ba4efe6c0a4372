import type { Flow } from '../../src/session/flow.ts';

/** A flow that asks number, expiry and cvc, confirms nothing, and takes an amount that the call brought. */
export const PLAIN_FLOW: Flow = {
  name: 'plain',
  locale: 'en-US',
  currency: 'USD',
  gateway: 'sandbox',
  identification: null,
  amount: { source: { kind: 'passed' }, minimumMinor: 100, maximumMinor: 100_000, offerFullAmount: false },
  brands: ['visa', 'mastercard', 'amex'],
  fields: {
    pan: { confirm: false, retriesMax: 2 },
    expiry: { confirm: false, retriesMax: 2 },
    cvc: { confirm: false, retriesMax: 2 },
  },
  readBackCvc: false,
  firstDigitTimeoutMs: 10_000,
  interDigitTimeoutMs: 5_000,
  completeInterDigitTimeoutMs: 1_500,
  declinesMax: 2,
  atDeclinesMax: 'queue',
  onHangUp: 'complete',
  next: { kind: 'refer', target: 'sip:ivr@127.0.0.1' },
  queue: { kind: 'refer', target: 'sip:queue@127.0.0.1' },
  outcomeHoldMsMax: 30_000,
  gatewayTimeoutMs: 10_000,
  paymentMsMax: 600_000,
};
