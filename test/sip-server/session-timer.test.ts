import { describe, expect, it } from 'vitest';
import { DEFAULT_LIMITS } from '../../src/sip-server/limits.ts';
import type { SipRequest } from '../../src/sip-server/message/message.ts';
import { parseMessage } from '../../src/sip-server/message/parse.ts';
import {
  answerLines,
  endAfterMs,
  isTooShort,
  parseSessionExpires,
  refreshAfterMs,
  requestLines,
  termsOf,
} from '../../src/sip-server/session-timer.ts';
import { VirtualClock } from '../harness/clock.ts';
import { type Inbox, type Peer, request, response, tagOf, udpPeer } from './peers.ts';
import { afterwards, endpoint, SDP, stand, txnOf } from './stand.ts';

const PEER = { host: '127.0.0.1', port: 5070, transport: 'UDP' } as Peer;

function asking(supported: boolean, sessionExpires: string | null): SipRequest {
  const lines = [
    ...(supported ? ['Supported: 100rel, timer'] : []),
    ...(sessionExpires === null ? [] : [`Session-Expires: ${sessionExpires}`]),
  ];
  const parsed = parseMessage(request('INVITE', { peer: PEER, callId: 'table', lines }), DEFAULT_LIMITS);
  if (parsed.kind !== 'request') throw new Error('no request');
  return parsed;
}

describe('session timers: what is agreed', () => {
  // RFC 4028 §9, table 2; the last row of each half is what no peer should say.
  it.each([
    [false, '1800', 'Session-Expires: 1800;refresher=uas\r\n'],
    [false, '1800;refresher=uas', 'Session-Expires: 1800;refresher=uas\r\n'],
    [false, '1800;refresher=uac', 'Session-Expires: 1800;refresher=uas\r\n'],
    [true, '1800', 'Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n'],
    [true, '1800;refresher=uac', 'Require: timer\r\nSession-Expires: 1800;refresher=uac\r\n'],
    [true, '1800 ; x=y; refresher = UAS', 'Require: timer\r\nSession-Expires: 1800;refresher=uas\r\n'],
    [false, '30', 'Session-Expires: 90;refresher=uas\r\n'],
    [true, null, ''],
    [true, 'soon', ''],
  ])('timer supported %s, Session-Expires %s: %j', (supported, asked, expected) => {
    expect(answerLines(asking(supported, asked))).toBe(expected);
  });

  it.each([
    [true, '89', true],
    [true, '90', false],
    [false, '89', false],
    [true, null, false],
  ])('timer supported %s, Session-Expires %s: too short is %s', (supported, asked, expected) => {
    expect(isTooShort(asking(supported, asked))).toBe(expected);
  });

  it.each([
    ['1800;refresher=uac', true, { seconds: 1800, weRefresh: true }],
    ['1800;refresher=uas', true, { seconds: 1800, weRefresh: false }],
    ['1800;refresher=uac', false, { seconds: 1800, weRefresh: false }],
    ['1800;refresher=uas', false, { seconds: 1800, weRefresh: true }],
    ['1800', true, { seconds: 1800, weRefresh: false }],
    ['0', true, undefined],
    ['', true, undefined],
  ])('a 2xx with "%s" to a request that was ours, %s: %j', (said, sent, expected) => {
    expect(termsOf(parseSessionExpires(said), sent)).toEqual(expected);
  });

  it('keeps who refreshes in what we send later', () => {
    expect(requestLines({ seconds: 600, weRefresh: true })).toContain('600;refresher=uac\r\n');
    expect(requestLines({ seconds: 600, weRefresh: false })).toContain('600;refresher=uas\r\n');
  });

  it.each([
    [90, 45_000, 60_000],
    [1800, 900_000, 1_768_000],
    [2 ** 31, 1_073_741_823, 2 ** 31 - 1 - 32_000],
  ])('of %i s is refreshed after %i ms and ended after %i', (seconds, refreshMs, endMs) => {
    const terms = { seconds, weRefresh: true };
    expect([refreshAfterMs(terms), endAfterMs(terms)]).toEqual([refreshMs, endMs]);
  });
});

describe('a call with a session timer', () => {
  const TIMED = ['Supported: timer', 'Session-Expires: 90', 'Content-Type: application/sdp'];

  /** The peer calls in, the application answers, the peer acknowledges. */
  async function calledIn(lines: readonly string[]) {
    const clock = new VirtualClock();
    const made = await stand({ clock });
    const { application: app, udp } = made;
    const comes = (inbox: Inbox, part: string) => arrival(clock, inbox, part);
    udp.send(request('INVITE', { peer: udp, callId: 'timed', body: SDP, lines }));
    const frame = await comes(app.inbox, '\r\nINVITE ');
    app.send(`sip|${txnOf(frame)}|\r\nSIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n${SDP}`);
    const ok = await comes(udp.inbox, 'SIP/2.0 200 OK');
    udp.send(request('ACK', { peer: udp, callId: 'timed', toTag: tagOf(ok) }));
    await comes(app.inbox, '\r\nACK ');
    return { ...made, clock, ok, comes };
  }

  it('that asks for less than 90 s is refused, without the application', async () => {
    const { application: app, udp, server } = await stand();
    const lines = ['Supported: timer', 'Session-Expires: 60'];
    udp.send(request('INVITE', { peer: udp, callId: 'short', lines }));
    expect(await udp.inbox.next('SIP/2.0 422')).toContain('\r\nMin-SE: 90\r\n');
    expect([app.inbox.count('INVITE '), server.counters().sessions_too_short]).toEqual([0, 1]);
  });

  it('that the caller refreshes ends when it does not, and the application is told', async () => {
    const { clock, application: app, udp, ok, server, comes } = await calledIn(TIMED);
    expect(ok).toContain('\r\nRequire: timer\r\nSession-Expires: 90;refresher=uac\r\n');
    await clock.advance(59_000);
    expect(server.gauges().dialogs).toBe(1);
    await clock.advance(1_000);
    expect(await comes(udp.inbox, 'BYE ')).toContain('Reason: SIP;cause=200;text="Session timer expired"');
    await comes(app.inbox, '|unsolicited|');
    expect(server.gauges().dialogs).toBe(0);
  });

  it('goes on as long as the caller refreshes it', async () => {
    const { clock, application: app, udp, ok, server, comes } = await calledIn(TIMED);
    for (let cseq = 2; cseq < 6; cseq++) {
      await clock.advance(45_000);
      const lines = ['Supported: timer', 'Session-Expires: 90;refresher=uac'];
      udp.send(request('UPDATE', { peer: udp, callId: 'timed', cseq, toTag: tagOf(ok), lines }));
      const frame = await comes(app.inbox, '\r\nUPDATE ');
      app.send(`sip|${txnOf(frame)}|\r\nSIP/2.0 200 OK\r\n\r\n`);
      expect(await comes(udp.inbox, `CSeq: ${cseq} UPDATE`)).toContain('Session-Expires: 90;refresher=uac');
    }
    expect([server.gauges().dialogs, udp.inbox.count('BYE ')]).toEqual([1, 0]);
  });

  it('is refreshed by UPDATE where the peer takes it, again and again', async () => {
    const lines = ['Session-Expires: 90', 'Allow: INVITE, ACK, BYE, UPDATE', 'Content-Type: application/sdp'];
    const { clock, udp, application: app, server, comes } = await calledIn(lines);
    for (let round = 0; round < 3; round++) {
      await clock.advance(45_000);
      const update = await comes(udp.inbox, 'UPDATE ');
      expect(update).toContain('\r\nSession-Expires: 90;refresher=uac\r\n');
      expect(update).toContain('\r\nContent-Length: 0\r\n');
      udp.send(response('200 OK', update, { lines: ['Require: timer', 'Session-Expires: 90;refresher=uac'] }));
      await until(() => server.counters().responses_received === round + 1);
    }
    expect([server.gauges().dialogs, app.inbox.count('UPDATE ')]).toEqual([1, 0]);
  });

  it('is refreshed by a re-INVITE with the last media where the peer takes no UPDATE, which is acknowledged', async () => {
    const { clock, udp, server, comes } = await calledIn(['Session-Expires: 90', 'Content-Type: application/sdp']);
    await clock.advance(45_000);
    const invite = await comes(udp.inbox, 'INVITE ');
    expect(invite.endsWith(`\r\n\r\n${SDP}`)).toBe(true);
    udp.send(response('491 Request Pending', invite));
    await comes(udp.inbox, 'ACK ');
    await clock.advance(3_000);
    const second = await comes(udp.inbox, 'INVITE ');
    udp.send(
      response('200 OK', second, {
        lines: ['Session-Expires: 90;refresher=uac', `Contact: <sip:c@127.0.0.1:${udp.port}>`],
      }),
    );
    const ack = await comes(udp.inbox, 'ACK ');
    expect(/CSeq: (\d+) ACK/.exec(ack)?.[1]).toBe(/CSeq: (\d+) INVITE/.exec(second)?.[1]);
    await clock.advance(44_000);
    expect([server.gauges().dialogs, udp.inbox.count('BYE ')]).toEqual([1, 0]);
  });

  it.each([
    ['says that it does not know the call', '481 Call/Transaction Does Not Exist'],
    ['says nothing', null],
  ])('ends at once where the peer %s when it is refreshed', async (_, status) => {
    const lines = ['Session-Expires: 1800', 'Allow: UPDATE', 'Content-Type: application/sdp'];
    const { clock, udp, application: app, server, comes } = await calledIn(lines);
    await clock.advance(900_000);
    const update = await comes(udp.inbox, 'UPDATE ');
    if (status === null) await clock.advance(32_000);
    else udp.send(response(status, update));
    await comes(app.inbox, '|unsolicited|');
    expect(server.counters().sessions_expired).toBe(1);
  });

  it('goes by re-INVITE where UPDATE was promised and is not taken', async () => {
    const lines = ['Session-Expires: 90', 'Allow: UPDATE', 'Content-Type: application/sdp'];
    const { clock, udp, comes } = await calledIn(lines);
    await clock.advance(45_000);
    udp.send(response('501 Not Implemented', await comes(udp.inbox, 'UPDATE ')));
    await clock.advance(3_000);
    expect(await comes(udp.inbox, 'INVITE ')).toContain(SDP);
  });

  it('that we placed is refreshed by us where the callee says so, and not at all where it says nothing', async () => {
    for (const [said, refreshed] of [
      [['Require: timer', 'Session-Expires: 90;refresher=uac', 'Allow: UPDATE'], 1],
      [[], 0],
    ] as const) {
      const clock = new VirtualClock();
      const { server, application: app } = await stand({ clock });
      const callee = await udpPeer(endpoint(server, 'udp'));
      afterwards(() => callee.close());
      const uri = `sip:b@127.0.0.1:${callee.port}`;
      app.send(`sip|||\r\nINVITE ${uri} SIP/2.0\r\nSupported: timer\r\nSession-Expires: 90\r\n\r\n${SDP}`);
      const invite = await arrival(clock, callee.inbox, 'INVITE ');
      callee.send(response('200 OK', invite, { lines: [`Contact: <${uri}>`, ...said] }));
      const frame = await arrival(clock, app.inbox, 'SIP/2.0 200 OK');
      app.send(`sip||${frame.split('|')[9]?.split('\r\n')[0]}|\r\nACK sip:x SIP/2.0\r\n\r\n`);
      await arrival(clock, callee.inbox, 'ACK ');
      await clock.advance(45_000);
      // What was sent before the answer to this has come before it.
      callee.send(request('OPTIONS', { peer: callee, callId: 'flush' }));
      await arrival(clock, callee.inbox, 'SIP/2.0 503');
      expect(callee.inbox.count('UPDATE ')).toBe(refreshed);
    }
  });
});

/** What comes, while time goes on in small steps: frames to an application are spaced by the server's clock. */
async function arrival(clock: VirtualClock, inbox: Inbox, part: string): Promise<string> {
  let came = false;
  const text = inbox.next(part).finally(() => {
    came = true;
  });
  while (!came) {
    await clock.advance(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return text;
}

/** Turns of the event loop until it holds, or enough of them. */
async function until(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 200 && !holds(); turn++) await new Promise((resolve) => setImmediate(resolve));
  if (!holds()) throw new Error('it does not hold after 200 turns');
}
