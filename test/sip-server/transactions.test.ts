import { describe, expect, it } from 'vitest';
import { stepIct } from '../../src/sip-server/transaction/ict.ts';
import { stepIst } from '../../src/sip-server/transaction/ist.ts';
import { stepNict } from '../../src/sip-server/transaction/nict.ts';
import { stepNist } from '../../src/sip-server/transaction/nist.ts';
import { timerMs } from '../../src/sip-server/transaction/timers.ts';
import { Transaction } from '../../src/sip-server/transaction/transaction.ts';
import { VirtualClock } from '../harness/clock.ts';
import { tableOf } from '../harness/table.ts';

const MACHINES = { ict: stepIct, nict: stepNict, ist: stepIst, nist: stepNist };
type AnyStep = (state: string, input: string) => { state: string; outputs: readonly string[] } | undefined;

describe('each transaction machine', () => {
  for (const [name, machine] of Object.entries(MACHINES)) {
    const rows = tableOf(`src/sip-server/transaction/${name}.ts`);
    const step = machine as unknown as AnyStep;

    it(`does in ${name} what every row of its table says`, () => {
      expect(rows.length).toBeGreaterThan(9);
      for (const { state, input, next, outputs } of rows) {
        expect({ state, input, ...step(state, input), after: next }).toEqual({
          state: next,
          input,
          outputs,
          after: next,
        });
      }
    });

    it(`has in ${name} no row that its table leaves out`, () => {
      const written = new Set(rows.map(({ state, input }) => `${state} ${input}`));
      const states = new Set(rows.flatMap(({ state, next }) => [state, next]));
      const inputs = new Set(rows.map(({ input }) => input));
      for (const state of states) {
        for (const input of inputs) {
          if (!written.has(`${state} ${input}`))
            expect([state, input, step(state, input)]).toEqual([state, input, undefined]);
        }
      }
    });
  }
});

/** When a transaction sends, over a transport that loses everything. */
async function sendTimes(
  method: 'INVITE' | 'OPTIONS',
  reliable: boolean,
): Promise<{ sent: number[]; endedAt: number }> {
  const clock = new VirtualClock(0);
  const sent: number[] = [];
  let endedAt = -1;
  const port = { reliable, send: () => sent.push(clock.now()) > 0 };
  const user = { passed() {}, timedOut: () => (endedAt = clock.now()), transportFailed() {}, terminated() {} };
  const parts = { clock, port, user };
  const machine =
    method === 'INVITE' ? new Transaction('initial', stepIct, parts) : new Transaction('initial', stepNict, parts);
  machine.lastSent = 'text';
  machine.input('start');
  await clock.advance(40_000);
  expect(clock.pending).toBe(0);
  return { sent, endedAt };
}

describe('a request without an answer', () => {
  it('is sent again by INVITE at intervals that double, and given up after 32 s', async () => {
    expect(await sendTimes('INVITE', false)).toEqual({
      sent: [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500],
      endedAt: 32_000,
    });
  });

  it('is sent again by other methods at intervals up to 4 s, and given up after 32 s', async () => {
    expect(await sendTimes('OPTIONS', false)).toEqual({
      sent: [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500],
      endedAt: 32_000,
    });
  });

  it('is sent once over a connection', async () => {
    expect(await sendTimes('INVITE', true)).toEqual({ sent: [0], endedAt: 32_000 });
  });
});

describe('the timers', () => {
  it('wait for nothing on a connection once the exchange is over', () => {
    for (const name of ['D', 'I', 'J', 'K'] as const) expect(timerMs(name, true, undefined)).toBe(0);
  });

  it('keep the INVITE transactions of a 2xx for 32 s on any transport', () => {
    for (const name of ['L', 'M'] as const) {
      for (const reliable of [true, false]) expect(timerMs(name, reliable, undefined)).toBe(32_000);
    }
  });

  it('send a failure response to INVITE again until its ACK comes', async () => {
    const clock = new VirtualClock(0);
    const sent: number[] = [];
    const port = { reliable: false, send: () => sent.push(clock.now()) > 0 };
    const user = { passed() {}, timedOut() {}, transportFailed() {}, terminated() {} };
    const machine = new Transaction('proceeding', stepIst, { clock, port, user });
    machine.lastSent = 'busy';
    machine.input('failure');
    await clock.advance(2_000);
    machine.input('ack');
    await clock.advance(60_000);
    expect({ sent, state: machine.state, pending: clock.pending }).toEqual({
      sent: [0, 500, 1_500],
      state: 'terminated',
      pending: 0,
    });
  });
});
