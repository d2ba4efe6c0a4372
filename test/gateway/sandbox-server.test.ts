import { createHash, createHmac } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { type SandboxServer, startSandboxServer } from '../../src/gateway/sandbox/server/server.ts';
import type { SignatureRule } from '../../src/gateway/sandbox/server/signature.ts';
import { systemClock } from '../../src/lib/clock.ts';
import type { LogFields } from '../../src/lib/log.ts';
import { silentLog } from '../../src/lib/log.ts';

const lines: string[] = [];
const log = {
  ...silentLog,
  info: (message: string, fields?: LogFields) => void lines.push(JSON.stringify({ message, ...fields })),
};
const VISA = '4242424242424242';
let server: SandboxServer | undefined;

async function start(
  options: { key?: string; echo?: boolean; sign?: SignatureRule; slowMs?: number } = {},
): Promise<string> {
  server = await startSandboxServer({
    address: '127.0.0.1',
    port: 0,
    tls: null,
    key: options.key ?? null,
    slowMs: options.slowMs ?? 1,
    sign: options.sign ?? null,
    echo: options.echo ?? false,
    clock: systemClock,
    log,
  });
  return `http://127.0.0.1:${server.port}`;
}

afterEach(async () => {
  await server?.close();
  expect(lines.join('\n')).not.toMatch(/\d{12,19}/);
});

const charge = (pan: string, amountMinor: number) => ({
  pan,
  expiry_month: '12',
  expiry_year: '30',
  cvc: '123',
  amount_minor: amountMinor,
  currency: 'USD',
  reference: 'invoice 7',
  description: 'test',
});

async function post(base: string, path: string, key: string, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(`${base}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key, ...headers },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe('the sandbox gateway', () => {
  it('approves a test card once for one key, however often it is asked', async () => {
    const base = await start();
    const first = await post(base, '/v1/purchase', 'k1', charge(VISA, 4210));
    const again = await post(base, '/v1/purchase', 'k1', charge(VISA, 4210));
    expect(first).toMatchObject({ status: 200, body: { status: 'captured', last4: '4242', brand: 'visa', asked: 1 } });
    expect(again).toMatchObject({ status: 200, body: { id: first.body.id, asked: 2 } });
    expect(server?.ledger.list(null)).toHaveLength(1);
  });

  it('refuses a key that comes again with another request', async () => {
    const base = await start();
    await post(base, '/v1/purchase', 'k1', charge(VISA, 4210));
    expect(await post(base, '/v1/purchase', 'k1', charge(VISA, 4211))).toMatchObject({
      status: 409,
      body: { error: { code: 'keyReused' } },
    });
  });

  it('declines by card and by amount, and every card that is no test card', async () => {
    const base = await start();
    for (const [pan, amount, reason] of [
      ['4000000000009995', 4210, 'insufficient-funds'],
      [VISA, 9005, 'lost-or-stolen'],
      ['4539578763621486', 4210, 'invalid-card'],
    ] as const) {
      expect(await post(base, '/v1/authorize', `k-${reason}`, charge(pan, amount))).toMatchObject({
        status: 402,
        body: { status: 'declined', decline_reason: reason },
      });
    }
    expect(JSON.stringify(server?.ledger.list(null))).not.toContain('1486');
  });

  it('loses the answer after the commit, and gives it to who looks it up or asks again', async () => {
    const base = await start();
    await expect(post(base, '/v1/purchase', 'k1', charge(VISA, 9011))).rejects.toThrow();
    const found = await fetch(`${base}/v1/transactions/k1`);
    expect(await found.json()).toMatchObject({ status: 'captured', amount_minor: 9011 });
    expect(await post(base, '/v1/purchase', 'k1', charge(VISA, 9011))).toMatchObject({ status: 200 });
    expect(server?.ledger.list(null)).toHaveLength(1);
  });

  it('answers 500 after the commit and 500 before it, and only the first has charged', async () => {
    const base = await start();
    expect(await post(base, '/v1/purchase', 'after', charge(VISA, 9012))).toMatchObject({ status: 500 });
    expect(await post(base, '/v1/purchase', 'before', charge(VISA, 9014))).toMatchObject({ status: 500 });
    expect(server?.ledger.list(null).map((one) => one.idempotency_key)).toEqual(['after']);
    expect(await post(base, '/v1/purchase', 'before', charge(VISA, 9014))).toMatchObject({ status: 200 });
  });

  it('captures, refunds in parts and voids, each only where it is possible', async () => {
    const base = await start();
    await post(base, '/v1/authorize', 'k1', charge(VISA, 5000));
    const change = (amount: number) => ({ charge_key: 'k1', amount_minor: amount, currency: 'USD' });
    expect(await post(base, '/v1/refund', 'r0', change(1))).toMatchObject({ status: 409 });
    expect(await post(base, '/v1/capture', 'c1', change(5001))).toMatchObject({ status: 409 });
    expect(await post(base, '/v1/capture', 'c2', change(5000))).toMatchObject({ body: { status: 'captured' } });
    expect(await post(base, '/v1/refund', 'r1', change(2000))).toMatchObject({ body: { status: 'captured' } });
    expect(await post(base, '/v1/refund', 'r1', change(2000))).toMatchObject({ status: 200 });
    expect(await post(base, '/v1/void', 'v1', change(5000))).toMatchObject({ status: 409 });
    expect(await post(base, '/v1/refund', 'r2', change(3000))).toMatchObject({ body: { status: 'refunded' } });
    expect(
      await post(base, '/v1/void', 'v2', { charge_key: 'nobody', amount_minor: 1, currency: 'USD' }),
    ).toMatchObject({
      status: 404,
    });
  });

  it('names the wrong field and not its value', async () => {
    const base = await start();
    const wrong = await post(base, '/v1/purchase', 'k1', { ...charge('4242-4242-4242-4242', 1) });
    expect(wrong).toMatchObject({ status: 400, body: { error: { message: 'wrong field: pan' } } });
    expect(JSON.stringify(wrong.body)).not.toContain('4242');
  });

  it('asks for its key', async () => {
    const base = await start({ key: 'sandbox-key' });
    expect((await post(base, '/v1/purchase', 'k1', charge(VISA, 1))).status).toBe(401);
    expect(
      (await post(base, '/v1/purchase', 'k1', charge(VISA, 1), { authorization: 'Bearer sandbox-key' })).status,
    ).toBe(200);
    const basic = `Basic ${Buffer.from('user:sandbox-key').toString('base64')}`;
    expect((await post(base, '/v1/purchase', 'k2', charge(VISA, 1), { authorization: basic })).status).toBe(200);
  });

  it('echoes the request where it is told to', async () => {
    const base = await start({ echo: true });
    expect((await post(base, '/v1/purchase', 'k1', charge(VISA, 1))).body.echo).toContain(VISA);
  });

  it('answers a slow card late', async () => {
    const base = await start({ slowMs: 200 });
    const before = performance.now();
    expect(await post(base, '/v1/purchase', 'k1', charge('4000000000000077', 4210))).toMatchObject({ status: 200 });
    expect(performance.now() - before).toBeGreaterThanOrEqual(199);
  });

  it('loses every answer of an amount, and the first one of a card', async () => {
    const base = await start();
    for (let tries = 0; tries < 3; tries += 1) {
      await expect(post(base, '/v1/purchase', 'silent', charge(VISA, 9015))).rejects.toThrow();
    }
    await expect(post(base, '/v1/purchase', 'lost', charge('4000000000000341', 4210))).rejects.toThrow();
    expect((await post(base, '/v1/purchase', 'lost', charge('4000000000000341', 4210))).status).toBe(200);
    expect(server?.ledger.list(null)).toMatchObject([{ asked: 3 }, { asked: 2 }]);
  });

  it('asks for a signature over each body, and for one of now', async () => {
    const secret = 'between us';
    const rule = { kind: 'hmac-sha256', encoding: 'hex', suffix: '', secret } as const;
    const base = await start({ sign: { ...rule, header: 'X-Signature', prefix: 't={timestamp},v1=' } });
    const body = JSON.stringify(charge(VISA, 4210));
    const signed = (time: number, text = body, key: string = secret) =>
      `t=${time},v1=${createHmac('sha256', key).update(`${time}.${text}`).digest('hex')}`;
    const now = Math.floor(systemClock.now() / 1000);
    const statusOf = async (signature: string) =>
      (await post(base, '/v1/purchase', 'k1', charge(VISA, 4210), { 'x-signature': signature })).status;
    expect(await statusOf(signed(now))).toBe(200);
    for (const wrong of [
      '',
      signed(now, `${body} `),
      signed(now, body, 'another'),
      signed(now - 400),
      signed(now + 400),
      signed(now).replace('t=', 't=0'),
      `${signed(now)}0`,
    ]) {
      expect(await statusOf(wrong), wrong).toBe(401);
    }
    expect((await post(base, '/v1/purchase', 'k2', charge(VISA, 4210))).status).toBe(401);
  });

  it('asks for a digest over each body as RFC 9530 writes it', async () => {
    const rule = { kind: 'sha256', encoding: 'base64', secret: '', header: 'Content-Digest' } as const;
    const base = await start({ sign: { ...rule, prefix: 'sha-256=:', suffix: ':' } });
    const value = createHash('sha256')
      .update(JSON.stringify(charge(VISA, 4210)))
      .digest('base64');
    const ask = (digest: string) => post(base, '/v1/purchase', 'k1', charge(VISA, 4210), { 'content-digest': digest });
    expect((await ask(`sha-256=:${value}:`)).status).toBe(200);
    expect((await ask(`sha-256=${value}`)).status).toBe(401);
  });

  it('knows at the plain connector no method of our own dialect', async () => {
    const base = await start();
    const lookup = { method: 'lookup', transaction_id: 't1' };
    expect((await post(base, '/connector', '', lookup)).status).toBe(400);
    expect(await post(base, '/hushtone', '', lookup)).toMatchObject({ status: 404, body: { status: 'notFound' } });
    expect((await post(base, '/hushtone', '', { ...lookup, cardnumber: VISA })).body).toMatchObject({
      error: { message: 'wrong field: cardnumber' },
    });
    expect((await post(base, '/hushtone', '', { method: 'reverse', transaction_id: 't1' })).status).toBe(400);
  });

  it('speaks the connector dialect: one id for one transaction, a decline is an error code', async () => {
    const base = await start();
    const ask = (id: string, cardnumber: string, amount: string) =>
      post(base, '/connector', '', {
        method: 'charge',
        transaction_id: id,
        cardnumber,
        cvv: '123',
        amount,
        currency_code: 'usd',
        expiry_month: '12',
        expiry_year: '30',
      });
    const first = await ask('t1', VISA, '42.10');
    expect(first).toMatchObject({ status: 200, body: { error_code: null } });
    expect(await ask('t1', VISA, '42.10')).toMatchObject({ body: { charge_id: first.body.charge_id } });
    expect(await ask('t2', '4000000000000002', '42.10')).toMatchObject({
      body: { charge_id: null, error_code: 'do-not-honor' },
    });
    expect((await ask('t3', VISA, '42.105')).status).toBe(400);
    expect(server?.ledger.lookup('t1').body).toMatchObject({ amount_minor: 4210 });
  });
});
