import { describe, expect, it } from 'vitest';
import { faultsOf, STORIES, stepsOf } from '../../src/cli/demo/calls.ts';
import { isWorthALine, type Payment, type PaymentEvent, tellEvent, tellProgress } from '../../src/cli/demo/records.ts';
import { Screen } from '../../src/cli/demo/screen.ts';
import { unfitReason } from '../../src/cli/demo/server.ts';
import { type Entry, formatEntry, TimeLine } from '../../src/cli/demo/time-line.ts';
import { parseConfig } from '../../src/config/read.ts';
import { VirtualClock } from '../harness/clock.ts';

const LOOK = { startedAt: 1_000, calls: ['approved', 'declined'], colours: false, isTerminal: false };

function entry(at: number, text: string): Entry {
  return { at, call: 'approved', who: 'caller', text };
}

function printing(clock: VirtualClock, look = LOOK) {
  let text = '';
  const screen = new Screen((part) => {
    text += part;
  });
  return { timeLine: new TimeLine(look, clock, screen), text: () => text };
}

const lastWords = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ').at(-1));

/** What is left on a terminal that knows how to go up and clear. */
function seenOn(text: string): readonly (string | undefined)[] {
  const lines: string[] = [];
  for (const part of text.split('\u001b[')) {
    const up = /^(\d+)A$/.exec(part)?.[1];
    if (up !== undefined) lines.splice(lines.length - Number(up));
    else lines.push(...part.replace(/^J/, '').split('\n').slice(0, -1));
  }
  return lastWords(lines.join('\n'));
}

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
    const { timeLine, text } = printing(clock);
    timeLine.add(entry(1_000, 'second'));
    await clock.advance(200);
    timeLine.add(entry(900, 'first'));
    expect(text()).toBe('');
    await clock.advance(1_000);
    expect(lastWords(text())).toEqual(['first', 'second']);
  });

  it('prints what still waits when it is closed', () => {
    const { timeLine, text } = printing(new VirtualClock(1_000));
    timeLine.add(entry(1_000, 'last'));
    timeLine.close();
    expect(lastWords(text())).toEqual(['last']);
  });

  it('writes what grows over in place on a terminal, below what stays, until it is grown', async () => {
    const clock = new VirtualClock(1_000);
    const { timeLine, text } = printing(clock, { ...LOOK, isTerminal: true });
    const dots = (at: number, shown: string, growth: Entry['growth'] = 'growing') =>
      timeLine.add({ ...entry(at, shown), growth });
    dots(1_000, '•');
    await clock.advance(500);
    dots(1_500, '••');
    timeLine.add({ ...entry(1_600, 'elsewhere'), call: 'declined' });
    await clock.advance(500);
    dots(2_000, '•••4242', 'grown');
    await clock.advance(500);
    expect(seenOn(text())).toEqual(['elsewhere', '•••4242']);
    expect(text().match(/•/g)).toHaveLength(1 + 2 + 2 + 3);
  });

  it('leaves on the screen what had grown when something else came, or the end', () => {
    const { timeLine, text } = printing(new VirtualClock(1_000), { ...LOOK, isTerminal: true });
    timeLine.add({ ...entry(1_000, '••••'), growth: 'growing' });
    timeLine.add(entry(1_100, 'gone'));
    timeLine.add({ ...entry(1_200, '•'), growth: 'growing', call: 'declined' });
    timeLine.close();
    expect(seenOn(text())).toEqual(['••••', 'gone', '•']);
  });

  it('prints what grows as lines elsewhere', () => {
    const { timeLine, text } = printing(new VirtualClock(1_000));
    timeLine.add({ ...entry(1_000, '••••'), growth: 'growing' });
    timeLine.add({ ...entry(1_100, '•••• ••••'), growth: 'growing' });
    timeLine.close();
    expect(text()).not.toContain('\u001b');
    expect(text().trimEnd().split('\n')).toHaveLength(2);
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

  it('names what is asked for, again, and read back', () => {
    const found = { field: 'pan', state: 'confirming', stage: 'words', brand: 'visa', last4: '9995' };
    expect(tell('field', found)).toBe('reads the card number back');
    expect(tell('field', { field: 'expiry', state: 'collecting', wrong: 0 })).toBe('asks for the expiry date');
    expect(tell('field', { field: 'pan', state: 'collecting', wrong: 1 })).toBe('asks for the card number again');
  });

  it('shows a field as it is keyed, with its brand once only one is left, and whether it is valid', () => {
    const at = '2026-11-23T12:00:00.000Z';
    const pan = { at, field: 'pan', masked: '•••• ••', length: 6, brands: ['visa'], valid: false, ended: false };
    expect(tellProgress(pan)).toEqual({
      who: 'server',
      text: 'hears the card number  •••• ••  Visa',
      growth: 'growing',
    });
    expect(tellProgress({ ...pan, brands: ['visa', 'elo'] }).text).toBe('hears the card number  •••• ••');
    expect(tellProgress({ ...pan, ended: true })).toMatchObject({
      text: 'hears the card number  •••• ••  not valid',
      growth: 'grown',
    });
  });

  it('is a line every four keys where lines stay, and one for the whole field', () => {
    const field = { at: '', field: 'pan', masked: '', brands: [], valid: false, ended: false };
    const lines = Array.from({ length: 16 }, (_, at) => ({ ...field, length: at + 1, valid: at === 15 }));
    expect(lines.filter(isWorthALine).map(({ length }) => length)).toEqual([4, 8, 12]);
    expect(isWorthALine({ ...field, length: 16, valid: true, ended: true })).toBe(true);
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
