import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  EgressAnswer,
  GatewayAdapter,
  GatewayOperation,
  GatewayOutcome,
  GatewayVerb,
} from '../../src/app/ports.ts';
import { basicAuthorization, bearerAuthorization } from '../../src/gateway/authorization.ts';
import { genericRestAdapter } from '../../src/gateway/generic-rest/adapter.ts';
import { sandboxAdapter } from '../../src/gateway/sandbox/adapter.ts';
import { type SandboxServer, startSandboxServer } from '../../src/gateway/sandbox/server/server.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';

let server: SandboxServer;
beforeAll(async () => {
  const options = { address: '127.0.0.1', port: 0, tls: null, key: null, slowMs: 1, echo: false };
  server = await startSandboxServer({ ...options, clock: systemClock, log: silentLog });
});
afterAll(() => server.close());

/** Without a port while the rows are chosen; each test makes its adapter anew. */
const at = (path: string) => `http://127.0.0.1:${(server as SandboxServer | undefined)?.port}${path}`;
const settings = { authorization: null, timeoutMs: 2_000 };
const ADAPTERS: readonly [string, () => GatewayAdapter][] = [
  ['sandbox', () => sandboxAdapter({ ...settings, name: 'sandbox', url: at('') })],
  [
    'generic-rest, connector',
    () =>
      genericRestAdapter({ ...settings, name: 'connector', url: at('/connector'), dialect: 'connector', verbs: null }),
  ],
  [
    'generic-rest, hushtone',
    () => genericRestAdapter({ ...settings, name: 'ours', url: at('/hushtone'), dialect: 'hushtone', verbs: null }),
  ],
  [
    'generic-rest, hushtone without purchase and lookup',
    () =>
      genericRestAdapter({
        ...settings,
        name: 'held',
        url: at('/hushtone'),
        dialect: 'hushtone',
        verbs: ['authorize', 'capture', 'void', 'refund'],
      }),
  ],
];

let count = 0;
function operation(over: Partial<GatewayOperation> = {}): GatewayOperation {
  count += 1;
  return {
    verb: 'purchase',
    idempotencyKey: `contract-${count}`,
    amountMinor: 4210,
    currency: 'USD',
    reference: 'INV-7 {{pan}}',
    description: 'contract "test"',
    fields: ['pan', 'expiry', 'cvc'],
    ...over,
  };
}

const VALUES: Readonly<Record<string, string>> = { 'expiry|month2': '12', 'expiry|year2': '30', cvc: '123' };

/** What the worker's egress does, for a test card: fills and sends. */
async function send(adapter: GatewayAdapter, given: GatewayOperation, pan = '4242424242424242'): Promise<EgressAnswer> {
  const { method, url, headers, body } = adapter.request(given);
  const values: Readonly<Record<string, string>> = { ...VALUES, pan };
  const filled = body?.template.replace(/\{\{([^}]*)\}\}/g, (_, name: string) => values[name] ?? '');
  try {
    const init = { method, headers: headers as Record<string, string> };
    const response = await fetch(url, filled === undefined ? init : { ...init, body: filled });
    return { kind: 'answered', status: response.status, headers: {}, body: await response.text() };
  } catch (error) {
    return { kind: 'noAnswer', reason: String(error) };
  }
}

async function ask(adapter: GatewayAdapter, given: GatewayOperation, pan?: string): Promise<GatewayOutcome> {
  return adapter.outcome(given, await send(adapter, given, pan));
}

/** By the adapter's own means. */
function resolve(adapter: GatewayAdapter, given: GatewayOperation): Promise<GatewayOutcome> {
  return ask(adapter, adapter.capabilities.unknownOutcome === 'lookup' ? { ...given, verb: 'lookup' } : given);
}

describe.each(ADAPTERS)('the gateway contract: %s', (_, make) => {
  const adapter = () => make();
  it('puts no card value into its request, and the card fields only where the caller keyed them', () => {
    const template = adapter().request(operation({ fields: ['pan'] })).body?.template ?? '';
    expect(template.match(/\{\{[^}]*\}\}/g)).toEqual(['{{pan}}']);
    expect(template).not.toMatch(/\d{12}/);
  });
  /** A charge as this gateway makes it: in one step where it can. */
  const charge = (over: Partial<GatewayOperation> = {}): GatewayOperation =>
    operation({ verb: adapter().capabilities.verbs.includes('purchase') ? 'purchase' : 'authorize', ...over });
  const yes = () => (charge().verb === 'purchase' ? 'approved' : 'authorized');
  /** Verbs that only some have: the others are asked no such thing. */
  const has = (...verbs: GatewayVerb[]) => verbs.every((verb) => adapter().capabilities.verbs.includes(verb));
  const itWith = (verbs: GatewayVerb[], name: string, test: () => Promise<void>) => {
    if (has(...verbs)) it(name, test);
  };
  const held = async (over: Partial<GatewayOperation> = {}) => {
    const given = operation({ verb: 'authorize', ...over });
    const authorized = await ask(adapter(), given);
    expect(authorized).toMatchObject({ outcome: 'authorized' });
    return { ...given, gatewayReference: authorized.outcome === 'authorized' ? authorized.gatewayReference : '' };
  };
  it('approves a test card', async () => {
    expect(await ask(adapter(), charge())).toMatchObject({ outcome: yes() });
  });
  it('tells a decline and its reason from a fault', async () => {
    const declined = await ask(adapter(), charge(), '4000000000009995');
    expect(declined).toMatchObject({ outcome: 'declined', reason: 'insufficient-funds' });
  });
  it('is answered the same when it asks again under the same key', async () => {
    const given = charge();
    const first = await ask(adapter(), given);
    expect(await ask(adapter(), given)).toEqual(first);
  });
  itWith(
    ['authorize', 'capture'],
    'holds an amount without taking it, and takes it once however often it is asked',
    async () => {
      const given = await held();
      const first = await ask(adapter(), { ...given, verb: 'capture' });
      expect(first).toMatchObject({ outcome: 'approved' });
      expect(await ask(adapter(), { ...given, verb: 'capture' })).toEqual(first);
      if (has('lookup'))
        expect(await ask(adapter(), { ...given, verb: 'lookup' })).toMatchObject({ outcome: 'approved' });
      expect(server.ledger.lookup(given.idempotencyKey).body).toMatchObject({ status: 'captured' });
    },
  );
  itWith(['authorize', 'lookup'], 'finds by lookup that an amount is held and not taken', async () => {
    const given = await held();
    expect(await ask(adapter(), { ...given, verb: 'lookup' })).toMatchObject({ outcome: 'authorized' });
  });
  itWith(['authorize', 'capture'], 'says that a capture is refused, and the amount is still held', async () => {
    const given = await held({ amountMinor: 9016 });
    expect(await ask(adapter(), { ...given, verb: 'capture' })).toMatchObject({ outcome: 'declined' });
    expect(server.ledger.lookup(given.idempotencyKey).body).toMatchObject({ status: 'authorized' });
  });
  itWith(['authorize', 'capture', 'void'], 'lets go of what is held, and captures it no more', async () => {
    const given = await held();
    expect(await ask(adapter(), { ...given, verb: 'void' })).toMatchObject({ outcome: 'approved' });
    expect(await ask(adapter(), { ...given, verb: 'capture' })).not.toMatchObject({ outcome: 'approved' });
    expect(server.ledger.lookup(given.idempotencyKey).body).toMatchObject({ status: 'voided' });
  });
  itWith(['void', 'refund'], 'undoes what was taken: by void once and for all, by refund in full', async () => {
    for (const verb of ['void', 'refund'] as const) {
      const given = has('purchase') ? operation() : await held();
      if (has('purchase')) await ask(adapter(), given);
      else await ask(adapter(), { ...given, verb: 'capture' });
      const undone = await ask(adapter(), { ...given, verb });
      expect(undone).toMatchObject({ outcome: 'approved' });
      expect(await ask(adapter(), { ...given, verb })).toEqual(undone);
      if (has('lookup')) expect((await ask(adapter(), { ...given, verb: 'lookup' })).outcome).toBe('declined');
      const left = { void: 'voided', refund: 'refunded' }[verb];
      expect(server.ledger.lookup(given.idempotencyKey).body).toMatchObject({ status: left });
    }
  });
  itWith(['void', 'refund'], 'takes no undoing of an unknown charge for done', async () => {
    for (const verb of ['void', 'refund', 'capture'] as const) {
      expect(await ask(adapter(), operation({ verb })), verb).toMatchObject({ outcome: 'unknown' });
    }
  });
  it.each([
    ['the answer is lost after the charge', 9011],
    ['the gateway answers 500 after the charge', 9012],
    ['the gateway says duplicate', 9013],
  ])('does not know the outcome when %s, and finds it', async (_case, amountMinor) => {
    const given = charge({ amountMinor });
    expect(await ask(adapter(), given)).toMatchObject({ outcome: 'unknown' });
    expect(await resolve(adapter(), given)).toMatchObject({ outcome: yes() });
  });
  it('never learns from a gateway that stays silent, but by lookup, and is charged once', async () => {
    const given = charge({ amountMinor: 9015 });
    for (let tries = 0; tries < 3; tries += 1) {
      expect(await ask(adapter(), given)).toMatchObject({ outcome: 'unknown' });
    }
    const expected = has('lookup') ? yes() : 'unknown';
    expect(await resolve(adapter(), given)).toMatchObject({ outcome: expected });
    expect(server.ledger.lookup(given.idempotencyKey).body).toMatchObject({ asked: has('lookup') ? 3 : 4 });
  });
  it('does not take a key that is used for another request for a decline', async () => {
    const given = charge();
    await ask(adapter(), given);
    expect(await ask(adapter(), { ...given, amountMinor: 4211 })).toMatchObject({ outcome: 'unknown' });
  });
  it('throws that nothing can have been charged when nothing was sent', () => {
    const notSent = () => adapter().outcome(operation(), { kind: 'notSent', reason: 'refused' });
    expect(notSent).toThrowError(expect.objectContaining({ code: 'GATEWAY_UNREACHABLE' }));
  });
  it.each(['', 'null', '[]', '{}', '<html>', '{"id":7}', '{"status":"approved"}'])(
    'takes an answer of %j for unknown',
    (body) => {
      const answer: EgressAnswer = { kind: 'answered', status: 200, headers: {}, body };
      expect(adapter().outcome(operation(), answer).outcome).toBe('unknown');
    },
  );
  it.each([301, 404, 408, 409, 429, 500, 502, 503])('takes status %i of a charge for unknown', (status) => {
    const body = '{"charge_id":null,"error_code":"internal"}';
    const answer: EgressAnswer = { kind: 'answered', status, headers: {}, body };
    expect(adapter().outcome(operation(), answer).outcome).toBe('unknown');
  });
  it('throws that the request was refused for status 400', () => {
    const answer: EgressAnswer = { kind: 'answered', status: 400, headers: {}, body: '{}' };
    const refused = () => adapter().outcome(operation(), answer);
    expect(refused).toThrowError(expect.objectContaining({ code: 'GATEWAY_REQUEST_INVALID' }));
  });
  itWith(['lookup'], 'knows a charge that was never asked for as not found', async () => {
    expect(await ask(adapter(), operation({ verb: 'lookup' }))).toEqual({ outcome: 'notFound' });
  });
  it('is written in the words of its headers: JSON both ways, and its authorization', () => {
    for (const verb of adapter().capabilities.verbs) {
      const { headers, method } = adapter().request(operation({ verb }));
      const types = method === 'GET' ? {} : { 'content-type': 'application/json' };
      expect(headers).toMatchObject({ accept: 'application/json', ...types });
      expect(headers).not.toHaveProperty('authorization');
    }
  });
});

describe('our dialect of the connector contract', () => {
  const ours = () =>
    genericRestAdapter({ ...settings, name: 'ours', url: 'http://127.0.0.1/', dialect: 'hushtone', verbs: null });
  const looked = (status: number, body: object) =>
    ours().outcome(operation({ verb: 'lookup' }), {
      kind: 'answered',
      status,
      headers: {},
      body: JSON.stringify(body),
    });
  it('looks an outcome up by transaction_id', () => {
    const { body } = ours().request(operation({ verb: 'lookup', idempotencyKey: 'k1' }));
    expect(JSON.parse(body?.template ?? '')).toEqual({ method: 'lookup', transaction_id: 'k1' });
    expect(looked(200, { status: 'approved', charge_id: 'c1' })).toMatchObject({ outcome: 'approved' });
    expect(looked(200, { status: 'declined', error_code: 'expired_card' })).toMatchObject({ reason: 'expired-card' });
    expect(looked(200, { status: 'authorized', charge_id: 'c1' })).toMatchObject({ outcome: 'authorized' });
    expect(looked(404, {})).toEqual({ outcome: 'notFound' });
    expect(looked(200, {})).toMatchObject({ outcome: 'unknown' });
  });
  it('writes amounts in the currency’s own decimals', () => {
    const amountOf = (currency: string) =>
      JSON.parse(ours().request(operation({ currency })).body?.template ?? '').amount;
    expect(['USD', 'JPY', 'KWD'].map(amountOf)).toEqual(['42.10', '4210', '4.210']);
  });
  it('has no lookup where the operator says that it has none', () => {
    const { capabilities } = genericRestAdapter({
      ...settings,
      name: 'x',
      url: '',
      dialect: 'hushtone',
      verbs: ['purchase', 'void'],
    });
    expect(capabilities).toEqual({ verbs: ['purchase', 'void'], unknownOutcome: 'replay' });
  });
});

describe('the authorization header', () => {
  it('is made of the operator’s secrets, and prints as its label', () => {
    const basic = basicAuthorization('us er', new Sensitive('password', 'pä:ss'));
    expect(Buffer.from(basic?.reveal().slice(6) ?? '', 'base64').toString('utf8')).toBe('us er:pä:ss');
    expect(bearerAuthorization(new Sensitive('key', 'k'))?.reveal()).toBe('Bearer k');
    expect(`${basic}`).toBe('[authorization]');
    expect(basicAuthorization('', new Sensitive('password', ''))).toBeNull();
    expect(bearerAuthorization(null)).toBeNull();
  });
});
