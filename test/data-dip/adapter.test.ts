import { describe, expect, it } from 'vitest';
import { createDataDip } from '../../src/data-dip/adapter.ts';

const ask = { url: 'https://crm.example/balance?x=1', timeoutMs: 1000, customer: 'c 7', reference: null };

function answering(status: number, body: string, seen: string[] = []) {
  return createDataDip((input) => {
    seen.push(String(input));
    return Promise.resolve(new Response(body, { status }));
  });
}

describe('the data dip', () => {
  it('asks with customer and reference, and takes a whole number of minor units', async () => {
    const seen: string[] = [];
    const dip = answering(200, '{"amount_minor":4210,"currency":"USD"}', seen);
    expect(await dip.fetchAmount(ask)).toEqual({ amountMinor: 4210, currency: 'USD' });
    expect(seen).toEqual(['https://crm.example/balance?x=1&customer=c+7']);
    expect(await answering(200, '{"amount_minor":0}').fetchAmount(ask)).toEqual({ amountMinor: 0, currency: null });
  });

  for (const [name, status, body] of [
    ['a decimal', 200, '{"amount_minor":42.1}'],
    ['a negative amount', 200, '{"amount_minor":-1}'],
    ['a text', 200, '{"amount_minor":"4210"}'],
    ['no JSON', 200, 'hello'],
    ['another currency word', 200, '{"amount_minor":1,"currency":"dollars"}'],
    ['a 404', 404, '{"amount_minor":1}'],
    ['an endless answer', 200, 'x'.repeat(20_000)],
  ] as const) {
    it(`fails on ${name}`, async () => {
      await expect(answering(status, body).fetchAmount(ask)).rejects.toMatchObject({ code: 'DATA_DIP_FAILED' });
    });
  }

  it('fails when nothing answers', async () => {
    const dip = createDataDip(() => Promise.reject(new Error('refused')));
    await expect(dip.fetchAmount(ask)).rejects.toMatchObject({ code: 'DATA_DIP_FAILED' });
  });
});
