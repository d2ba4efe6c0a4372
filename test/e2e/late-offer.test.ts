import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CARDS, call, charges, goodbye, keyCard, paymentOf } from '../harness/payer.ts';
import { TestServer } from '../harness/server.ts';

/*
 * A call whose INVITE has no description: our offer goes with the 200, and who calls is known with the ACK.
 */
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});

afterAll(async () => {
  expect(await server.stop()).toBe(0);
});

describe('a caller who makes no offer', () => {
  it('hears every prompt, and pays', async () => {
    const phone = await call(server, { amountMinor: 4210, reference: 'LATE-1', withoutOffer: true });
    await keyCard(server, phone, CARDS.visa, { patient: true });
    await goodbye(phone);
    expect(await paymentOf(server, 'LATE-1')).toMatchObject({ result: 'approved', last4: '1111', amountMinor: 4210 });
    expect(await charges(server, 'LATE-1')).toHaveLength(1);
  });
});
