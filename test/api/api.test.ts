import { createServer } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createApi, startApi } from '../../src/api/api.ts';
import { leakIn } from '../../src/api/leak-guard.ts';
import type { ApiOptions, ApiRecords } from '../../src/api/options.ts';
import type { CallMedia } from '../../src/app/call-media.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ServiceError } from '../../src/lib/errors.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { MEDIA, NO_STATS } from '../harness/fake-ports.ts';
import { attempt, conversation, event, payment, START } from '../store/rows.ts';

const PAN = '4242424242424242';
const KEY = 'a-key-of-more-than-twenty-characters';
const closers: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const nothing: ApiRecords = {
  conversations: async () => ({ conversations: [], next: null }),
  conversation: async () => null,
  payment: async () => null,
  events: async () => [],
  newestEvent: async () => 0,
};

function options(over: Partial<ApiOptions> = {}): ApiOptions {
  return {
    address: '127.0.0.1',
    port: 0,
    keys: [],
    records: nothing,
    subscribe: () => () => {},
    readiness: async () => ({ workers: true, sip: true, store: true }),
    callMedia: async () => null,
    metricsText: async () => 'hushtone_calls_total 7\nhushtone_payment_duration_seconds_sum 1.4242424242424242\n',
    clock: systemClock,
    log: silentLog,
    ...over,
  };
}

async function api(over: Partial<ApiOptions> = {}) {
  const app = await createApi(options(over));
  closers.push(() => app.close());
  return async (url: string, headers: Record<string, string> = {}) => {
    const { statusCode: status, headers: answered, body } = await app.inject({ url, headers });
    const isJson = String(answered['content-type']).startsWith('application/json');
    return { status, headers: answered, body: isJson ? JSON.parse(body) : body };
  };
}

describe('reading records', () => {
  it('lists conversations with ISO times and passes filters and the cursor on', async () => {
    const end = { startedAt: START, callId: 'ca_1' };
    const list = vi.fn<ApiRecords['conversations']>(async () => ({
      conversations: [{ ...conversation(), payments: [payment({ result: 'approved', state: 'approved' })] }],
      next: end,
    }));
    const get = await api({ records: { ...nothing, conversations: list } });
    const first = await get('/v1/conversations?customer=C-1&active=true&startedFrom=2026-11-23T00:00:00Z&limit=1');
    expect(first.status).toBe(200);
    expect(first.body.conversations[0]).toMatchObject({
      from: '+4917612345674',
      startedAt: '2026-11-23T09:51:36.000Z',
    });
    expect(first.body.conversations[0].payments[0]).toMatchObject({ result: 'approved', last4: '4242' });
    const filter = { customer: 'C-1', active: true, startedFrom: Date.parse('2026-11-23T00:00:00Z') };
    expect(list).toHaveBeenLastCalledWith(filter, 1, null);
    expect((await get(`/v1/conversations?cursor=${first.body.next}`)).status).toBe(200);
    expect(list).toHaveBeenLastCalledWith({}, 50, end);
  });

  it('shows one payment with its attempts and its events in order', async () => {
    const records = {
      ...nothing,
      payment: async () => ({
        ...payment(),
        attempts: [attempt({ gatewayReference: 'tx_1' })],
        events: [{ ...event({ detail: { length: 16, luhnOk: true } }), ordinal: 7 }],
      }),
    };
    const { status, body } = await (await api({ records }))('/v1/payments/pa_1');
    expect(status).toBe(200);
    expect(body.attempts[0].gatewayReference).toBe('tx_1');
    expect(body.events).toEqual([
      { id: 7, sequence: 1, at: '2026-11-23T09:51:36.000Z', kind: 'fieldEnded', detail: { length: 16, luhnOk: true } },
    ]);
  });

  it('answers 404 for what is not there', async () => {
    const get = await api();
    expect(await get('/v1/payments/pa_1')).toMatchObject({
      status: 404,
      body: { error: { code: 'PAYMENT_NOT_FOUND' } },
    });
    expect(await get('/v1/conversations/ca_1')).toMatchObject({
      status: 404,
      body: { error: { code: 'CALL_NOT_FOUND' } },
    });
    expect(await get('/v2')).toMatchObject({ status: 404, body: { error: { code: 'NOT_FOUND' } } });
  });
});

describe('the media of a live call', () => {
  const media: CallMedia = {
    callId: 'ca_1',
    legs: [
      {
        legId: 'le_1',
        role: 'caller',
        agreed: { ...MEDIA, srtp: 'AEAD_AES_128_GCM', sendVoipMetrics: true },
        stats: {
          ...NO_STATS,
          packetsReceived: 500,
          packetsLost: 11,
          jitterMs: 3.25,
          roundTripMs: 45.5,
          keysByEvent: 16,
          remote: { address: '198.51.100.7', port: 40_000 },
          quality: {
            lossRatio: 0.01953125,
            discardRatio: 0,
            burstDensity: 1,
            gapDensity: 0,
            burstMs: 200,
            gapMs: 4900,
            endSystemDelayMs: 60,
            rFactor: 85,
            mosListening: 4.2,
            mosConversation: 4.2,
          },
          peerReport: { lossRatio: 0.25, packetsLost: -1, jitterMs: 10 },
        },
      },
      { legId: 'le_2', role: 'target', agreed: null, stats: NO_STATS },
    ],
  };

  it('is told leg by leg, with what nobody measured as null', async () => {
    const { status, body } = await (await api({ callMedia: async () => media }))('/v1/calls/ca_1/media');
    expect(status).toBe(200);
    expect(body.callId).toBe('ca_1');
    expect(body.legs[0]).toMatchObject({
      role: 'caller',
      agreed: { codec: 'PCMU', direction: 'sendrecv', ptimeMs: 20, dtmf: 'auto', srtp: 'AEAD_AES_128_GCM' },
      remote: { address: '198.51.100.7', port: 40_000 },
      roundTripMs: 45.5,
      received: { packets: 500, lost: 11, jitterMs: 3.25, quality: { rFactor: 85, burstMs: 200 } },
      sent: { peerReport: { lossRatio: 0.25, packetsLost: -1, jitterMs: 10 }, peerQuality: null },
      keys: { event: 16, inband: 0 },
    });
    expect(body.legs[0].agreed.payloadTypes).toMatchObject({ send: 0, receiveEvent: 101, sendRed: null });
    expect(body.legs[1]).toMatchObject({ role: 'target', agreed: null, remote: null, roundTripMs: null });
  });

  it('is 404 for a call that is over, which says where its totals are, and for one that never was', async () => {
    const records = {
      ...nothing,
      conversation: async (id: string) =>
        id === 'ca_1' ? { ...conversation(), payments: [], segments: [], legs: [] } : null,
    };
    const get = await api({ records });
    const over = await get('/v1/calls/ca_1/media');
    expect([over.status, over.body.error.code]).toEqual([404, 'CALL_NOT_FOUND']);
    expect(over.body.error.message).toContain('/v1/conversations/{id}');
    expect((await get('/v1/calls/ca_2/media')).body.error.message).toBe('there is no call with this id');
  });

  it('is 503 where the worker does not say, asks for a key, and is withheld where it seems to hold a card number', async () => {
    const away = async () => {
      throw new ServiceError('WORKER_TIMEOUT', 'the worker did not answer');
    };
    expect((await (await api({ callMedia: away }))('/v1/calls/ca_1/media')).status).toBe(503);
    const keys = [new Sensitive('key', KEY)];
    const closed = await api({ callMedia: async () => media, keys });
    expect((await closed('/v1/calls/ca_1/media')).status).toBe(401);
    expect((await closed('/v1/calls/ca_1/media', { authorization: `Bearer ${KEY}` })).status).toBe(200);
    const odd = async () => ({ ...media, callId: PAN });
    expect((await (await api({ callMedia: odd }))('/v1/calls/ca_1/media')).status).toBe(500);
  });

  it('is in the conversation once a leg has ended', async () => {
    const figures = { role: 'caller', packetsReceived: 500, jitterMs: 3.25, rFactor: 85 };
    const legs = [{ ...event({ kind: 'legClosed', detail: figures }), ordinal: 9 }];
    const records = {
      ...nothing,
      conversation: async () => ({ ...conversation(), payments: [], segments: [], legs }),
    };
    const { body } = await (await api({ records }))('/v1/conversations/ca_1');
    expect(body.legs).toEqual([{ endedAt: '2026-11-23T09:51:36.000Z', figures }]);
  });
});

describe('a bad request', () => {
  it.each([
    ['/v1/conversations?limit=0', 'limit'],
    ['/v1/conversations?limit=201', 'limit'],
    ['/v1/conversations?limit=many', 'limit'],
    ['/v1/conversations?result=great', 'result'],
    ['/v1/conversations?active=perhaps', 'active'],
    ['/v1/conversations?startedFrom=yesterday', 'startedFrom'],
    ['/v1/conversations?colour=red', 'colour'],
    ['/v1/conversations?cursor=AAAA', 'cursor'],
    ['/v1/payments/pa%2F1', 'id'],
    [`/v1/conversations?customer=${PAN}`, 'customer'],
    [`/v1/payments/${PAN}`, 'id'],
  ])('%s is 400 and names the field', async (url, field) => {
    const { status, body } = await (await api())(url);
    expect(status).toBe(400);
    expect(body.error).toMatchObject({ code: 'REQUEST_INVALID', retry: 'never', field });
    expect(body.error.message).toContain(field);
    expect(JSON.stringify(body)).not.toContain(PAN);
  });
});

describe('who may ask', () => {
  it('asks for a key once there is one, but not for health and documentation', async () => {
    const get = await api({
      keys: [new Sensitive('key', 'another-key-of-twenty-characters'), new Sensitive('key', KEY)],
    });
    for (const url of ['/v1/conversations', '/metrics']) {
      expect((await get(url)).status).toBe(401);
      expect((await get(url, { authorization: `Bearer ${KEY}x` })).status).toBe(401);
      expect((await get(url, { authorization: `Bearer ${KEY}` })).status).toBe(200);
    }
    for (const url of ['/healthz', '/readyz', '/docs/', '/docs/openapi.json'])
      expect((await get(url)).status).toBe(200);
  });

  it('serves without a key only those who call it by a name of loopback', async () => {
    const get = await api();
    expect((await get('/v1/conversations', { host: '127.0.0.1:8080' })).status).toBe(200);
    expect((await get('/v1/conversations', { host: '[::1]:8080' })).status).toBe(200);
    expect((await get('/v1/conversations', { host: 'rebound.example.com' })).status).toBe(401);
  });

  it('refuses an address that others could reach while there is no key', async () => {
    await expect(startApi(options({ address: '0.0.0.0' }))).rejects.toThrow('expected a loopback address');
  });
});

describe('keeping card numbers out of answers', () => {
  it.each([
    ['customer', { customer: PAN }],
    ['from', { from: PAN }],
    ['payments', { payments: [payment({ attention: `card ${PAN}` })] }],
  ])('withholds the whole answer when %s holds what looks like one, and counts it', async (_where, over) => {
    const answerWithheld = vi.fn();
    const records = {
      ...nothing,
      conversation: async () => ({ ...conversation(), payments: [], segments: [], legs: [], ...over }),
    };
    const { status, body } = await (await api({ records, answerWithheld }))('/v1/conversations/ca_1');
    expect([status, body.error.code]).toEqual([500, 'INTERNAL']);
    expect(JSON.stringify(body)).not.toContain(PAN);
    expect(answerWithheld).toHaveBeenCalledTimes(1);
  });

  it('withholds metrics too', async () => {
    const get = await api({ metricsText: async () => `x{y="${PAN}"} 1\n` });
    expect((await get('/metrics')).status).toBe(500);
  });

  it('looks into every depth, and into names', () => {
    expect(leakIn({ a: [{ b: { c: Number(PAN) } }] })).toBe('a.0.b.c');
    expect(leakIn({ detail: { [PAN]: 1 } })).toBe('detail');
    expect(leakIn({ gatewayReference: PAN })).toBe('gatewayReference');
    expect(leakIn({ from: '+4917612345674', gatewayReference: 'tx_1', note: null, on: true })).toBe(null);
  });
});

describe('operating it', () => {
  it('is ready when workers, SIP server and store are', async () => {
    expect(await (await api())('/readyz')).toMatchObject({ status: 200, body: { ready: true } });
    const get = await api({ readiness: async () => ({ workers: false, sip: true, store: true }) });
    expect(await get('/readyz')).toMatchObject({ status: 503, body: { ready: false, workers: false, sip: true } });
    expect(await get('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  });

  it('gives metrics in the text format', async () => {
    const { status, headers, body } = await (await api())('/metrics');
    expect([status, headers['content-type']]).toEqual([200, 'text/plain; version=0.0.4; charset=utf-8']);
    expect(body).toContain('hushtone_calls_total 7');
  });

  it('describes every route, and its page fetches nothing from elsewhere', async () => {
    const get = await api();
    const { body: openapi } = await get('/docs/openapi.json');
    expect(Object.keys(openapi.paths).sort()).toEqual([
      '/healthz',
      '/metrics',
      '/readyz',
      '/v1/calls/{id}/media',
      '/v1/conversations',
      '/v1/conversations/{id}',
      '/v1/events',
      '/v1/payments/{id}',
      '/v1/payments/{id}/events',
    ]);
    const page = await get('/docs/');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    const sources = [...String(page.body).matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1]);
    expect(sources).toEqual(['js/scalar.js']);
    expect((await get('/docs/js/scalar.js')).status).toBe(200);
  });

  it('answers an error nobody foresaw with 500 and none of its words', async () => {
    const broken = async () => {
      throw new Error('secret words');
    };
    const get = await api({ records: { ...nothing, payment: broken } });
    const { status, body } = await get('/v1/payments/pa_1');
    expect([status, body.error]).toEqual([500, { code: 'INTERNAL', message: 'internal error', retry: 'never' }]);
  });

  it('listens for real, refuses too many requests at once, and recovers', async () => {
    let release = () => {};
    const held = new Promise<null>((resolve) => {
      release = () => resolve(null);
    });
    const running = await startApi(options({ requestsMax: 2, records: { ...nothing, payment: () => held } }));
    closers.push(() => running.close());
    const url = `${running.urls[0]}/v1/payments/pa_1`;
    const waiting = [fetch(url), fetch(url)];
    await vi.waitFor(async () => expect((await fetch(url, { signal: AbortSignal.timeout(200) })).status).toBe(503));
    expect((await fetch(`${running.urls[0]}/healthz`)).status).toBe(200);
    release();
    for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(404);
    expect((await fetch(url)).status).toBe(404);
  });

  it('refuses headers and bodies that are too large', async () => {
    const running = await startApi(options());
    closers.push(() => running.close());
    const url = `${running.urls[0]}/v1/payments/pa_1`;
    expect((await fetch(url, { headers: { 'x-long': 'a'.repeat(20_000) } })).status).toBe(431);
    const post = await fetch(url, { method: 'POST', body: 'a'.repeat(70_000) });
    expect(post.status).toBeGreaterThanOrEqual(400);
    expect(post.status).toBeLessThan(500);
  });

  it('says in one line that its port is in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    closers.push(() => new Promise((resolve) => other.close(resolve)));
    const { port } = other.address() as { port: number };
    await expect(startApi(options({ port }))).rejects.toThrow(`HTTP port ${port} on 127.0.0.1 is in use`);
  });
});
