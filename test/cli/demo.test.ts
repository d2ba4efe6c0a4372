import { describe, expect, it } from 'vitest';
import { faultsOf, STORIES, stepsOf } from '../../src/cli/demo/calls.ts';
import { type Payment, type PaymentEvent, tellEvent } from '../../src/cli/demo/records.ts';
import { unfitReason } from '../../src/cli/demo/server.ts';
import { type Entry, formatEntry, maskNumber, TimeLine } from '../../src/cli/demo/time-line.ts';
import { parseConfig } from '../../src/config/read.ts';
import { VirtualClock } from '../harness/clock.ts';

const LOOK = { startedAt: 1_000, calls: ['approved', 'declined'], colours: false };

function entry(at: number, text: string): Entry {
  return { at, call: 'approved', who: 'caller', text };
}

describe('a masked number', () => {
  it('shows the last four digits at most, in groups as cards print them', () => {
    const rows: readonly (readonly [number, string | null, string])[] = [
      [16, '4242', '•••• •••• •••• 4242'],
      [16, null, '•••• •••• •••• ••••'],
      [15, '0005', '•••• •••••• •0005'],
      [19, '2428', '•••• •••• •••• •••2 428'],
      [8, null, '•••• ••••'],
      [3, null, '•••'],
      [4, '4242', '4242'],
      [0, null, ''],
    ];
    for (const [length, last4, shown] of rows) expect(maskNumber(length, last4)).toBe(shown);
  });

  it('keeps the rest hidden when it is given a whole number by mistake', () => {
    expect(maskNumber(16, '4242424242424242')).toBe('•••• •••• •••• 4242');
  });
});

describe('the time line', () => {
  it('prints seconds since the start, the call, who and what in columns', () => {
    expect(formatEntry(entry(13_340, 'keys 1'), LOOK)).toBe('  12.3 s  approved  caller   keys 1');
  });

  it('colours the call and the outcome on a terminal only', () => {
    const good: Entry = { ...entry(1_000, 'approved'), tone: 'good' };
    expect(formatEntry(good, LOOK)).not.toContain('\u001b');
    expect(formatEntry(good, { ...LOOK, colours: true })).toContain('\u001b[32mapproved\u001b[0m');
  });

  it('prints an event that is learnt of late before what came after it', async () => {
    const clock = new VirtualClock(1_000);
    const lines: string[] = [];
    const timeLine = new TimeLine(LOOK, clock, (line) => lines.push(line));
    timeLine.add(entry(1_000, 'second'));
    await clock.advance(200);
    timeLine.add(entry(900, 'first'));
    expect(lines).toEqual([]);
    await clock.advance(1_000);
    expect(lines.map((line) => line.split(' ').at(-1))).toEqual(['first', 'second']);
  });

  it('prints what still waits when it is closed', () => {
    const lines: string[] = [];
    const timeLine = new TimeLine(LOOK, new VirtualClock(1_000), (line) => lines.push(line));
    timeLine.add(entry(1_000, 'last'));
    timeLine.close();
    expect(lines).toHaveLength(1);
  });
});

describe('what the records say, told', () => {
  const payment: Payment = {
    paymentId: 'p',
    state: 'authorizing',
    result: null,
    amountMinor: 4_210,
    currency: 'USD',
    brand: 'visa',
    last4: '9995',
    declines: 0,
    endedAt: null,
    attempts: [
      { state: 'declined', gatewayReference: 'x', authorizationCode: null, declineReason: 'insufficient-funds' },
      { state: 'approved', gatewayReference: 'y', authorizationCode: 'A1B2C3', declineReason: null },
    ],
    events: [],
  };
  const tell = (kind: string, detail: PaymentEvent['detail']) =>
    tellEvent({ sequence: 1, at: '2026-11-23T12:00:00.000Z', kind, detail }, payment)?.text ?? null;

  it('names the field, the masked number and the brand', () => {
    const found = { field: 'pan', state: 'confirming', stage: 'words', brand: 'visa', last4: '9995' };
    expect(tell('field', found)).toBe('has the card number: •••• •••• •••• 9995  visa; reads it back');
    expect(tell('field', { field: 'expiry', state: 'collecting' })).toBe('asks for the expiry date');
  });

  it('names what each charge came to', () => {
    expect(tell('gatewayAnswered', { outcome: 'declined', charge: 1 })).toBe('declined: insufficient-funds');
    expect(tell('gatewayAnswered', { outcome: 'approved', charge: 2 })).toBe('approved, authorization A1B2C3');
    expect(tell('paymentState', { from: 'collecting', to: 'authorizing' })).toBe('asks the gateway for 42.10 USD');
  });

  it('is silent about what it does not know', () => {
    expect(tell('somethingNew', {})).toBeNull();
    expect(tell('paymentState', { from: 'idle', to: 'collecting' })).toBeNull();
  });
});

describe('the three calls', () => {
  const { expected } = STORIES[0] as (typeof STORIES)[number];
  const found = { result: 'approved', attempts: ['approved'], declines: 0, brand: 'visa', last4: '4242' };

  it('ended as they should when record and BYE say so', () => {
    expect(faultsOf(expected, { ...found, byeResult: 'approved' })).toEqual([]);
  });

  it('did not when the BYE says nothing, or the gateway was asked twice', () => {
    expect(faultsOf(expected, { ...found, byeResult: null })).toHaveLength(1);
    const twice = { ...found, attempts: ['approved', 'approved'], byeResult: 'approved' };
    expect(faultsOf(expected, twice)).toEqual(['attempts: expected ["approved"], found ["approved","approved"]']);
  });

  it('key what the flow asks for, in its order, and confirm what it reads back', () => {
    const always = { confirm: true, retriesMax: 2 };
    const fields = { cvc: always, pan: always, expiry: { confirm: false, retriesMax: 2 } };
    const card = { pan: '4242424242424242', brand: 'visa' };
    expect(stepsOf({ fields, readBackCvc: false }, card)).toEqual([
      { field: 'pan', keys: '4242424242424242#', confirm: true },
      { field: 'expiry', keys: '1230', confirm: false },
      { field: 'cvc', keys: '123', confirm: false },
    ]);
  });
});

describe('a running server', () => {
  const unfit = (text: string) =>
    unfitReason(parseConfig(text, { file: null, environment: {}, directory: process.cwd() }));

  it('fits with the defaults', () => {
    expect(unfit('')).toBeNull();
  });

  it('does not fit where the payment would go to a real gateway', () => {
    const gateways = 'gateways: { bank: { kind: generic-rest, url: "https://gateway.invalid", password: secret } }';
    expect(unfit(`${gateways}\nflows: { default: { gateway: bank } }`)).toMatch(/real gateway/);
  });

  it('does not fit where callers key the amount', () => {
    expect(unfit('flows: { default: { amount: { source: { kind: keyed } } } }')).toMatch(/key the amount/);
  });
});
