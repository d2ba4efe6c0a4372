import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BARESIP_MODULES, Baresip, type MediaEncryption } from '../harness/baresip.ts';
import { Authority } from '../harness/certificates.ts';
import { CARDS, call, charges, type PaymentSeen, paymentNow, paymentOf } from '../harness/payer.ts';
import { freePorts, QUICK_FLOW, TestServer } from '../harness/server.ts';

/*
 * A real telephone, baresip with its own SRTP, pays against the whole server over loopback; and the media worker dies while
 * it keys. Skipped where baresip is not installed: `make test` installs it.
 */

const CARRIER = readFileSync(join(import.meta.dirname, '../../sip-profiles/carrier-trunk.yaml'), 'utf8');
const FIELD_MS_MAX = 30_000;
/** Half a second of audio. */
const AUDIO_PACKETS = 25;
/** With the announcement of the result, 18 s. */
const PAYMENT_MS_MAX = 60_000;

/** baresip keys by its own clock, every 240 ms at best: a busy machine must not end a number between two keys. */
const PATIENT_FLOW = {
  ...QUICK_FLOW,
  firstDigitTimeoutMs: 20_000,
  interDigitTimeoutMs: 6_000,
  completeInterDigitTimeoutMs: 2_000,
} as const;

async function startServer(srtp: string, flows: object = {}, sip: object = {}): Promise<TestServer> {
  const profile = CARRIER.replace(/^ {2}srtp: .*$/m, `  srtp: ${srtp}`);
  const server = await TestServer.start({
    files: { 'profiles/carrier-trunk.yaml': profile },
    config: { sip: { profiles: 'profiles', ...sip }, flows: { default: PATIENT_FLOW, ...flows } },
  });
  return server;
}

const uriOf = (server: TestServer, reference: string) =>
  `sip:pay@127.0.0.1:${server.ports.udp};amount=4210;currency=USD;reference=${reference}`;

/** The payment asks for this field now, for the `times`-th time. */
async function asked(server: TestServer, reference: string, field: string, times = 1): Promise<void> {
  const isAsking = ({ kind, detail }: PaymentSeen['events'][number]) =>
    kind === 'field' && detail.field === field && detail.state === 'collecting';
  const isAsked = (payment: PaymentSeen | null) => (payment?.events ?? []).filter(isAsking).length >= times;
  await server.until(`${field} is asked for`, async () => isAsked(await paymentNow(server, reference)), FIELD_MS_MAX);
}

async function keyCard(server: TestServer, phone: Baresip, reference: string): Promise<void> {
  server.expectNoLeakOf(CARDS.visa);
  await asked(server, reference, 'pan');
  await phone.key(CARDS.visa.pan);
  await asked(server, reference, 'expiry');
  // What is keyed before its prompt waits in the vault.
  await phone.key(`${CARDS.visa.expiry}${CARDS.visa.cvc}`);
}

/** Keys of SDP that stand in a text; none may. */
const keysIn = (text: string) => [...text.matchAll(/inline:([A-Za-z0-9+/=]{20,})/g)].map(([, key = '']) => key);

describe.skipIf(BARESIP_MODULES === null)('a caller with baresip', () => {
  let server: TestServer;
  let authority: Authority;
  let tlsPort = 0;

  beforeAll(async () => {
    authority = new Authority();
    const { certificate, key } = authority.certificate({ names: ['IP:127.0.0.1'] });
    const [port = 0, wssPort = 0] = await freePorts(2);
    tlsPort = port;
    server = await startServer('prefer', {}, { tls: { port, wssPort, certificate, key } });
  });

  afterAll(async () => {
    await server.stop();
    authority.close();
  });

  /** Over TLS where `secure`: then the keys of its media are as secret as these. */
  async function pays(encryption: MediaEncryption, protocol: string, secure: boolean): Promise<void> {
    const reference = `SRTP-${encryption}`;
    const uri = uriOf(server, reference).replace(`:${server.ports.udp};`, secure ? `:${tlsPort};transport=tls;` : '$&');
    const phone = await Baresip.call(uri, encryption, secure ? authority.file : undefined);
    try {
      await phone.until(/Call established/);
      await keyCard(server, phone, reference);
      const payment = await paymentOf(server, reference, PAYMENT_MS_MAX);
      expect(payment).toMatchObject({ result: 'approved', last4: CARDS.visa.pan.slice(-4), brand: 'visa' });
      expect(await charges(server, reference)).toHaveLength(1);

      const [offered, answered] = phone.output.split(/^SIP\/2\.0 200 OK/m);
      expect(offered).toContain(` ${protocol} `);
      expect(offered).toContain(`Via: SIP/2.0/${secure ? 'TLS' : 'UDP'} `);
      expect(answered).toMatch(new RegExp(`m=audio \\d+ ${protocol} `));
      expect(answered).toMatch(/^a=crypto:1 \w+ inline:/m);
      expect(phone.output).toMatch(/SRTP is Enabled/);
      expect(phone.output).not.toMatch(/failed to decrypt/);
      // Neither side's key stands in anything that the server wrote.
      const keys = keysIn(phone.output);
      expect(keys.length).toBeGreaterThan(1);
      for (const key of keys) expect(server.output).not.toContain(key);
    } finally {
      await phone.stop();
    }
  }

  it('pays by keys over SRTP, offered as RTP/SAVP, over TLS, and as RTP/AVP with keys', async () => {
    await Promise.all([pays('srtp-mand', 'RTP/SAVP', true), pays('srtp', 'RTP/AVP', false)]);
    const over = async () => (await server.get('/metrics')).text.includes('hushtone_calls_active 0');
    await server.until('both legs have ended', over);
    const { text } = await server.get('/metrics');
    // Before its keys stand, baresip sends an RTCP packet in clear that says PINGPONG, and at the end another: not heard.
    expect(text).toMatch(/^hushtone_srtp_packets_unauthentic_total [1-9]$/m);
    expect(text).toMatch(/^hushtone_srtp_packets_replayed_total 0$/m);
    expect(text).toMatch(/^hushtone_srtp_packets_unprotected_total 0$/m);
  });

  // srtp.so keeps the first key it was given, in every version looked at: after our re-INVITE it hears nothing more. That our
  // audio goes on under the new key is proven in test/media/srtp.test.ts, where the telephone changes it.
  it('goes on when the media worker dies: a new key by re-INVITE, its keys are heard, and the payment is made', async () => {
    const reference = 'SRTP-WORKER';
    const phone = await Baresip.call(uriOf(server, reference), 'srtp-mand');
    try {
      await phone.until(/Call established/);
      await asked(server, reference, 'pan');
      await phone.key('4111');
      process.kill(server.pidOf('worker'), 'SIGKILL');
      // Our re-INVITE comes to the phone, and its answer has a key of ours that was not there before.
      await phone.until(/^INVITE sip:caller[\s\S]*^ACK sip:caller/m);
      await asked(server, reference, 'pan', 2);
      // Between its answer and our taking the key of it, what baresip presses is not heard.
      await server.until('the worker has its new key', () => server.logged('SRTP key renewed').length === 1);
      const [, ...invites] = phone.output.split(/^INVITE sip:caller/m);
      const [first = ''] = keysIn(phone.output.split(/^INVITE sip:caller/m)[0]?.split(/^SIP\/2\.0 200 OK/m)[1] ?? '');
      const [renewed = ''] = keysIn(invites[0] ?? '');
      expect(first).not.toBe('');
      expect(renewed).not.toBe(first);
      await keyCard(server, phone, reference);
      const payment = await paymentOf(server, reference, PAYMENT_MS_MAX);
      expect(payment).toMatchObject({ result: 'approved', last4: CARDS.visa.pan.slice(-4) });
    } finally {
      await phone.stop();
    }
  });
});

describe.skipIf(BARESIP_MODULES === null)('a target with baresip, dialed under prefer', () => {
  it.each([
    ['srtp', 'which takes keys in RTP/AVP', ['RTP/AVP']],
    ['srtp-mand', 'which wants RTP/SAVP and is asked a second time', ['RTP/AVP', 'RTP/SAVP']],
  ] as const)('hears us over SRTP: %s, %s', async (encryption, _, protocols) => {
    const target = await Baresip.answering(encryption);
    const server = await startServer('prefer', {
      asked: { ...QUICK_FLOW, identification: { target: target.uri, timeoutMs: 20_000 } },
    });
    const phone = await call(server, { amountMinor: 4210, reference: 'DIALED', flow: 'asked' });
    try {
      await target.until(/SRTP is Enabled/);
      // It is heard, so both directions go.
      const before = phone.media.packetsReceived;
      await server.until('audio comes from it', () => phone.media.packetsReceived >= before + AUDIO_PACKETS);
      const offers = target.output.split(/^INVITE sip:callee/m).slice(1);
      expect(offers.map((offer) => /^m=audio \d+ (\S+) /m.exec(offer)?.[1])).toEqual(protocols);
      expect(target.output).not.toMatch(/failed to decrypt|SRTP is not enabled/);
      for (const key of keysIn(target.output)) expect(server.output).not.toContain(key);
    } finally {
      await phone.hangUp();
      await target.stop();
      await server.stop();
    }
  });
});

describe.skipIf(BARESIP_MODULES === null)('a caller without SRTP', () => {
  it('is refused with 488 and the reason where the profile demands it', async () => {
    const server = await startServer('require');
    const phone = await Baresip.call(uriOf(server, 'PLAIN'), 'none');
    try {
      await phone.until(/488 Not Acceptable Here/);
      expect(phone.output).toContain('Warning: 305 hushtone "no secure media, which the profile demands"');
      expect(server.logged('an offer is refused')).toMatchObject([
        { fault: 'no secure media, which the profile demands' },
      ]);
    } finally {
      await phone.stop();
      await server.stop();
    }
  });
});
