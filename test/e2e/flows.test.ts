import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { PhoneCall } from '../../src/caller/sip-phone.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { sign } from '../../src/sip/signature.ts';
import { decodeUserToUser, encodeUserToUser } from '../../src/sip/user-to-user.ts';
import { EventListener } from '../harness/event-stream.ts';
import {
  answerPrompt,
  CARDS,
  call,
  charges,
  goodbye,
  keyCard,
  type Order,
  paymentOf,
  refusal,
} from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';
import { freeUdpPorts, hasSipp, SippTarget } from '../harness/sipp.ts';
import { CALLED } from './sip/scenarios.ts';

/*
 * Where a call comes from, what it brings, and who gets it next: whole calls against a whole server, with SIPp as those
 * whom it calls. Prompts are cut short, so that the time goes into what is tested.
 */

const TARGETS = ['yes', 'nothing', 'no', 'referring', 'next', 'busy', 'queue-1', 'queue-2', 'queue-3'] as const;
type TargetName = (typeof TARGETS)[number];
const PATIENT = { patient: true } as const;
const SECRET = 'a secret that the test and the server know';

let server: TestServer;
/** Demands that context is signed. */
let strict: TestServer;
let dip: Server;
let events: EventListener;
const dipAsked: string[] = [];
const folder = mkdtempSync(join(tmpdir(), 'hushtone-flows-'));
const ports = new Map<TargetName, number>();
const targets: SippTarget[] = [];

const uriOf = (name: TargetName) => `sip:${name}@127.0.0.1:${ports.get(name)}`;
const quick = (over: object) => ({ ...QUICK_FLOW, ...over });
const bridgeTo = (name: TargetName) => ({ kind: 'bridge', target: uriOf(name) });
const identifiedBy = (name: TargetName, over: object = {}) => ({
  identification: { target: uriOf(name), timeoutMs: 20_000, ...over },
});

/** Somebody whom the server may call, from here on. */
function target(name: TargetName, scenario: string, options = {}): SippTarget {
  const started = new SippTarget(folder, name, scenario, ports.get(name) ?? 0, options);
  targets.push(started);
  return started;
}

function startDip(): Promise<number> {
  dip = createServer((request, answer) => {
    dipAsked.push(request.url ?? '');
    const { pathname } = new URL(request.url ?? '', 'http://dip');
    const body = { amount_minor: pathname === '/little' ? 99 : 3_777, currency: 'USD' };
    answer.writeHead(pathname === '/broken' ? 500 : 200, { 'content-type': 'application/json' });
    answer.end(JSON.stringify(body));
  });
  return new Promise((resolve) => dip.listen(0, '127.0.0.1', () => resolve((dip.address() as AddressInfo).port)));
}

function flows(dipPort: number): object {
  const dipAt = (path: string) => ({
    amount: { source: { kind: 'dataDip', url: `http://127.0.0.1:${dipPort}/${path}`, timeoutMs: 2_000 } },
  });
  return {
    shipped: {},
    'id-yes': quick(identifiedBy('yes')),
    'id-nothing': quick({ ...identifiedBy('nothing'), queue: bridgeTo('queue-1') }),
    'id-no': quick(identifiedBy('no', { whenNot: 'go-on' })),
    'id-refer': quick(identifiedBy('referring')),
    bridged: quick({ next: bridgeTo('next') }),
    referred: quick({ next: { kind: 'refer', target: 'sip:ivr@127.0.0.1:5099' } }),
    'next-busy': quick({ next: bridgeTo('busy'), queue: bridgeTo('queue-2') }),
    'one-decline': quick({ declinesMax: 1, queue: bridgeTo('queue-3') }),
    'full-amount': quick({ amount: { offerFullAmount: true } }),
    dip: quick(dipAt('balance')),
    'dip-broken': quick(dipAt('broken')),
    'dip-little': quick(dipAt('little')),
  };
}

function strictProfile(): string {
  const profile = parse(readFileSync(new URL('../../sip-profiles/carrier-trunk.yaml', import.meta.url), 'utf8'));
  const signature = { secret: 'carrier', windowSeconds: 300, demandOn: ['context'], signResult: true };
  return stringify({ ...profile, signature });
}

beforeAll(async () => {
  const free = await freeUdpPorts(TARGETS.length);
  for (const [at, name] of TARGETS.entries()) ports.set(name, free[at] ?? 0);
  const dipPort = await startDip();
  [server, strict] = await Promise.all([
    TestServer.start({ briefPrompts: true, config: { flows: flows(dipPort) } }),
    TestServer.start({
      briefPrompts: true,
      files: { 'profiles/trunk.yaml': strictProfile() },
      config: { sip: { profiles: 'profiles', secrets: { carrier: SECRET } } },
    }),
  ]);
  for (const card of Object.values(CARDS)) server.expectNoLeakOf(card);
  events = await EventListener.open(`http://127.0.0.1:${server.ports.http}/v1/events`);
});

afterAll(async () => {
  for (const one of targets) {
    one.stop();
    server.watch.look('SIP', one.messages);
  }
  await events.close();
  events.lookThrough(server.watch);
  dip.close();
  rmSync(folder, { recursive: true, force: true });
  expect(await Promise.all([server.stop(), strict.stop()])).toEqual([0, 0]);
});

/** The segments of the call with this reference and how each ended, once the call is over. */
async function segmentsOf(reference: string): Promise<readonly string[]> {
  interface Seen {
    readonly endedAt: string | null;
    readonly segments: readonly { readonly kind: string; readonly outcome: string | null }[];
  }
  const page = await server.json<{ conversations: { callId: string }[] }>(`/v1/conversations?reference=${reference}`);
  const path = `/v1/conversations/${page.conversations[0]?.callId}`;
  await server.until(`the call ${reference} is over`, async () => (await server.json<Seen>(path)).endedAt !== null);
  return (await server.json<Seen>(path)).segments.map(({ kind, outcome }) => `${kind} ${outcome}`);
}

const ringing = async (order: Order): Promise<PhoneCall> => call(server, { amountMinor: 4_210, ...order });

/** What an INVITE of ours says in User-to-User. */
function told(who: SippTarget): Record<string, string> {
  return Object.fromEntries(decodeUserToUser(who.header('User-to-User') ?? '') ?? []);
}

describe.skipIf(!hasSipp)('a caller whom another application identifies', { concurrent: true }, () => {
  it('pays once its BYE says yes', async () => {
    const application = target('yes', CALLED.identifies('X-Hushtone-Identified: yes'));
    const phone = await ringing({ reference: 'ID-YES', flow: 'id-yes' });
    await application.done();
    expect(application.header('X-Hushtone-Reference')).toBe('ID-YES');
    phone.media.forgetPrompts();
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(server, 'ID-YES')).toMatchObject({ result: 'approved' });
    const segments = ['identification identified', 'secure-payment approved', 'ivr transferred'];
    expect(await segmentsOf('ID-YES')).toEqual(segments);
  });

  it('pays once it sends the caller back with REFER that says yes', async () => {
    const application = target('referring', CALLED.sendsBack('X-Hushtone-Identified: yes'));
    const phone = await ringing({ reference: 'ID-REFER', flow: 'id-refer' });
    await application.done();
    phone.media.forgetPrompts();
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(server, 'ID-REFER')).toMatchObject({ result: 'approved' });
  });

  it('goes to the queue, with the context, where its BYE says nothing', async () => {
    const application = target('nothing', CALLED.identifies(''));
    const queue = target('queue-1', CALLED.talks);
    const headers = { 'X-Hushtone-Customer': 'C-77' };
    const phone = await ringing({ reference: 'ID-NOTHING', flow: 'id-nothing', headers });
    await application.done();
    await server.until('the queue has the call', () => queue.messages.includes('ACK sip:'));
    expect(queue.header('X-Hushtone-Result')).toBe('not-identified');
    expect(queue.header('X-Hushtone-Customer')).toBe('C-77');
    expect(told(queue)).toMatchObject({ result: 'not-identified', customer: 'C-77', reference: 'ID-NOTHING' });
    await phone.hangUp();
    await queue.done();
    expect(await segmentsOf('ID-NOTHING')).toEqual(['identification not-identified', 'queue caller-gone']);
  });

  it('pays all the same where it says no and the flow goes on', async () => {
    const application = target('no', CALLED.identifies('X-Hushtone-Identified: no'));
    const phone = await ringing({ reference: 'ID-NO', flow: 'id-no' });
    await application.done();
    phone.media.forgetPrompts();
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-result': 'approved' });
    expect((await segmentsOf('ID-NO'))[0]).toBe('identification not-identified');
  });
});

describe.skipIf(!hasSipp)('a caller who has paid', { concurrent: true }, () => {
  it('is bridged to the next target, which gets the result, and both hear each other', async () => {
    const next = target('next', CALLED.talks, { echoes: true });
    const phone = await ringing({ reference: 'NEXT-1', flow: 'bridged' });
    await keyCard(server, phone, CARDS.visa);
    await server.until('the next target has the call', () => next.messages.includes('ACK sip:'), 20_000);
    const result = { result: 'approved', amount: '4210', currency: 'USD', brand: 'visa', last4: '1111' };
    expect(told(next)).toMatchObject({ ...result, reference: 'NEXT-1' });
    for (const [key, value] of Object.entries(result)) expect(next.header(`X-Hushtone-${key}`)).toBe(value);
    // What the caller says comes back from the target.
    await phone.media.wait(300);
    phone.media.forgetPrompts();
    phone.media.say(Int16Array.from({ length: 16_000 }, (_, n) => 3_000 * Math.sin(n / 2)));
    expect(await phone.media.promptBegins(3_000), phone.media.lineText()).toBe(true);
    await phone.hangUp();
    await next.done();
    expect(await segmentsOf('NEXT-1')).toEqual(['secure-payment approved', 'ivr caller-gone']);
  });

  it('is sent on by REFER with the result in headers and in the target', async () => {
    const phone = await ringing({ reference: 'REFER-1', flow: 'referred' });
    await keyCard(server, phone, CARDS.amex);
    await goodbye(phone);
    const [transfer] = phone.transfers;
    expect(transfer?.referTo).toMatch(/^<sip:ivr@127\.0\.0\.1:5099\?User-to-User=[0-9a-f]+%3Bencoding%3Dhex>$/);
    const inTarget = decodeUserToUser(
      decodeURIComponent(/User-to-User=([^>]*)/.exec(transfer?.referTo ?? '')?.[1] ?? ''),
    );
    expect(inTarget?.get('result')).toBe('approved');
    expect(transfer?.headers).toMatchObject({ 'x-hushtone-result': 'approved', 'x-hushtone-last4': '8431' });
    expect(await segmentsOf('REFER-1')).toEqual(['secure-payment approved', 'ivr transferred']);
  });

  it('goes to the queue where the next target is busy', async () => {
    const busy = target('busy', CALLED.isBusy);
    const queue = target('queue-2', CALLED.talks);
    const phone = await ringing({ reference: 'BUSY-1', flow: 'next-busy' });
    await keyCard(server, phone, CARDS.visa);
    await server.until('the queue has the call', () => queue.messages.includes('ACK sip:'), 20_000);
    expect(told(queue)).toMatchObject({ result: 'approved', reference: 'BUSY-1' });
    await phone.hangUp();
    await Promise.all([busy.done(), queue.done()]);
    const segments = ['secure-payment approved', 'ivr transfer-failed', 'queue caller-gone'];
    expect(await segmentsOf('BUSY-1')).toEqual(segments);
  });
});

describe.skipIf(!hasSipp)('a caller whose card is declined for the last time', { concurrent: true }, () => {
  it('goes to the queue with the result, and ends when the queue hangs up', async () => {
    const queue = target('queue-3', CALLED.identifies(''));
    const phone = await ringing({ reference: 'DECLINED-1', flow: 'one-decline' });
    await keyCard(server, phone, CARDS.declined);
    await queue.done();
    await goodbye(phone);
    expect(told(queue)).toMatchObject({ result: 'declined', declines: '1', last4: '0002', reference: 'DECLINED-1' });
    expect(await paymentOf(server, 'DECLINED-1')).toMatchObject({ result: 'declined', declines: 1 });
    expect(await segmentsOf('DECLINED-1')).toEqual(['secure-payment declined', 'queue transferred']);
  });
});

describe.concurrent('the amount', () => {
  /** With the flow as it is shipped: number and expiry are read back and confirmed. */
  async function keyConfirmed(phone: PhoneCall): Promise<void> {
    const { pan, expiry, cvc } = CARDS.visa;
    for (const keys of [`${pan}#`, expiry]) {
      await answerPrompt(phone, keys);
      // Only the question behind the read-back is answered.
      await answerPrompt(phone, '1', PATIENT);
    }
    await answerPrompt(phone, cvc);
  }

  it('is keyed where the call brings none: not too little, not too much, and confirmed', async () => {
    const phone = await call(server, { reference: 'KEYED-1', flow: 'shipped' });
    for (const keys of ['1#', '99999999#', '2599#', '1']) await answerPrompt(phone, keys);
    await keyConfirmed(phone);
    await goodbye(phone);
    expect(await paymentOf(server, 'KEYED-1')).toMatchObject({ result: 'approved', amountMinor: 2_599 });
    expect(await charges(server, 'KEYED-1')).toMatchObject([{ amount_minor: 2_599 }]);
  });

  it('is keyed again where the caller says that it is wrong', async () => {
    const phone = await call(server, { reference: 'KEYED-2', flow: 'shipped' });
    for (const keys of ['2599#', '2', '25*2600#', '1']) await answerPrompt(phone, keys);
    await keyConfirmed(phone);
    await goodbye(phone);
    expect(await paymentOf(server, 'KEYED-2')).toMatchObject({ result: 'approved', amountMinor: 2_600 });
  });

  it('ends the payment, without a charge, when it stays wrong', async () => {
    const phone = await call(server, { reference: 'KEYED-3', flow: 'shipped' });
    for (const keys of ['1#', '2#', '3#']) await answerPrompt(phone, keys);
    await goodbye(phone);
    expect(await paymentOf(server, 'KEYED-3')).toMatchObject({ result: 'failed', amountMinor: null });
    expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-result': 'failed' });
    expect(await charges(server, 'KEYED-3')).toEqual([]);
  });

  it('is the whole balance where the caller takes the offer', async () => {
    const phone = await ringing({ reference: 'FULL-1', flow: 'full-amount' });
    await answerPrompt(phone, '1');
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(server, 'FULL-1')).toMatchObject({ result: 'approved', amountMinor: 4_210 });
  });

  it('is a part of the balance, and never more, where the caller keys another', async () => {
    const phone = await ringing({ reference: 'FULL-2', flow: 'full-amount' });
    for (const keys of ['2', '5000#', '2500#', '1']) await answerPrompt(phone, keys);
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(server, 'FULL-2')).toMatchObject({ result: 'approved', amountMinor: 2_500 });
  });

  it('is fetched from the data dip, which is asked for customer and reference', async () => {
    const headers = { 'X-Hushtone-Customer': 'C-78' };
    const phone = await call(server, { reference: 'DIP-1', flow: 'dip', headers });
    await keyCard(server, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(server, 'DIP-1')).toMatchObject({ result: 'approved', amountMinor: 3_777 });
    expect(dipAsked).toContain('/balance?customer=C-78&reference=DIP-1');
  });

  it.each([
    ['cannot be had', 'dip-broken', 'DATA_DIP_FAILED'],
    ['is below the minimum', 'dip-little', 'CALL_CONTEXT_INVALID'],
  ])('ends the payment before a card is asked for where the balance %s', async (_, flow, error) => {
    const phone = await call(server, { reference: flow, flow });
    expect(await phone.media.promptBegins()).toBe(true);
    await goodbye(phone);
    expect(await paymentOf(server, flow)).toMatchObject({ result: 'failed', attempts: [] });
    expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-result': 'failed', 'x-hushtone-error': error });
  });
});

describe.concurrent('what a call brings', () => {
  it('may stand in User-to-User', async () => {
    const pairs = { amount: '1234', currency: 'USD', reference: 'UUI-1', customer: 'C-79' };
    const headers = { 'User-to-User': encodeUserToUser(new Map(Object.entries(pairs))) ?? '' };
    const phone = await call(server, { reference: null, headers });
    await keyCard(server, phone, CARDS.mastercard);
    await goodbye(phone);
    expect(await paymentOf(server, 'UUI-1')).toMatchObject({ result: 'approved', amountMinor: 1_234 });
    expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-customer': 'C-79' });
    expect(decodeUserToUser(phone.byeHeaders()['user-to-user'] ?? '')?.get('result')).toBe('approved');
  });

  const signed = (pairs: Record<string, string>, over: Record<string, string> = {}) => {
    const given = new Map(Object.entries(pairs));
    const signature = sign(given, new Sensitive('secret', SECRET), Date.now());
    const all = { ...pairs, signature, ...over };
    return Object.fromEntries(Object.entries(all).map(([key, value]) => [`X-Hushtone-${key}`, value]));
  };

  it('is taken where its signature is right, once, and the result is signed too', async () => {
    const headers = signed({ amount: '1500', currency: 'USD', reference: 'SIGNED-1' });
    const phone = await call(strict, { reference: null, headers });
    await keyCard(strict, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(strict, 'SIGNED-1')).toMatchObject({ result: 'approved', amountMinor: 1_500 });
    expect(phone.byeHeaders()['x-hushtone-signature']).toMatch(/^t=\d+,v1=[0-9a-f]{64}$/);
    expect(await refusal(strict, headers), 'used before').toBe(403);
  });

  it('is refused where it is signed badly or not at all', async () => {
    const pairs = { amount: '1500', currency: 'USD', reference: 'SIGNED-2' };
    const forged = `t=${Math.floor(Date.now() / 1000)},v1=${'0'.repeat(64)}`;
    expect(await refusal(strict, signed(pairs, { signature: forged }))).toBe(403);
    expect(await refusal(strict, signed(pairs, { amount: '1' })), 'changed afterwards').toBe(403);
    expect(await refusal(strict, { 'X-Hushtone-Amount': '1500' }), 'not signed').toBe(403);
    expect(
      (await strict.json<{ conversations: unknown[] }>('/v1/conversations?reference=SIGNED-2')).conversations,
    ).toEqual([]);
  });
});

describe('the event stream of all those calls', () => {
  it('told each recorded event once and in order, and of the cards dots and last four digits', async () => {
    expect(events.ids.length).toBeGreaterThan(100);
    expect(events.ids).toEqual(Array.from({ length: events.ids.length }, (_, at) => at + 1));
    const masks = events.progress.map(({ masked }) => String(masked));
    expect(masks.filter((mask) => !/^[• ]*(?:\d{4}|\d \d{3}|)$/.test(mask))).toEqual([]);
    expect(masks).toContain('•••• •••••');
    expect(masks).toContain('•••• •••• •••• 1111');
    expect(masks).toContain('•••• •••••• •8431');
    const open = events.progress.filter(({ ended }) => ended === false);
    expect(open.filter(({ masked }) => /\d/.test(String(masked)))).toEqual([]);
  });
});
