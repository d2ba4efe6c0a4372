import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../harness/clock.ts';
import { type Peer, rawApplication, request, response, tagOf, tcpPeer, udpPeer, wsPeer } from './peers.ts';
import { afterwards, application, callIn, endpoint, SDP, type Stand, stand, start, txnOf } from './stand.ts';

const CONTACT = ['Contact: <sip:peer@127.0.0.1:1>'];

describe('an application', () => {
  it('is refused with the wrong secret, and before it has said the right one', async () => {
    const server = await start();
    for (const [said, answer] of [
      ['authenticate|secret|', 'NO|incorrect secret'],
      ['authenticate||', 'NO|incorrect secret'],
      ['route|invite', 'NO|not authenticated'],
      ['ping', 'NO|not authenticated'],
    ] as const) {
      const app = await rawApplication(server.adminPort);
      app.send(said);
      await app.inbox.next(answer);
      await app.inbox.next('closed');
    }
    expect(server.counters().admin_refused).toBe(4);
  });

  it('hears of addresses and version when it says the right one, and gets its pong', async () => {
    const server = await start();
    const app = await application(server, []);
    expect(app.inbox.all[0]).toMatch(/\|OK\|udp\/127\.0\.0\.1:\d+,tcp\/\S+\|v0\.9\.\d+-hushtone\|udp\/127/);
    const id = app.send('ping');
    await app.inbox.next(`|response|${id}|OK|pong`);
  });

  it('gets a request once, however often it routed the method', async () => {
    const { application: app, udp, server } = await stand();
    for (let i = 0; i < 3; i++) await app.inbox.next(`|response|${app.send('route|invite')}|OK`);
    await callIn(app, udp, 'once');
    expect(app.inbox.count('\r\nINVITE ')).toBe(1);
    expect(server.gauges().dialogs).toBe(1);
  });

  it('that left has its unanswered call refused with 503, its dialogs taken up by the next one', async () => {
    const { application: first, udp, server } = await stand();
    const { dialogId } = await callIn(first, udp, 'kept');
    udp.send(request('INVITE', { peer: udp, callId: 'waiting' }));
    await first.inbox.next('Call-ID: waiting');
    first.close();
    await udp.inbox.next('SIP/2.0 503');
    const second = await application(server);
    second.send(`sip||${dialogId}\r\nBYE sip:placeholder SIP/2.0\r\n\r\n`);
    udp.send(response('200 OK', await udp.inbox.next('BYE ')));
    await second.inbox.next('SIP/2.0 200 OK');
    expect(server.gauges().dialogs).toBe(0);
  });
});

describe('a call from the network', () => {
  it.each([
    ['UDP', 'udp', udpPeer],
    ['TCP', 'tcp', tcpPeer],
    ['WebSocket', 'ws', wsPeer],
  ] as const)('over %s is answered, and ended by the application over the same way', async (_name, protocol, open) => {
    const { application: app, server } = await stand();
    const peer = await open(endpoint(server, protocol));
    afterwards(() => peer.close());
    const { dialogId, ok } = await callIn(app, peer, 'call');
    expect(dialogId).toBe('call;from-tag=far');
    expect(ok).toContain(`Contact: <sip:127.0.0.1:${endpoint(server, protocol).port}`);
    app.send(`sip||${dialogId}\r\nBYE sip:placeholder SIP/2.0\r\n\r\n`);
    peer.send(response('200 OK', await peer.inbox.next('BYE ')));
    await app.inbox.next('CSeq: 1 BYE');
    await app.inbox.next('SIP/2.0 200 OK');
    expect(server.gauges().dialogs).toBe(0);
  });

  it('gets 503 when no application takes calls, 481 in a dialog that is not there', async () => {
    const server = await start();
    const udp = await udpPeer(endpoint(server, 'udp'));
    afterwards(() => udp.close());
    udp.send(request('INVITE', { peer: udp, callId: 'nobody' }));
    await udp.inbox.next('SIP/2.0 503');
    udp.send(request('BYE', { peer: udp, callId: 'nobody', toTag: 'gone' }));
    await udp.inbox.next('SIP/2.0 481');
  });

  it('that is cancelled gets 200 and 487, and a late answer is refused by name', async () => {
    const { application: app, udp } = await stand();
    udp.send(request('INVITE', { peer: udp, callId: 'c', branch: 'x' }));
    const frame = await app.inbox.next('\r\nINVITE ');
    udp.send(request('CANCEL', { peer: udp, callId: 'c', branch: 'x' }));
    await udp.inbox.next('SIP/2.0 200 OK');
    await udp.inbox.next('SIP/2.0 487');
    expect(txnOf(await app.inbox.next('\r\nCANCEL '))).toBe(txnOf(frame));
    app.send(`sip|${txnOf(frame)}|\r\nSIP/2.0 200 OK\r\n\r\n`);
    await app.inbox.next('NOK|Response not sent due to unknown transaction');
  });

  it('has its 2xx sent again until the ACK, and is ended with BYE after 32 s without one', async () => {
    const clock = new VirtualClock();
    const { application: app, udp, server } = await stand({ clock });
    await callIn(app, udp, 'deaf', false);
    await clock.advance(1_600);
    await udp.inbox.next('SIP/2.0 200 OK');
    await udp.inbox.next('SIP/2.0 200 OK');
    await clock.advance(30_500);
    const bye = await udp.inbox.next('BYE ');
    expect(bye).toContain('Reason: SIP;cause=200;text="ACK timeout"');
    await clock.advance(10);
    const told = await app.inbox.next('|unsolicited|deaf;from-tag=far|');
    expect(told.split('|')[2]).toBe('application');
    expect(server.counters().ack_timeouts).toBe(1);
  });

  it('may be rung reliably: again until its PRACK, which reaches the application', async () => {
    const clock = new VirtualClock();
    const { application: app, udp } = await stand({ clock });
    udp.send(request('INVITE', { peer: udp, callId: 'r', lines: ['Supported: 100rel'] }));
    const frame = await app.inbox.next('\r\nINVITE ');
    app.send(`sip|${txnOf(frame)}|\r\nSIP/2.0 180 Ringing\r\nrequire: 100rel\r\n\r\n`);
    const ringing = await udp.inbox.next('SIP/2.0 180');
    await clock.advance(600);
    await udp.inbox.next('SIP/2.0 180');
    const rseq = /RSeq: (\d+)/.exec(ringing)?.[1] ?? '';
    const toTag = tagOf(ringing);
    udp.send(request('PRACK', { peer: udp, callId: 'r', cseq: 2, toTag, lines: [`RAck: ${rseq} 1 INVITE`] }));
    await app.inbox.next('\r\nPRACK ');
    await clock.advance(10_000);
    expect(udp.inbox.count('SIP/2.0 180')).toBe(2);
  });

  it('keeps its order of CSeq, and a request in it that is older gets 500', async () => {
    const { application: app, udp } = await stand();
    const { ok } = await callIn(app, udp, 'order');
    udp.send(request('INFO', { peer: udp, callId: 'order', cseq: 9, toTag: tagOf(ok) }));
    const info = await app.inbox.next('\r\nINFO ');
    app.send(`sip|${txnOf(info)}|\r\nSIP/2.0 200 OK\r\n\r\n`);
    await udp.inbox.next('CSeq: 9 INFO');
    udp.send(request('INFO', { peer: udp, callId: 'order', cseq: 8, toTag: tagOf(ok) }));
    await udp.inbox.next('SIP/2.0 500');
  });
});

describe('a call by the application', () => {
  const invite = (peer: Peer) =>
    `sip||\r\nINVITE sip:bob@127.0.0.1:${peer.port} SIP/2.0\r\nfrom: sip:5550100@localhost\r\ncontact: sip:5550100@localhost\r\nContent-Length: 1\r\n\r\n${SDP}`;

  async function callOut({ application: app, udp }: Stand): Promise<{ dialogId: string; sent: string; ok: string }> {
    const id = app.send(invite(udp));
    await app.inbox.next(`|response|${id}|OK|application|`);
    const sent = await udp.inbox.next('INVITE ');
    const ok = response('200 OK', sent, { lines: CONTACT.map((line) => line.replace(':1>', `:${udp.port}>`)) });
    udp.send(ok);
    const frame = await app.inbox.next('\r\nSIP/2.0 200 OK');
    return { dialogId: frame.split('|')[9] ?? '', sent, ok };
  }

  it('is completed: localhost replaced, SDP recognised, length counted in bytes', async () => {
    const made = await stand();
    const { sent } = await callOut(made);
    const { port } = endpoint(made.server, 'udp');
    expect(sent).toContain(`From: <sip:5550100@127.0.0.1:${port}>;tag=`);
    expect(sent).toContain(`Contact: <sip:5550100@127.0.0.1:${port}>`);
    expect(sent).toContain('Content-Type: application/sdp\r\nContent-Length: 5\r\n');
  });

  it('has its ACK sent again for every 2xx that comes again', async () => {
    const made = await stand();
    const { dialogId, ok } = await callOut(made);
    made.application.send(`sip||${dialogId}\r\nACK sip:x SIP/2.0\r\n\r\n`);
    const ack = await made.udp.inbox.next('ACK ');
    made.udp.send(ok);
    expect(await made.udp.inbox.next('ACK ')).toBe(ack);
    expect(made.application.inbox.count('SIP/2.0 200 OK')).toBe(1);
  });

  it('ends a second fork with ACK and BYE of its own', async () => {
    const made = await stand();
    const { dialogId, sent } = await callOut(made);
    made.application.send(`sip||${dialogId}\r\nACK sip:x SIP/2.0\r\n\r\n`);
    await made.udp.inbox.next('ACK ');
    const lines = CONTACT.map((line) => line.replace(':1>', `:${made.udp.port}>`));
    made.udp.send(response('200 OK', sent, { tag: 'other', lines }));
    expect(tagOf(await made.udp.inbox.next('ACK '))).toBe('other');
    expect(tagOf(await made.udp.inbox.next('BYE '))).toBe('other');
    expect(made.server.gauges().dialogs).toBe(1);
  });

  it('holds its CANCEL until the peer has said something', async () => {
    const { application: app, udp } = await stand();
    const id = app.send(invite(udp));
    const txn = (await app.inbox.next(`|response|${id}|OK|`)).split('|')[10] ?? '';
    const sent = await udp.inbox.next('INVITE ');
    app.send(`sip|${txn}|\r\nCANCEL sip:x SIP/2.0\r\nReason: SIP;cause=200\r\n\r\n`);
    await app.inbox.next('\r\nCANCEL ');
    expect(udp.inbox.count('CANCEL ')).toBe(0);
    udp.send(response('180 Ringing', sent));
    const cancel = await udp.inbox.next('CANCEL ');
    expect(/branch=(\S+)/.exec(cancel)?.[1]).toBe(/branch=(\S+)/.exec(sent)?.[1]);
    udp.send(response('487 Request Terminated', sent));
    await udp.inbox.next('ACK ');
    await app.inbox.next('SIP/2.0 487');
  });

  it('that a 2xx and a CANCEL cross is acknowledged and ended with BYE', async () => {
    const { application: app, udp } = await stand();
    const id = app.send(invite(udp));
    const txn = (await app.inbox.next(`|response|${id}|OK|`)).split('|')[10] ?? '';
    const sent = await udp.inbox.next('INVITE ');
    app.send(`sip|${txn}|\r\nCANCEL sip:x SIP/2.0\r\n\r\n`);
    await app.inbox.next('\r\nCANCEL ');
    udp.send(response('200 OK', sent, { lines: CONTACT.map((line) => line.replace(':1>', `:${udp.port}>`)) }));
    const ok = await app.inbox.next('SIP/2.0 200 OK');
    app.send(`sip||${ok.split('|')[9]}\r\nACK sip:x SIP/2.0\r\n\r\n`);
    await udp.inbox.next('ACK ');
    await udp.inbox.next('BYE ');
    await app.inbox.next('ACK-BYE due to cancel race condition');
  });

  it('without an answer gets a 408 of the server after 32 s, seven packets later', async () => {
    const clock = new VirtualClock();
    const { application: app, udp } = await stand({ clock });
    app.send(invite(udp));
    await udp.inbox.next('INVITE ');
    await clock.advance(32_000);
    await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(10);
    expect((await app.inbox.next('SIP/2.0 408')).split('|').slice(3, 7)).toEqual(['0', 'udp', '', '0']);
    for (let i = 0; i < 6; i++) await udp.inbox.next('INVITE ');
  });

  it('carries credentials on the same Call-ID and tag, one CSeq on', async () => {
    const { application: app, udp } = await stand();
    app.send(invite(udp));
    const sent = await udp.inbox.next('INVITE ');
    udp.send(response('407 Proxy Authentication Required', sent));
    await app.inbox.next('SIP/2.0 407');
    const [, tag = ''] = /From: [^\r]*;tag=(\S+)/.exec(sent) ?? [];
    const [, callId = ''] = /Call-ID: (\S+)/.exec(sent) ?? [];
    app.send(
      `${invite(udp).replace('@localhost\r\n', `@localhost;tag=${tag}\r\ncall-id: ${callId}\r\ncseq: 7 INVITE\r\n`)}`,
    );
    const again = await udp.inbox.next('CSeq: 7 INVITE');
    expect(again).toContain(`;tag=${tag}\r\n`);
    expect(again).toContain(`Call-ID: ${callId}\r\n`);
  });

  it.each([
    ['sip||\r\nOPTIONS sip:a@127.0.0.1:PORT SIP/2.0\r\n\r\n', 'can not send request to myself'],
    ['sip||\r\nOPTIONS sip:a@127.0.0.9;transport=sctp SIP/2.0\r\n\r\n', 'requested protocol/transport not available'],
    ['sip||\r\nOPTIONS bogus SIP/2.0\r\n\r\n', 'invalid request-uri: OPTIONS bogus SIP/2.0'],
    ['sip||\r\nMESSAGE sip:a@127.0.0.9 SIP/2.0\r\n\r\nhello', 'missing content-type'],
    [
      'sip||no;from-tag=no\r\nBYE sip:placeholder SIP/2.0\r\n\r\n',
      'Server error: unable to find dialog for dialog id provided',
    ],
    ['sip|no|\r\nCANCEL sip:a SIP/2.0\r\n\r\n', 'unable to cancel unknown transaction id: no'],
  ])('%s is refused by name', async (said, reason) => {
    const { application: app, server } = await stand();
    const id = app.send(said.replace('PORT', String(endpoint(server, 'udp').port)));
    await app.inbox.next(`|response|${id}|NOK|${reason}`);
  });
});

describe('bad input', () => {
  it('is answered or dropped, counted, and ends nothing', async () => {
    const { application: app, udp, server } = await stand();
    udp.send(request('INVITE', { peer: udp, callId: 'bad' }).replace('CSeq: 1 INVITE', 'CSeq: x'));
    await udp.inbox.next('SIP/2.0 400');
    udp.send('\u0000'.repeat(400));
    udp.send('SIP/2.0 999 What\r\n\r\n');
    await callIn(app, udp, 'after');
    expect(server.counters()).toMatchObject({ malformed_answered: 1, malformed_dropped: 2, faults: 0 });
  });

  it('on a connection ends that connection only', async () => {
    const { application: app, server, udp } = await stand();
    const tcp = await tcpPeer(endpoint(server, 'tcp'));
    tcp.send('INVITE sip:a@b SIP/2.0\r\n\r\n');
    await tcp.inbox.next('closed');
    const ws = await wsPeer(endpoint(server, 'ws'));
    ws.send('x'.repeat(70_000));
    await ws.inbox.next('closed');
    await callIn(app, udp, 'still');
  });

  it('opens no more connections than the limit', async () => {
    const { server } = await stand({ limits: { connectionsPerAddressMax: 2 } });
    const peers: Peer[] = [];
    for (let i = 0; i < 3; i++) peers.push(await tcpPeer(endpoint(server, 'tcp')));
    afterwards(() =>
      peers.forEach((peer) => {
        peer.close();
      }),
    );
    await peers[2]?.inbox.next('closed');
    expect(peers[0]?.inbox.count('closed')).toBe(0);
  });
});
