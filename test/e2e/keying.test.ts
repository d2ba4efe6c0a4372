import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PhoneCall } from '../../src/caller/sip-phone.ts';
import { isHeard } from '../harness/heard.ts';
import {
  answerPrompt,
  CARDS,
  call,
  charges,
  goodbye,
  keyCard,
  type PaymentSeen,
  paymentNow,
  paymentOf,
} from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';
import { speech } from '../harness/speech.ts';

/*
 * Ways of keying that a caller may take, and what is read back of them; against a whole server, all at once.
 */
let server: TestServer;

const CONFIRM_CVC = { pan: { confirm: false }, expiry: { confirm: false }, cvc: { confirm: true } };
/** A test Visa of 19 digits whose first 16 are a complete number. */
const LONG_VISA = { pan: '4242424242424242428', expiry: '1128', cvc: '906' };
/** No digit of the code stands in amount, last four or reference, so that it is heard in a read-back or nowhere. */
const SPOKEN = { pan: '4111111111111111', expiry: '1130', cvc: '396' };
const SPOKEN_AMOUNT_MINOR = 2_000;
/** 15 dB below each tone of a key, which the simulated caller sends at -10 dBm0; longer than the keying takes. */
const SPEECH_DBM0 = -25;
const SPEECH_MS = 60_000;
const CODE_RECORDINGS = [...SPOKEN.cvc].map((digit) => `digit-${digit}`);

beforeAll(async () => {
  server = await TestServer.start({
    config: {
      flows: {
        'code-aloud': { ...QUICK_FLOW, fields: CONFIRM_CVC, readBackCvc: true },
        'code-silent': { ...QUICK_FLOW, fields: CONFIRM_CVC },
      },
    },
  });
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

/** Nobody listens to the whole announcement. */
async function hangUpWhenPaid(phone: PhoneCall, reference: string): Promise<PaymentSeen> {
  await server.until(
    'the result is announced',
    async () => (await paymentNow(server, reference))?.state === 'announcing',
  );
  await phone.hangUp();
  return await paymentOf(server, reference);
}

const fieldsOf = (payment: PaymentSeen) =>
  payment.events.filter(({ kind }) => kind === 'field').map(({ detail }) => `${detail.field} ${detail.state}`);

describe.concurrent('a caller who keys', () => {
  it('two stars goes back one field, and keys that again', async () => {
    const phone = await call(server, { amountMinor: 1500, reference: 'BACK' });
    const { pan, expiry, cvc } = CARDS.mastercard;
    server.expectNoLeakOf(CARDS.mastercard);
    // In a hurry: of the first prompt for the expiry only the beginning is heard.
    for (const keys of [pan, '0129', '**']) await answerPrompt(phone, keys);
    expect(isHeard(phone.media.recording().left, 'enter-expiry')).toBe(false);
    await answerPrompt(phone, expiry, { patient: true });
    expect(isHeard(phone.media.recording().left, 'enter-expiry')).toBe(true);
    await answerPrompt(phone, cvc);
    expect(await hangUpWhenPaid(phone, 'BACK')).toMatchObject({ result: 'approved', last4: pan.slice(-4) });
    expect(await charges(server, 'BACK')).toHaveLength(1);
  });

  it('two stars at the expiry goes back to the number, and pays with another', async () => {
    const phone = await call(server, { amountMinor: 1500, reference: 'BACK-CARD' });
    for (const card of [CARDS.declined, CARDS.amex]) server.expectNoLeakOf(card);
    const { pan, expiry, cvc } = CARDS.amex;
    for (const keys of [CARDS.mastercard.pan, '**', pan, expiry, cvc]) await answerPrompt(phone, keys);
    const found = { result: 'approved', brand: 'amex', last4: pan.slice(-4) };
    expect(await hangUpWhenPaid(phone, 'BACK-CARD')).toMatchObject(found);
  });

  it('19 digits of a Visa pays with all of them, though 16 would be a number', async () => {
    const phone = await call(server, { amountMinor: 1500, reference: 'LONG' });
    server.expectNoLeakOf(LONG_VISA);
    for (const keys of [LONG_VISA.pan, LONG_VISA.expiry, LONG_VISA.cvc]) await answerPrompt(phone, keys);
    expect(await hangUpWhenPaid(phone, 'LONG')).toMatchObject({
      result: 'approved',
      brand: 'visa',
      last4: LONG_VISA.pan.slice(-4),
    });
    expect(await charges(server, 'LONG')).toMatchObject([{ last4: LONG_VISA.pan.slice(-4) }]);
  });
});

describe.concurrent('a caller who keys in-band tones', () => {
  it('with speech behind every one of them is charged, and every key is heard once', async () => {
    const phone = await call(server, { amountMinor: 1999, reference: 'INBAND' });
    phone.media.say(speech(SPEECH_MS, SPEECH_DBM0));
    await keyCard(server, phone, CARDS.amex, { style: 'inband' });
    const found = { result: 'approved', brand: 'amex', last4: CARDS.amex.pan.slice(-4) };
    expect(await hangUpWhenPaid(phone, 'INBAND')).toMatchObject(found);
    // All others here key by events.
    const { pan, expiry, cvc } = CARDS.amex;
    const heard = /^hushtone_keys_total\{path="inband"\} (\d+)$/m;
    await server.until(
      'the leg is counted',
      async () => Number(heard.exec((await server.get('/metrics')).text)?.[1]) > 0,
    );
    expect(Number(heard.exec((await server.get('/metrics')).text)?.[1])).toBe((pan + expiry + cvc).length);
  });
});

describe.concurrent('the security code', () => {
  it('is read back digit by digit where the flow wants it, and confirmed', async () => {
    const order = { amountMinor: SPOKEN_AMOUNT_MINOR, reference: 'ALOUD', flow: 'code-aloud' };
    const phone = await call(server, order);
    server.expectNoLeakOf(SPOKEN);
    for (const keys of [SPOKEN.pan, SPOKEN.expiry, SPOKEN.cvc]) await answerPrompt(phone, keys);
    await server.until('the caller is asked whether it is right', async () => {
      const events = (await paymentNow(server, 'ALOUD'))?.events ?? [];
      return events.some(({ detail }) => detail.field === 'cvc' && detail.stage === 'question');
    });
    const { left } = phone.media.recording();
    expect(CODE_RECORDINGS.filter((name) => isHeard(left, name))).toEqual(CODE_RECORDINGS);
    expect(isHeard(left, 'you-entered')).toBe(true);
    await phone.media.key('1', 'event');
    const payment = await hangUpWhenPaid(phone, 'ALOUD');
    expect(payment).toMatchObject({ result: 'approved' });
    expect(fieldsOf(payment)).toContain('cvc confirming');
  });

  it('is not read back otherwise, also where the flow confirms fields', async () => {
    const order = { amountMinor: SPOKEN_AMOUNT_MINOR, reference: 'SILENT', flow: 'code-silent' };
    const phone = await call(server, order);
    server.expectNoLeakOf(SPOKEN);
    for (const keys of [SPOKEN.pan, SPOKEN.expiry, SPOKEN.cvc]) await answerPrompt(phone, keys);
    await goodbye(phone);
    const { left } = phone.media.recording();
    // The ear works: the last four were said.
    expect(isHeard(left, 'digit-1')).toBe(true);
    expect(CODE_RECORDINGS.filter((name) => isHeard(left, name))).toEqual([]);
    const payment = await paymentOf(server, 'SILENT');
    expect(payment).toMatchObject({ result: 'approved' });
    expect(fieldsOf(payment)).not.toContain('cvc confirming');
  });
});
