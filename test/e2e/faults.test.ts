import { readFileSync } from 'node:fs';
import { describe, expect, it, type TestContext } from 'vitest';
import { placeCall } from '../../src/caller/sip-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { answerPrompt, CARDS, call, charges, goodbye, keyCard, paymentOf } from '../harness/payer.ts';
import { childrenOf, type ServerOptions, TestServer } from '../harness/server.ts';
import { until } from '../harness/until.ts';

/* What breaks, who is refused, and how everything ends. A server for each test: they take parts of it away. */

/** Stopped, and looked through for leaks, when the test has finished. */
async function started(finished: TestContext['onTestFinished'], options: ServerOptions = {}): Promise<TestServer> {
  const server = await TestServer.start(options);
  finished(async () => {
    await server.stop();
  });
  return server;
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe.concurrent('a media worker that is killed in the middle of a card number', () => {
  it.each([
    ['that is there at once', 0],
    ['that takes eight seconds', 8_000],
  ])('leaves the call up for one %s, which asks for the number again and takes the payment', async (name, awayMs) => {
    const reference = `KILLED-${awayMs}`;
    const server = await TestServer.start();
    try {
      const phone = await call(server, { amountMinor: 3300, reference });
      server.expectNoLeakOf(CARDS.visa);
      await answerPrompt(phone, CARDS.visa.pan.slice(0, 8));
      const before = server.pidOf('worker');
      process.kill(before, 'SIGKILL');
      // What is keyed into the gap belongs to nothing.
      await phone.media.key('99', 'event');
      const next = await nextWorker(server, before);
      if (awayMs > 0) {
        process.kill(next, 'SIGSTOP');
        await phone.media.wait(awayMs);
        process.kill(next, 'SIGCONT');
      }
      await keyCard(server, phone, CARDS.visa);
      await goodbye(phone);
      expect(await paymentOf(server, reference), name).toMatchObject({
        result: 'approved',
        last4: CARDS.visa.pan.slice(-4),
      });
      expect(await charges(server, reference)).toHaveLength(1);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${server.output}`);
    } finally {
      await server.stop();
    }
  });
});

async function nextWorker(server: TestServer, before: number): Promise<number> {
  let next = before;
  await server.until('another worker runs', () => {
    try {
      next = server.pidOf('worker');
    } catch {
      // Between the two there is none.
    }
    return next !== before;
  });
  return next;
}

describe.concurrent('a call that no profile admits', () => {
  it('gets 403, hears nothing and is counted', async ({ onTestFinished }) => {
    // It admits 192.0.2.0/24 only, which nobody is.
    const profile = readFileSync(new URL('../../sip-profiles/agent-pbx.yaml', import.meta.url), 'utf8');
    const server = await started(onTestFinished, {
      files: { 'profiles/trunk.yaml': profile },
      config: { sip: { profiles: 'profiles' } },
    });
    const target = { server: `ws://127.0.0.1:${server.ports.ws}`, uri: 'sip:pay@127.0.0.1;amount=100' };
    const phone = await placeCall(target, systemClock);
    expect(await phone.answered).toBe(403);
    expect(phone.media.packetsReceived).toBe(0);
    const { text } = await server.get('/metrics');
    expect(text).toMatch(/callsRefusedByAddress[^\n]* 1\n|refused[^\n]*address[^\n]* 1\n/i);
    expect((await server.json<{ conversations: unknown[] }>('/v1/conversations')).conversations).toEqual([]);
  });
});

describe.concurrent('Ctrl-C', () => {
  it('lets the call that is on finish, refuses new ones, and ends everything with status 0', async ({
    onTestFinished,
  }) => {
    const server = await started(onTestFinished, { config: { drainMs: 60_000 } });
    const phone = await call(server, { amountMinor: 3300, reference: 'DRAIN-1' });
    server.expectNoLeakOf(CARDS.visa);
    await answerPrompt(phone, CARDS.visa.pan);
    const pids = childrenOf(server.supervisorPid);
    server.signal('SIGINT');
    await server.until('new calls are refused', async () => {
      const other = await placeCall(
        { server: `ws://127.0.0.1:${server.ports.ws}`, uri: 'sip:pay@127.0.0.1;amount=100' },
        systemClock,
      );
      return (await other.answered) === 503;
    });
    await answerPrompt(phone, CARDS.visa.expiry);
    await answerPrompt(phone, CARDS.visa.cvc);
    await goodbye(phone);
    expect(phone.byeHeaders()).toMatchObject({ 'x-hushtone-result': 'approved' });
    expect(await server.exited).toBe(0);
    expect(pids.filter(isRunning)).toEqual([]);
  });

  it('ends everything at once the second time', async ({ onTestFinished }) => {
    const server = await started(onTestFinished, { config: { drainMs: 60_000 } });
    await call(server, { amountMinor: 3300, reference: 'DRAIN-2' });
    const pids = childrenOf(server.supervisorPid);
    server.signal('SIGINT');
    await server.until('the first is heard', () => server.output.includes('Ending: calls may go on'));
    // For a moment it is the same press, and then another. Who has nothing left to end is not asked again: a process on its
    // way out no longer listens to signals.
    const again = setInterval(() => {
      if (pids.every(isRunning)) server.signal('SIGINT');
    }, 50);
    expect(await server.exited).toBe(130);
    clearInterval(again);
    expect(pids.filter(isRunning)).toEqual([]);
  });
});

describe.concurrent('a supervisor that is killed', () => {
  it('takes its processes with it', async ({ onTestFinished }) => {
    const server = await started(onTestFinished);
    const pids = childrenOf(server.supervisorPid);
    expect(pids).toHaveLength(4);
    server.signal('SIGKILL');
    await server.exited;
    await until('all of them end', () => !pids.some(isRunning));
  });
});

describe.concurrent('a start that cannot be', () => {
  it('names port, protocol and configuration key in one line where a port is in use', async ({ onTestFinished }) => {
    const first = await started(onTestFinished);
    const second = await TestServer.launch({ config: { sip: { udpPort: first.ports.udp } } });
    expect(await second.exited).toBe(1);
    expect(second.output.trimEnd()).toBe(
      `hushtone serve: 127.0.0.1 port ${first.ports.udp} (udp), which sip.udpPort asks for, is in use by another process`,
    );
    await second.stop();
  });

  it('names file, key and what was expected where the configuration is wrong', async () => {
    const second = await TestServer.launch({ config: { sip: { udpPort: 'five' } } });
    expect(await second.exited).toBe(1);
    expect(second.output).toMatch(/hushtone\.yaml.*sip\.udpPort.*expected/);
    await second.stop();
  });
});
