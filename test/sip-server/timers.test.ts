import { describe, expect, it } from 'vitest';
import { TIMER_C_MS } from '../../src/sip-server/core/timer-c.ts';
import { stepIct } from '../../src/sip-server/transaction/ict.ts';
import { stepIst } from '../../src/sip-server/transaction/ist.ts';
import { stepNict } from '../../src/sip-server/transaction/nict.ts';
import { stepNist } from '../../src/sip-server/transaction/nist.ts';
import type { TimerName } from '../../src/sip-server/transaction/step.ts';
import { timerMs } from '../../src/sip-server/transaction/timers.ts';
import { Transaction } from '../../src/sip-server/transaction/transaction.ts';
import { VirtualClock } from '../harness/clock.ts';
import { type Peer, request, response, tagOf, udpPeer } from './peers.ts';
import { afterwards, endpoint, stand, txnOf } from './stand.ts';

/** RFC 3261 table 4 and RFC 6026 §7; `-` is a timer that does not run. First, second and fifth interval, ms. */
const TABLE: readonly (readonly [TimerName, 'reliable' | 'unreliable', readonly (number | '-')[]])[] = [
  ['A', 'unreliable', [500, 1_000, 8_000]],
  ['A', 'reliable', ['-', '-', '-']],
  ['B', 'unreliable', [32_000, 32_000, 32_000]],
  ['B', 'reliable', [32_000, 32_000, 32_000]],
  ['D', 'unreliable', [32_000, 32_000, 32_000]],
  ['D', 'reliable', [0, 0, 0]],
  ['E', 'unreliable', [500, 1_000, 4_000]],
  ['E', 'reliable', ['-', '-', '-']],
  ['F', 'unreliable', [32_000, 32_000, 32_000]],
  ['F', 'reliable', [32_000, 32_000, 32_000]],
  ['G', 'unreliable', [500, 1_000, 4_000]],
  ['G', 'reliable', ['-', '-', '-']],
  ['H', 'unreliable', [32_000, 32_000, 32_000]],
  ['H', 'reliable', [32_000, 32_000, 32_000]],
  ['I', 'unreliable', [5_000, 5_000, 5_000]],
  ['I', 'reliable', [0, 0, 0]],
  ['J', 'unreliable', [32_000, 32_000, 32_000]],
  ['J', 'reliable', [0, 0, 0]],
  ['K', 'unreliable', [5_000, 5_000, 5_000]],
  ['K', 'reliable', [0, 0, 0]],
  ['L', 'unreliable', [32_000, 32_000, 32_000]],
  ['L', 'reliable', [32_000, 32_000, 32_000]],
  ['M', 'unreliable', [32_000, 32_000, 32_000]],
  ['M', 'reliable', [32_000, 32_000, 32_000]],
];

describe('every timer of a transaction', () => {
  it.each(TABLE)('%s over an %s transport runs as the RFC says', (name, transport, expected) => {
    const intervals: (number | '-')[] = [];
    let previous: number | undefined;
    for (let i = 0; i < 5; i++) {
      previous = timerMs(name, transport === 'reliable', previous);
      intervals.push(previous ?? '-');
    }
    expect([intervals[0], intervals[1], intervals[4]]).toEqual(expected);
  });

  it('stands in the table for both kinds of transport', () => {
    expect(new Set(TABLE.map(([name, transport]) => `${name} ${transport}`)).size).toBe(2 * 12);
  });
});

/** A machine over a transport that takes everything, with what it did and when. */
function machine<State extends string, Input extends string>(
  initial: State,
  step: ConstructorParameters<typeof Transaction<State, Input, string>>[1],
  reliable = false,
) {
  const clock = new VirtualClock(0);
  const sent: number[] = [];
  const told: [string, number][] = [];
  const tell = (what: string) => () => void told.push([what, clock.now()]);
  const user = {
    passed: tell('passed'),
    timedOut: tell('timedOut'),
    transportFailed: tell('transportFailed'),
    terminated: tell('terminated'),
  };
  const port = { reliable, send: () => sent.push(clock.now()) > 0 };
  const transaction = new Transaction<State, Input, string>(initial, step, { clock, port, user });
  transaction.lastSent = 'text';
  transaction.ack = 'ack';
  return { clock, sent, told, transaction };
}

describe('a failure response to INVITE', () => {
  it('without an ACK is given up at 64*T1, timer H', async () => {
    const { clock, sent, told, transaction } = machine('proceeding', stepIst);
    transaction.input('failure');
    await clock.advance(31_999);
    expect(told).toEqual([]);
    await clock.advance(1);
    expect(told).toEqual([
      ['timedOut', 32_000],
      ['terminated', 32_000],
    ]);
    expect(sent).toEqual([0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]);
    expect(clock.pending).toBe(0);
  });

  it('over a connection is sent once and given up at 64*T1 all the same', async () => {
    const { clock, sent, told, transaction } = machine('proceeding', stepIst, true);
    transaction.input('failure');
    await clock.advance(40_000);
    expect(sent).toEqual([0]);
    expect(told[0]).toEqual(['timedOut', 32_000]);
  });

  it('absorbs ACKs that come again for T4, timer I', async () => {
    const { clock, told, transaction } = machine('proceeding', stepIst);
    transaction.input('failure');
    await clock.advance(100);
    transaction.input('ack');
    await clock.advance(4_999);
    expect([transaction.state, told]).toEqual(['confirmed', []]);
    await clock.advance(1);
    expect(told).toEqual([['terminated', 5_100]]);
  });
});

describe('an exchange that is over', () => {
  it('acknowledges a failure to our INVITE again for 32 s, timer D', async () => {
    const { clock, sent, told, transaction } = machine('initial', stepIct);
    transaction.input('start');
    transaction.input('failure', '486');
    await clock.advance(31_000);
    transaction.input('failure', '486');
    expect(sent).toEqual([0, 0, 31_000]);
    expect(told).toEqual([['passed', 0]]);
    await clock.advance(1_000);
    expect(told.at(-1)).toEqual(['terminated', 32_000]);
    expect(clock.pending).toBe(0);
  });

  it('answers a request that comes again for 64*T1, timer J', async () => {
    const { clock, sent, told, transaction } = machine('trying', stepNist);
    transaction.input('final');
    await clock.advance(31_999);
    transaction.input('request');
    expect(sent).toEqual([0, 31_999]);
    await clock.advance(1);
    expect(told).toEqual([['terminated', 32_000]]);
  });

  it('absorbs a final response that comes again for T4, timer K', async () => {
    const { clock, told, transaction } = machine('initial', stepNict);
    transaction.input('start');
    await clock.advance(100);
    transaction.input('final', '200');
    await clock.advance(4_999);
    expect(transaction.input('final', '200')).toBe(false);
    expect(told).toEqual([['passed', 100]]);
    await clock.advance(1);
    expect(told.at(-1)).toEqual(['terminated', 5_100]);
  });

  it('over a connection is forgotten at once', async () => {
    for (const [made, inputs] of [
      [machine('initial', stepIct, true), ['start', 'failure']],
      [machine('initial', stepNict, true), ['start', 'final']],
      [machine('trying', stepNist, true), ['final']],
      [machine('proceeding', stepIst, true), ['failure', 'ack']],
    ] as const) {
      for (const input of inputs) (made.transaction.input as (input: string) => boolean).call(made.transaction, input);
      await made.clock.advance(0);
      expect([made.transaction.state, made.clock.pending]).toEqual(['terminated', 0]);
    }
  });
});

describe('a request other than INVITE that is being worked on', () => {
  it('is sent again every T2, wherever the doubling of timer E stood', async () => {
    const { clock, sent, told, transaction } = machine('initial', stepNict);
    transaction.input('start');
    await clock.advance(600);
    transaction.input('provisional', '182');
    await clock.advance(40_000);
    expect(sent).toEqual([0, 500, 1_500, 5_500, 9_500, 13_500, 17_500, 21_500, 25_500, 29_500]);
    expect(told.slice(1)).toEqual([
      ['timedOut', 32_000],
      ['terminated', 32_000],
    ]);
  });
});

/** What the server had sent to this peer has come: the answer to a question comes behind it. */
async function flushed(peer: Peer, name: string): Promise<void> {
  peer.send(request('OPTIONS', { peer, callId: `flush-${name}` }));
  await peer.inbox.next(`Call-ID: flush-${name}`);
}

describe('timer C of an INVITE that is proxied', () => {
  /** A call that the application sends on to a second peer, which rings. */
  async function ringing(options: string) {
    const clock = new VirtualClock();
    const { application: app, udp, server } = await stand({ clock });
    const callee = await udpPeer(endpoint(server, 'udp'));
    afterwards(() => callee.close());
    udp.send(request('INVITE', { peer: udp, callId: 'proxied' }));
    const frame = await app.inbox.next('\r\nINVITE ');
    const target = `sip:b@127.0.0.1:${callee.port}`;
    app.send(`proxy|${txnOf(frame)}|${options}|${target}\r\nINVITE ${target} SIP/2.0\r\n\r\n`);
    const invite = await callee.inbox.next('INVITE ');
    callee.send(response('180 Ringing', invite));
    await udp.inbox.next('SIP/2.0 180');
    return { clock, app, udp, callee, invite };
  }

  it('gives the call up after more than three minutes without an answer', async () => {
    const { clock, udp, callee } = await ringing('|fullResponse||serial||');
    expect(TIMER_C_MS).toBeGreaterThan(180_000);
    await clock.advance(TIMER_C_MS - 1);
    await flushed(callee, 'before');
    expect(callee.inbox.count('CANCEL ')).toBe(0);
    await clock.advance(1);
    await callee.inbox.next('CANCEL ');
    await udp.inbox.next('SIP/2.0 408');
  });

  it('begins anew with each provisional response', async () => {
    const { clock, udp, callee, invite } = await ringing('|fullResponse||serial||');
    await clock.advance(170_000);
    callee.send(response('183 Session Progress', invite));
    await udp.inbox.next('SIP/2.0 183');
    await clock.advance(TIMER_C_MS - 1);
    await flushed(callee, 'before');
    expect(callee.inbox.count('CANCEL ')).toBe(0);
    callee.send(response('200 OK', invite));
    await udp.inbox.next('SIP/2.0 200');
  });

  it('gives way to the limits that the application names', async () => {
    const { clock, udp, callee } = await ringing('|fullResponse||serial||20s');
    await clock.advance(20_000);
    await callee.inbox.next('CANCEL ');
    await udp.inbox.next('SIP/2.0 408');
  });

  it('ends a re-INVITE along a recorded route that nobody answers', async () => {
    const { clock, udp, callee, invite } = await ringing('remainInDialog|fullResponse||serial||');
    const [, route = ''] = /\r\nRecord-Route: ([^\r]*)/.exec(invite) ?? [];
    const ok = response('200 OK', invite, { lines: [`Contact: <sip:b@127.0.0.1:${callee.port}>`] });
    callee.send(ok);
    const answer = await udp.inbox.next('SIP/2.0 200');
    const again = request('INVITE', {
      peer: udp,
      callId: 'proxied',
      cseq: 2,
      toTag: tagOf(answer),
      lines: [`Route: ${route}`],
    }).replace('INVITE sip:pay@127.0.0.1 ', `INVITE sip:b@127.0.0.1:${callee.port} `);
    udp.send(again);
    const second = await callee.inbox.next('CSeq: 2 INVITE');
    callee.send(response('180 Ringing', second));
    await udp.inbox.next('CSeq: 2 INVITE\r\nContent-Length: 0');
    await udp.inbox.next('SIP/2.0 180');
    await clock.advance(TIMER_C_MS);
    await callee.inbox.next('CANCEL ');
    await clock.advance(32_000);
    await udp.inbox.next('SIP/2.0 408');
  });
});
