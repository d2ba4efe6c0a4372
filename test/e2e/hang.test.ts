import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/lib/clock.ts';
import { answerPrompt, CARDS, call, charges, goodbye, keyCard, paymentOf } from '../harness/payer.ts';
import { childrenOf, TestServer } from '../harness/server.ts';

/* A process that is there and answers nothing: stopped, as one that hangs. */

const HANG_MS = 2_000;
/** On a machine that does other things too: found out, killed, started, and its leg made again. */
const BACK_MS_MAX = 20_000;

describe.concurrent('a media worker that hangs in the middle of a card number', () => {
  it('is killed, the call goes on with the next, which asks for the number again and takes the payment', async () => {
    const server = await TestServer.start({ briefPrompts: true, config: { hangMs: HANG_MS } });
    try {
      const phone = await call(server, { amountMinor: 3300, reference: 'HUNG' });
      server.expectNoLeakOf(CARDS.visa);
      await answerPrompt(phone, CARDS.visa.pan.slice(0, 8));
      const before = server.pidOf('worker');
      process.kill(before, 'SIGSTOP');
      const found = () => server.logged('process hangs').length > 0;
      await server.until('the supervisor finds it', found, BACK_MS_MAX);
      expect(server.logged('process hangs')).toMatchObject([{ process: 'worker-0', pid: before }]);
      await server.until('the next one has its leg', async () => (await legsRecreated(server)) === 1, BACK_MS_MAX);
      expect(server.pidOf('worker')).not.toBe(before);
      await keyCard(server, phone, CARDS.visa);
      await goodbye(phone);
      expect(await paymentOf(server, 'HUNG')).toMatchObject({ result: 'approved' });
      expect(await charges(server, 'HUNG')).toHaveLength(1);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${server.output}`);
    } finally {
      await server.stop();
    }
  });
});

describe.concurrent('a SIP server, gateway simulator or control that hangs', () => {
  it.each(['sip-server', 'sandbox-gateway', 'control'])('is killed and started again: %s', async (name) => {
    const server = await TestServer.start({ config: { hangMs: HANG_MS } });
    try {
      const before = server.pidOf(name);
      process.kill(before, 'SIGSTOP');
      await server.until(
        'another runs',
        () => pidOf(server, name) !== before && pidOf(server, name) !== 0,
        BACK_MS_MAX,
      );
      await server.until('all is ready again', () => isReady(server), BACK_MS_MAX);
      expect(server.logged('process hangs')).toMatchObject([{ process: name, pid: before }]);
    } finally {
      await server.stop();
    }
  });
});

describe.concurrent('a machine that was suspended', () => {
  it('goes on as it was: nothing that stood still with it is taken for hanging', async () => {
    const server = await TestServer.start({ config: { hangMs: HANG_MS } });
    try {
      // The supervisor wakes first, and finds nobody up.
      const pids = [server.supervisorPid, ...childrenOf(server.supervisorPid)];
      const tell = (signal: NodeJS.Signals) => pids.forEach((pid) => void process.kill(pid, signal));
      tell('SIGSTOP');
      await wait(2 * HANG_MS);
      tell('SIGCONT');
      await wait(2 * HANG_MS);
      expect(server.logged('process hangs')).toEqual([]);
      expect(childrenOf(server.supervisorPid)).toEqual(pids.slice(1));
      expect(await isReady(server)).toBe(true);
    } finally {
      await server.stop();
    }
  });
});

const wait = (ms: number) => new Promise<void>((resolve) => systemClock.startTimer(ms, resolve));

/** Control, which answers, may be the one that is away. */
const isReady = (server: TestServer): Promise<boolean> =>
  server.get('/readyz').then(
    ({ status }) => status === 200,
    () => false,
  );

/** 0 between the two. */
function pidOf(server: TestServer, name: string): number {
  try {
    return server.pidOf(name);
  } catch {
    return 0;
  }
}

async function legsRecreated(server: TestServer): Promise<number> {
  const { text } = await server.get('/metrics');
  return Number(/^hushtone_legs_recreated (\d+)$/m.exec(text)?.[1] ?? 0);
}
