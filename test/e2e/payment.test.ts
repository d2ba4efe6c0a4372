import { execFile } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { RtpPacket } from 'rtp.js/packets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { freeMediaPort } from '../harness/free-ports.ts';
import { type Conditions, netemOf } from '../harness/netem.ts';
import { answerPrompt, CARDS, call, callText, charges, goodbye, keyCard, paymentOf } from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';

/*
 * Whole calls against a whole server: a sip.js caller over WebSocket, RTP of rtp.js, the sandbox gateway.
 */
let server: TestServer;
/** Its prompts are cut short: for tests of what happens, not of how it is said. */
let brief: TestServer;
/** tcpmux: nobody listens there. */
const CLOSED_PORT = 1;

/**
 * A press is eight packets. All of one are lost in one of 5,600 cards here (a bad stretch of eight, every one of them
 * lost: 0.03 / 0.63 * 0.4^7 * 0.75^8, times 23 keys), which no receiver could mend.
 */
const WORST_NETWORK: Conditions = {
  loss: 0.01,
  bursts: { begin: 0.03, end: 0.6, loss: 0.75 },
  duplicate: 0.05,
  reorder: 0.05,
  jitterMs: 30,
};

beforeAll(async () => {
  [server, brief] = await Promise.all([
    TestServer.start({ config: { flows: { careful: {} } } }),
    TestServer.start({
      briefPrompts: true,
      config: {
        gateways: { sandbox: { kind: 'sandbox' }, gone: { kind: 'sandbox', url: `http://127.0.0.1:${CLOSED_PORT}` } },
        flows: { 'gateway-gone': { ...QUICK_FLOW, gateway: 'gone' } },
      },
    }),
  ]);
});

afterAll(async () => {
  expect(await Promise.all([server.stop(), brief.stop()])).toEqual([0, 0]);
});

const SIPP = '/usr/bin/sipp';
const SIPP_MS_MAX = 85_000;

// The longest, so it begins first.
describe.concurrent('the scenario of docs/first-call.md', () => {
  // SIPp sends the keys through a raw socket.
  it.skipIf(!existsSync(SIPP) || process.getuid?.() !== 0)('pays by SIPp, confirming each field', async () => {
    const documented = readFileSync(new URL('../../docs/first-call.xml', import.meta.url), 'utf8');
    const file = join(server.folder, 'first-call.xml');
    // Its card is in it, so it may not stand among the server's files when the leak watch looks through them.
    server.expectNoLeakOf({ pan: '4111111111111111', expiry: '1230', cvc: '123' });
    writeFileSync(file, documented.replace(';amount=4210;', ';amount=4210;flow=careful;'));
    const target = `127.0.0.1:${server.ports.udp}`;
    const mediaPort = String(await freeMediaPort());
    const argv = [target, '-sf', file, '-i', '127.0.0.1', '-mp', mediaPort, '-m', '1', '-nostdin'];
    const status = await new Promise<string>((resolve) => {
      execFile(SIPP, argv, { cwd: server.folder, timeout: SIPP_MS_MAX, env: { TERM: 'dumb' } }, (error, out, err) =>
        resolve(error === null ? 'paid' : `${error.code} ${err} ${out.slice(-2000)}`),
      );
    });
    rmSync(file);
    expect(status).toBe('paid');
    expect(await paymentOf(server, 'order-1')).toMatchObject({ result: 'approved', last4: '1111', amountMinor: 4210 });
  });
});

describe.concurrent('a caller who pays', () => {
  it('is charged once, hears the result, and gets it in the BYE, keying by events', async () => {
    const phone = await call(server, { amountMinor: 4210, reference: 'EVENTS-1' });
    await keyCard(server, phone, CARDS.visa, { patient: true });
    await goodbye(phone);
    const payment = await paymentOf(server, 'EVENTS-1');
    expect(payment).toMatchObject({ result: 'approved', brand: 'visa', last4: '1111', amountMinor: 4210, declines: 0 });
    expect(await charges(server, 'EVENTS-1')).toMatchObject([{ amount_minor: 4210, last4: '1111' }]);
    expect(phone.byeHeaders()).toMatchObject({
      'x-hushtone-result': 'approved',
      'x-hushtone-last4': '1111',
      'x-hushtone-amount': '4210',
    });
  });

  it.for([
    ['one packet in ten is lost', { loss: 0.1 }],
    ['packets are lost in bursts, come twice, late and out of order', WORST_NETWORK],
  ] as [string, Conditions][])('is charged when %s', async ([what, conditions], test) => {
    const reference = `NETWORK-${what.length}`;
    const netem = netemOf(test, conditions, systemClock);
    const phone = await call(brief, { amountMinor: 1500, reference });
    phone.media.link = netem.link;
    await keyCard(brief, phone, CARDS.mastercard);
    await goodbye(phone);
    expect(await paymentOf(brief, reference)).toMatchObject({ result: 'approved', last4: '5100' });
    expect(netem.fates.lost).toBeGreaterThan(0);
  });

  it('is asked again after a wrong number', async () => {
    const phone = await call(brief, { amountMinor: 500, reference: 'WRONG-1' });
    await answerPrompt(phone, '4111111111111112');
    await keyCard(brief, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(brief, 'WRONG-1')).toMatchObject({ result: 'approved', last4: '1111' });
  });

  it('may clear the number with star and key it again', async () => {
    const phone = await call(brief, { amountMinor: 500, reference: 'STAR-1' });
    await answerPrompt(phone, '41111*');
    await phone.media.key(CARDS.visa.pan, 'event');
    await answerPrompt(phone, CARDS.visa.expiry);
    await answerPrompt(phone, CARDS.visa.cvc);
    await goodbye(phone);
    expect(await paymentOf(brief, 'STAR-1')).toMatchObject({ result: 'approved', last4: '1111' });
  });

  it('is declined, keys another card and is approved', async () => {
    const phone = await call(brief, { amountMinor: 7500, reference: 'DECLINE-1' });
    await keyCard(brief, phone, CARDS.declined);
    await keyCard(brief, phone, CARDS.mastercard);
    await goodbye(phone);
    expect(await paymentOf(brief, 'DECLINE-1')).toMatchObject({ result: 'approved', declines: 1, last4: '5100' });
    expect((await charges(brief, 'DECLINE-1')).map(({ status }) => status)).toEqual([
      'declined',
      expect.stringMatching(/authorized|captured/),
    ]);
  });

  it('ends as declined at the maximum number of declines', async () => {
    const phone = await call(brief, { amountMinor: 7500, reference: 'DECLINE-3' });
    for (let time = 0; time < 3; time++) await keyCard(brief, phone, CARDS.declined);
    await goodbye(phone);
    expect(await paymentOf(brief, 'DECLINE-3')).toMatchObject({ result: 'declined', declines: 3 });
  });

  it('is charged once when the answer of the gateway is lost after the commit', async () => {
    const phone = await call(brief, { amountMinor: 9011, reference: 'LOST-1' });
    await keyCard(brief, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(brief, 'LOST-1')).toMatchObject({ result: 'approved', amountMinor: 9011 });
    expect(await charges(brief, 'LOST-1')).toHaveLength(1);
  });

  it('is charged once when the gateway answers 500 after the commit', async () => {
    const phone = await call(brief, { amountMinor: 9012, reference: 'BROKEN-1' });
    await keyCard(brief, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(brief, 'BROKEN-1')).toMatchObject({ result: 'approved' });
    expect(await charges(brief, 'BROKEN-1')).toHaveLength(1);
  });
});

describe.concurrent('a caller whose gateway cannot be reached', () => {
  it('is told so, and the payment has failed and charged nothing', async () => {
    const phone = await call(brief, { amountMinor: 1200, reference: 'GONE-1', flow: 'gateway-gone' });
    await keyCard(brief, phone, CARDS.visa);
    await goodbye(phone);
    expect(await paymentOf(brief, 'GONE-1')).toMatchObject({ result: 'failed' });
    expect(phone.byeHeaders()).toMatchObject({
      'x-hushtone-result': 'failed',
      'x-hushtone-error': 'GATEWAY_UNREACHABLE',
    });
    expect(phone.byeHeaders()).not.toHaveProperty('x-hushtone-gateway-reference');
  });
});

describe.concurrent('a caller into whose stream a stranger sends', () => {
  it('has the strange packets dropped, and they stand in /metrics when the call is over', async () => {
    const strangers = 25;
    const phone = await call(server, { amountMinor: 1200, reference: 'STRANGER-1' });
    await phone.media.promptBegins();
    const { remote } = phone.media;
    if (remote === null) throw new Error('the phone sends nowhere');
    const packet = new RtpPacket();
    packet.setPayloadType(0);
    packet.setPayload(new DataView(new ArrayBuffer(160)));
    const view = packet.getView();
    const socket = createSocket('udp4');
    for (let i = 0; i < strangers; i++) {
      await new Promise((resolve) => socket.send(view, remote.port, remote.address, resolve));
    }
    socket.close();
    // One packet of a socket is read in each step of 5 ms.
    await phone.media.wait(strangers * 20);
    await phone.hangUp();
    await server.until('the strange packets are counted', async () => {
      const { text } = await server.get('/metrics');
      return Number(/^hushtone_rtp_packets_from_elsewhere_total (\d+)$/m.exec(text)?.[1]) >= strangers;
    });
    const { text } = await server.get('/metrics');
    expect(text).toMatch(/^hushtone_rtp_packets_received_total [1-9]/m);
    expect(text).toMatch(/^hushtone_keys_total\{path="event"\} \d/m);
  });
});

describe('many callers', () => {
  it('lets twenty pay at once, each its own amount', async () => {
    const orders = Array.from({ length: 20 }, (_, at) => ({ amountMinor: 1000 + at, reference: `TWENTY-${at}` }));
    const texts = await Promise.all(
      orders.map(async (order, at) => {
        const phone = await call(server, order);
        await keyCard(server, phone, at % 2 === 0 ? CARDS.visa : CARDS.amex, {
          style: at % 3 === 0 ? 'inband' : 'event',
        });
        await goodbye(phone);
        return callText(phone);
      }),
    );
    for (const [at, { amountMinor, reference }] of orders.entries()) {
      expect(await paymentOf(server, reference), texts[at]).toMatchObject({ result: 'approved', amountMinor });
      expect(await charges(server, reference)).toMatchObject([{ amount_minor: amountMinor }]);
    }
  });
});
