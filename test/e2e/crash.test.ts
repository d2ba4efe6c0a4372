import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CARDS, call, charges, keyCard, paymentNow, paymentOf } from '../harness/payer.ts';
import { TestServer } from '../harness/server.ts';

/*
 * The control process is killed without a word while the gateway is asked; the supervisor starts it again, and the store
 * tells the next run what to settle.
 */
/** Below the supervisor's patience with one process, of which it has four, one after the other. */
const STOP_MS_MAX = 8_000;
let server: TestServer;

beforeAll(async () => {
  server = await TestServer.start();
});

afterAll(async () => {
  const at = performance.now();
  const status = await server.stop();
  expect(status).toBe(0);
  // Each process ends by itself: none waits for the supervisor to kill it.
  expect(performance.now() - at).toBeLessThan(STOP_MS_MAX);
});

describe('a charge that was asked when the process died', () => {
  it('is found at the gateway by the next run, with payment and conversation ended', async () => {
    const phone = await call(server, { amountMinor: 9011, reference: 'CRASH-1' });
    await keyCard(server, phone, CARDS.visa);
    await server.until('the gateway is asked', async () => {
      return ((await paymentNow(server, 'CRASH-1'))?.attempts.length ?? 0) > 0;
    });
    process.kill(server.pidOf('control'), 'SIGKILL');
    await server.until('the next run is ready', () => server.logged('earlier run settled').length > 0, 30_000);
    const payment = await paymentOf(server, 'CRASH-1');
    expect(payment).toMatchObject({ state: 'ended', result: 'approved', attention: null, amountMinor: 9011 });
    expect(payment.attempts.map(({ state }) => state)).toEqual(['approved']);
    expect(await charges(server, 'CRASH-1')).toHaveLength(1);
    const conversation = await server.json<{ endedBy: string }>(`/v1/conversations/${payment.callId}`);
    expect(conversation.endedBy).toBe('crash');
    await phone.hangUp().catch(() => {});
  });
});
