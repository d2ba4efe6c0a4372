import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestGateway } from '../harness/gateway.ts';
import type { Card } from '../harness/leak-watch.ts';
import { CARDS, call, goodbye, keyCard, type PaymentSeen, paymentNow, paymentOf } from '../harness/payer.ts';
import { QUICK_FLOW, TestServer } from '../harness/server.ts';

/*
 * Whole calls through generic-rest: the plain connector contract and our dialect of it, in one step and in two, with lost
 * and late answers, and with signed bodies. Gateways are processes of their own.
 */

/** Longer than a request of the impatient flows, shorter than one of the others. */
const SLOW_MS = 900;
const IMPATIENT_MS = 500;
const HOLD_MS = 1_500;
const SLOW_CARD: Card = { pan: '4000000000000077', expiry: '1128', cvc: '737' };
const SECRET = 'between the gateway and the worker';

const open: TestGateway[] = [];
let plain: TestGateway;
let hmac: TestGateway;
let digest: TestGateway;
let server: TestServer;

beforeAll(async () => {
  const timed = 't={timestamp},v1=';
  [plain, hmac, digest] = await Promise.all([
    TestGateway.start({ argv: ['--slow-ms', String(SLOW_MS)] }),
    TestGateway.start({
      argv: ['--sign-header', 'X-Signature', '--sign-prefix', timed],
      environment: { HUSHTONE_SANDBOX_SIGN_SECRET: SECRET },
    }),
    TestGateway.start({
      argv: [
        ...['--sign-header', 'Content-Digest', '--sign-kind', 'sha256', '--sign-encoding', 'base64'],
        ...['--sign-prefix', 'sha-256=:', '--sign-suffix', ':'],
      ],
    }),
  ]);
  open.push(plain, hmac, digest);
  const rest = { kind: 'generic-rest', password: 'unused' } as const;
  const ours = { ...rest, dialect: 'hushtone' } as const;
  const signature = { header: 'X-Signature', prefix: timed };
  const flow = (gateway: string, over: object = {}) => ({ ...QUICK_FLOW, gateway, ...over });
  server = await TestServer.start({
    config: {
      gateways: {
        connector: { ...rest, url: `${plain.url}/connector` },
        ours: { ...ours, url: `${plain.url}/hushtone` },
        'two-step': { ...ours, url: `${plain.url}/hushtone`, verbs: ['authorize', 'capture', 'void', 'lookup'] },
        signed: { ...ours, url: `${hmac.url}/hushtone`, sign: { ...signature, secret: { env: 'GATEWAY_SECRET' } } },
        missigned: { ...rest, url: `${hmac.url}/connector`, sign: { ...signature, secret: 'another' } },
        digest: {
          ...rest,
          url: `${digest.url}/connector`,
          sign: { header: 'Content-Digest', kind: 'sha256', encoding: 'base64', prefix: 'sha-256=:', suffix: ':' },
        },
      },
      flows: {
        default: flow('connector'),
        ours: flow('ours'),
        'two-step': flow('two-step'),
        impatient: flow('ours', { gatewayTimeoutMs: IMPATIENT_MS }),
        'impatient-connector': flow('connector', { gatewayTimeoutMs: IMPATIENT_MS }),
        'short-hold': flow('connector', { outcomeHoldMsMax: HOLD_MS }),
        signed: flow('signed'),
        missigned: flow('missigned'),
        digest: flow('digest'),
      },
    },
    environment: { GATEWAY_SECRET: SECRET },
  });
});

afterAll(async () => {
  for (const gateway of open) gateway.stop();
  expect(server.output).not.toContain(SECRET);
  expect(await server.stop()).toBe(0);
});

/** Pays, and hangs up as soon as the result is being announced. */
async function pays(flow: string, amountMinor: number, card: Card = CARDS.visa): Promise<PaymentSeen> {
  const reference = referenceOf(flow, amountMinor);
  const phone = await call(server, { amountMinor, reference, flow });
  await keyCard(server, phone, card);
  await server.until(
    `the result of ${reference} is announced`,
    async () => (await paymentNow(server, reference))?.state === 'announcing',
    20_000,
  );
  await phone.hangUp();
  return await paymentOf(server, reference);
}

let calls = 0;
/** New for each call: a test that is run again must not find the charge of its first run. */
const referenceOf = (flow: string, amountMinor: number) => `${flow}-${amountMinor}-${++calls}`;
const chargesOf = (gateway: TestGateway, { reference }: PaymentSeen) => gateway.transactions(reference ?? '');

/** What the gateway was asked and said, in order. */
const asked = ({ events }: PaymentSeen) =>
  events.flatMap(({ kind, detail }) => (kind === 'gatewayAnswered' ? [`${detail.verb} ${detail.outcome}`] : []));

// All at once: each waits for its own call.
describe.concurrent('through generic-rest', () => {
  describe('a caller who pays through the connector contract', () => {
    it('is charged once', async () => {
      const payment = await pays('default', 4210);
      expect(payment).toMatchObject({ result: 'approved', amountMinor: 4210, last4: '1111', attention: null });
      expect(asked(payment)).toEqual(['purchase approved']);
      const [one, ...more] = await chargesOf(plain, payment);
      expect(one).toMatchObject({ status: 'captured', amount_minor: 4210, last4: '1111', asked: 1 });
      expect(more).toEqual([]);
    });

    it('is charged once when the answer is lost after the commit: asked again under the same id', async () => {
      const payment = await pays('default', 9011);
      expect(payment).toMatchObject({ result: 'approved', attention: null });
      expect(asked(payment)).toEqual(['purchase unknown', 'purchase approved']);
      expect(payment.attempts).toHaveLength(1);
      expect(await chargesOf(plain, payment)).toMatchObject([
        { status: 'captured', asked: 2, idempotency_key: payment.attempts[0]?.idempotencyKey },
      ]);
    });

    it('is told that a person will check where no answer comes within the hold, and nothing else is charged', async () => {
      const reference = referenceOf('short-hold', 9015);
      const phone = await call(server, { amountMinor: 9015, reference, flow: 'short-hold' });
      await keyCard(server, phone, CARDS.mastercard);
      await goodbye(phone);
      const payment = await paymentOf(server, reference);
      expect(payment).toMatchObject({ result: 'unknown', attempts: [{ state: 'unknown' }] });
      expect(payment.attention).toMatch(/outcome of charge 1 is unknown/);
      expect(phone.byeHeaders()).toMatchObject({
        'x-hushtone-result': 'unknown',
        'x-hushtone-error': 'GATEWAY_OUTCOME_UNKNOWN',
      });
      expect(new Set(asked(payment))).toEqual(new Set(['purchase unknown']));
      const [one, ...more] = await chargesOf(plain, payment);
      // Charged, which we cannot know; asked again while the fields were held, and always under one id.
      expect(one).toMatchObject({ status: 'captured', asked: asked(payment).length });
      expect(more).toEqual([]);
    });

    it('is asked again where the gateway takes longer than its limit, and charged once', async () => {
      const payment = await pays('impatient-connector', 4300, SLOW_CARD);
      expect(payment.result).toBe('approved');
      expect(asked(payment)).toEqual(['purchase unknown', 'purchase approved']);
      expect(await chargesOf(plain, payment)).toMatchObject([{ status: 'captured', asked: 2 }]);
    });
  });

  describe('a caller who pays through our dialect', () => {
    it('is charged once, in one step', async () => {
      const payment = await pays('ours', 4210, CARDS.amex);
      expect(payment).toMatchObject({ result: 'approved', brand: 'amex', attempts: [{ verb: 'purchase' }] });
      expect(asked(payment)).toEqual(['purchase approved']);
      expect(await chargesOf(plain, payment)).toMatchObject([{ status: 'captured', last4: '8431', asked: 1 }]);
    });

    it('is charged once, in two steps', async () => {
      const payment = await pays('two-step', 4210);
      expect(payment).toMatchObject({ result: 'approved', attempts: [{ verb: 'authorize', state: 'approved' }] });
      expect(asked(payment)).toEqual(['authorize authorized', 'capture approved']);
      expect(await chargesOf(plain, payment)).toMatchObject([{ status: 'captured', asked: 1 }]);
    });

    it('is not charged, and nothing stays held, where the capture is refused', async () => {
      const reference = referenceOf('two-step', 9016);
      const phone = await call(server, { amountMinor: 9016, reference, flow: 'two-step' });
      await keyCard(server, phone, CARDS.visa);
      await goodbye(phone);
      const payment = await paymentOf(server, reference);
      expect(payment).toMatchObject({ result: 'failed', attention: null, attempts: [{ state: 'voided' }] });
      expect(asked(payment)).toEqual(['authorize authorized', 'capture declined', 'void approved']);
      expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-error': 'GATEWAY_CAPTURE_FAILED' });
      expect(await chargesOf(plain, payment)).toMatchObject([{ status: 'voided' }]);
    });

    it('waits for a slow gateway within its limit, and is asked for once', async () => {
      const payment = await pays('ours', 4300, SLOW_CARD);
      expect(payment.result).toBe('approved');
      expect(asked(payment)).toEqual(['purchase approved']);
      const { text } = await server.get('/metrics');
      // Slow it was: of this gateway's purchases at least one took longer than the sandbox's delay.
      const sum =
        /^hushtone_gateway_request_duration_seconds_sum\{gateway="ours",verb="purchase",outcome="approved"\} (\S+)$/m.exec(
          text,
        );
      expect(Number(sum?.[1])).toBeGreaterThan(SLOW_MS / 1000);
    });

    it('is looked up where the gateway takes longer than its limit, and charged once', async () => {
      const payment = await pays('impatient', 4300, SLOW_CARD);
      expect(payment.result).toBe('approved');
      expect(asked(payment)).toEqual(['purchase unknown', 'lookup approved']);
      expect(await chargesOf(plain, payment)).toMatchObject([{ status: 'captured', asked: 1 }]);
    });
  });

  describe('a caller whose gateway wants signed bodies', () => {
    it('pays where the worker signs with the secret that the gateway knows', async () => {
      const payment = await pays('signed', 4210);
      expect(payment).toMatchObject({ result: 'approved' });
      expect(await chargesOf(hmac, payment)).toMatchObject([{ status: 'captured' }]);
    });

    it('pays where the worker sends a digest', async () => {
      const payment = await pays('digest', 4210);
      expect(payment).toMatchObject({ result: 'approved' });
      expect(await chargesOf(digest, payment)).toMatchObject([{ status: 'captured' }]);
    });

    it('is not charged where the secret is another', async () => {
      const payment = await pays('missigned', 4210);
      expect(payment).toMatchObject({ result: 'failed' });
      expect(await chargesOf(hmac, payment)).toEqual([]);
    });
  });
});
