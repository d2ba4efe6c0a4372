import { describe, expect, it } from 'vitest';
import { type Peer, type RawApplication, request, requestBack, response, tagOf, tcpPeer, udpPeer } from './peers.ts';
import { afterwards, application, callIn, endpoint, SDP, start, txnOf } from './stand.ts';

/*
 * Each method of issue 2 as server (the network asks, the application answers) and as client (the application asks, the
 * network answers), over UDP and TCP, in dialogs that either side made. methods-drachtio-srf.test.ts has the same table
 * with drachtio-srf in the place of the raw application.
 */

interface Row {
  readonly method: string;
  readonly lines: readonly string[];
  readonly body: string;
  readonly status: string;
}
const SDP_LINE = 'Content-Type: application/sdp';
const row = (method: string, status = '200 OK', lines: readonly string[] = [], body = ''): Row => ({
  method,
  lines,
  body,
  status,
});

const IN_DIALOG: readonly Row[] = [
  row('OPTIONS'),
  row('INFO', '200 OK', ['Content-Type: text/plain'], 'hello'),
  row('REFER', '202 Accepted', ['Refer-To: <sip:queue@127.0.0.1>']),
  row(
    'NOTIFY',
    '200 OK',
    ['Event: refer', 'Subscription-State: active', 'Content-Type: message/sipfrag'],
    'SIP/2.0 100 ',
  ),
  row('UPDATE', '200 OK', [SDP_LINE], SDP),
  row('INVITE', '200 OK', [SDP_LINE], SDP),
  row('INVITE', '488 Not Acceptable Here', [SDP_LINE], SDP),
  row('BYE'),
];
const OUTSIDE: readonly Row[] = [
  row('OPTIONS'),
  row('INFO', '200 OK', ['Content-Type: text/plain'], 'hello'),
  row('NOTIFY', '481 Subscription Does Not Exist', ['Event: refer', 'Subscription-State: terminated']),
];

interface Line {
  readonly app: RawApplication;
  readonly peer: Peer;
  /** The peer's Contact, as a line. */
  readonly contact: string;
  readonly uri: string;
}

/** An established dialog, and how the peer writes a request in it. */
interface Talk {
  readonly dialogId: string;
  readonly callId: string;
  ask(method: string, cseq: number, parts?: { lines?: readonly string[]; body?: string }): string;
}

const headerOf = (message: string, name: string) => new RegExp(`\\r\\n${name}: ([^\\r]*)`).exec(message)?.[1] ?? '';
const cseqOf = (message: string) => Number.parseInt(headerOf(message, 'CSeq'), 10);
const said = (start: string, lines: readonly string[], body = '') =>
  [start, ...lines, `Content-Length: ${body.length}`, '', body].join('\r\n');

async function line(protocol: 'udp' | 'tcp', verbs: readonly string[] = ['invite']): Promise<Line> {
  const server = await start();
  const peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(endpoint(server, protocol));
  afterwards(() => peer.close());
  const uri = `sip:bob@127.0.0.1:${peer.port}${protocol === 'udp' ? '' : ';transport=tcp'}`;
  return { app: await application(server, verbs), peer, contact: `Contact: <${uri}>`, uri };
}

async function calledByPeer({ app, peer }: Line): Promise<Talk> {
  const { dialogId, ok } = await callIn(app, peer, 'in');
  const ask: Talk['ask'] = (method, cseq, parts) =>
    request(method, { peer, callId: 'in', cseq, toTag: tagOf(ok), ...parts });
  return { dialogId, callId: 'in', ask };
}

async function calledByApplication({ app, peer, contact, uri }: Line): Promise<Talk> {
  const id = app.send(`sip||\r\n${said(`INVITE ${uri} SIP/2.0`, [SDP_LINE], SDP)}`);
  await app.inbox.next(`|response|${id}|OK|application|`);
  const sent = await peer.inbox.next('INVITE ');
  peer.send(response('200 OK', sent, { lines: [contact] }));
  const dialogId = (await app.inbox.next('\r\nSIP/2.0 200 OK')).split('|')[9] ?? '';
  app.send(`sip||${dialogId}\r\nACK sip:placeholder SIP/2.0\r\n\r\n`);
  const ack = await peer.inbox.next('ACK ');
  expect(cseqOf(ack)).toBe(cseqOf(sent));
  expect(ack.startsWith(`ACK ${uri} SIP/2.0`)).toBe(true);
  const ask: Talk['ask'] = (method, cseq, parts) => requestBack(method, sent, { peer, cseq, ...parts });
  return { dialogId, callId: headerOf(sent, 'Call-ID'), ask };
}

const DIALOGS = [
  ['the peer called', calledByPeer],
  ['the application called', calledByApplication],
] as const;

describe.each(['udp', 'tcp'] as const)('over %s', (protocol) => {
  describe.each(DIALOGS)('in a dialog in which %s', (_who, establish) => {
    it.each(IN_DIALOG)('the application answers $method with $status', async ({ method, lines, body, status }) => {
      const here = await line(protocol);
      const { app, peer } = here;
      const talk = await establish(here);
      peer.send(talk.ask(method, 2, { lines, body }));
      const frame = await app.inbox.next(`CSeq: 2 ${method}\r\n`);
      expect(frame.split('|').slice(1, 3)).toEqual(['sip', 'network']);
      expect(frame.split('|')[9]).toBe(talk.dialogId);
      expect(frame).toContain(`\r\n\r\n${body}`);
      const id = app.send(`sip|${txnOf(frame)}|\r\n${said(`SIP/2.0 ${status}`, ['X-Said: yes'])}`);
      const echo = await app.inbox.next(`|response|${id}|OK|`);
      // The dialog is over with its BYE; the echo of no other answer may go without it.
      expect(echo.split('|')[11]).toBe(method === 'BYE' ? '' : talk.dialogId);
      const answer = await peer.inbox.next(`SIP/2.0 ${status}`);
      expect(headerOf(answer, 'CSeq')).toBe(`2 ${method}`);
      expect(answer).toContain('X-Said: yes\r\n');
      if (method !== 'INVITE') return;
      peer.send(talk.ask('ACK', 2));
      // RFC 3261 §17.1.1.3: the ACK of a failure belongs to the transaction, only that of a 2xx goes on.
      if (status.startsWith('200')) expect((await app.inbox.next('CSeq: 2 ACK')).split('|')[9]).toBe(talk.dialogId);
    });

    it.each(IN_DIALOG)('the peer answers $method with $status', async ({ method, lines, body, status }) => {
      const here = await line(protocol);
      const { app, peer, contact } = here;
      const talk = await establish(here);
      const id = app.send(`sip||${talk.dialogId}\r\n${said(`${method} sip:placeholder SIP/2.0`, lines, body)}`);
      const echo = await app.inbox.next(`|response|${id}|OK|application|`);
      const sent = await peer.inbox.next(`${method} sip:`);
      expect(headerOf(sent, 'Call-ID')).toBe(talk.callId);
      for (const said of lines) expect(sent).toContain(`${said}\r\n`);
      expect(sent.endsWith(`Content-Length: ${body.length}\r\n\r\n${body}`)).toBe(true);
      peer.send(response(status, sent, { lines: [contact] }));
      const frame = await app.inbox.next(`CSeq: ${headerOf(sent, 'CSeq')}\r\n`);
      expect(frame).toContain(`SIP/2.0 ${status}\r\n`);
      expect([txnOf(frame), frame.split('|')[9]]).toEqual([echo.split('|')[10], talk.dialogId]);
      if (method !== 'INVITE') return;
      const ackId = app.send(`sip||${talk.dialogId}\r\nACK sip:placeholder SIP/2.0\r\n\r\n`);
      const ack = await peer.inbox.next('ACK sip:');
      expect(cseqOf(ack)).toBe(cseqOf(sent));
      if (!status.startsWith('200')) await app.inbox.next(`|response|${ackId}|NOK|`);
    });
  });

  it.each(OUTSIDE)('the application answers $method outside a dialog', async ({ method, lines, body, status }) => {
    const { app, peer } = await line(protocol, [method.toLowerCase()]);
    peer.send(request(method, { peer, callId: 'out', lines, body }));
    const frame = await app.inbox.next(`CSeq: 1 ${method}\r\n`);
    expect(frame.split('|')[9]).toBe('');
    app.send(`sip|${txnOf(frame)}|\r\n${said(`SIP/2.0 ${status}`, [])}`);
    const answer = await peer.inbox.next(`SIP/2.0 ${status}`);
    expect(tagOf(answer)).not.toBe('');
  });

  it.each(OUTSIDE)('the peer answers $method outside a dialog', async ({ method, lines, body, status }) => {
    const { app, peer, uri } = await line(protocol);
    const id = app.send(`sip||\r\n${said(`${method} ${uri} SIP/2.0`, lines, body)}`);
    const echo = await app.inbox.next(`|response|${id}|OK|application|`);
    peer.send(response(status, await peer.inbox.next(`${method} ${uri}`)));
    const frame = await app.inbox.next(`SIP/2.0 ${status}\r\n`);
    expect([txnOf(frame), frame.split('|')[9]]).toEqual([echo.split('|')[10], '']);
  });

  it('the peer cancels its INVITE, and the application hears of it', async () => {
    const { app, peer } = await line(protocol);
    peer.send(request('INVITE', { peer, callId: 'c', branch: 'c' }));
    const frame = await app.inbox.next('\r\nINVITE ');
    peer.send(request('CANCEL', { peer, callId: 'c', branch: 'c' }));
    expect(headerOf(await peer.inbox.next('SIP/2.0 200 OK'), 'CSeq')).toBe('1 CANCEL');
    const terminated = await peer.inbox.next('SIP/2.0 487');
    expect(txnOf(await app.inbox.next('\r\nCANCEL '))).toBe(txnOf(frame));
    peer.send(request('ACK', { peer, callId: 'c', branch: 'c', toTag: tagOf(terminated) }));
  });

  it('the application cancels its INVITE, and the peer hears of it', async () => {
    const { app, peer, uri } = await line(protocol);
    const id = app.send(`sip||\r\n${said(`INVITE ${uri} SIP/2.0`, [SDP_LINE], SDP)}`);
    const txn = (await app.inbox.next(`|response|${id}|OK|application|`)).split('|')[10] ?? '';
    const sent = await peer.inbox.next('INVITE ');
    peer.send(response('180 Ringing', sent));
    await app.inbox.next('SIP/2.0 180');
    app.send(`sip|${txn}|\r\nCANCEL ${uri} SIP/2.0\r\nReason: SIP;cause=200\r\n\r\n`);
    const cancel = await peer.inbox.next(`CANCEL ${uri}`);
    expect(headerOf(cancel, 'Via')).toBe(headerOf(sent, 'Via'));
    expect(cseqOf(cancel)).toBe(cseqOf(sent));
    peer.send(response('200 OK', cancel));
    peer.send(response('487 Request Terminated', sent));
    expect(headerOf(await peer.inbox.next('ACK '), 'Via')).toBe(headerOf(sent, 'Via'));
    expect(txnOf(await app.inbox.next('SIP/2.0 487'))).toBe(txn);
  });

  it('the peer acknowledges a reliable ringing of the application with PRACK', async () => {
    const { app, peer } = await line(protocol);
    peer.send(request('INVITE', { peer, callId: 'r', lines: ['Supported: 100rel'] }));
    const frame = await app.inbox.next('\r\nINVITE ');
    app.send(`sip|${txnOf(frame)}|\r\n${said('SIP/2.0 183 Session Progress', ['Require: 100rel'])}`);
    const ringing = await peer.inbox.next('SIP/2.0 183');
    const rack = (rseq: number) => [`RAck: ${rseq} 1 INVITE`];
    const rseq = Number(headerOf(ringing, 'RSeq'));
    const toTag = tagOf(ringing);
    // RFC 3262 §3: one that names no response of ours is refused, and leaves the right one possible.
    peer.send(request('PRACK', { peer, callId: 'r', cseq: 2, toTag, lines: rack(rseq + 1) }));
    await peer.inbox.next('SIP/2.0 481');
    peer.send(request('PRACK', { peer, callId: 'r', cseq: 3, toTag, lines: rack(rseq) }));
    const prack = await app.inbox.next('\r\nPRACK ');
    expect(prack.split('|')[9]).toBe('r;from-tag=far');
    app.send(`sip|${txnOf(prack)}|\r\n${said('SIP/2.0 200 OK', [])}`);
    expect(headerOf(await peer.inbox.next('SIP/2.0 200 OK'), 'CSeq')).toBe('3 PRACK');
  });

  it('the application acknowledges a reliable ringing of the peer with PRACK, which it repeats for nobody', async () => {
    const { app, peer, uri, contact } = await line(protocol);
    app.send(`sip||\r\n${said(`INVITE ${uri} SIP/2.0`, [SDP_LINE, 'Supported: 100rel'], SDP)}`);
    const sent = await peer.inbox.next('INVITE ');
    const ringing = response('183 Session Progress', sent, { lines: [contact, 'Require: 100rel', 'RSeq: 77'] });
    peer.send(ringing);
    const dialogId = (await app.inbox.next('SIP/2.0 183')).split('|')[9] ?? '';
    app.send(`sip||${dialogId}\r\n${said(`PRACK ${uri} SIP/2.0`, [`RAck: 77 ${headerOf(sent, 'CSeq')}`])}`);
    const prack = await peer.inbox.next('PRACK ');
    expect(headerOf(prack, 'RAck')).toBe(`77 ${headerOf(sent, 'CSeq')}`);
    expect(cseqOf(prack)).toBe(cseqOf(sent) + 1);
    expect(tagOf(prack)).toBe('peer');
    peer.send(ringing);
    peer.send(response('200 OK', prack));
    await app.inbox.next(`CSeq: ${headerOf(prack, 'CSeq')}`);
    expect(app.inbox.count('SIP/2.0 183')).toBe(1);
  });

  it('the peer changes its offer by UPDATE before the answer', async () => {
    const { app, peer } = await line(protocol);
    peer.send(request('INVITE', { peer, callId: 'u', body: SDP, lines: [SDP_LINE] }));
    const frame = await app.inbox.next('\r\nINVITE ');
    app.send(`sip|${txnOf(frame)}|\r\n${said('SIP/2.0 183 Session Progress', [])}`);
    const toTag = tagOf(await peer.inbox.next('SIP/2.0 183'));
    peer.send(request('UPDATE', { peer, callId: 'u', cseq: 2, toTag, body: SDP, lines: [SDP_LINE] }));
    const update = await app.inbox.next('\r\nUPDATE ');
    app.send(`sip|${txnOf(update)}|\r\n${said('SIP/2.0 200 OK', ['cseq: 2 UPDATE', SDP_LINE], SDP)}`);
    expect(headerOf(await peer.inbox.next('SIP/2.0 200 OK'), 'CSeq')).toBe('2 UPDATE');
    app.send(`sip|${txnOf(frame)}|\r\n${said('SIP/2.0 200 OK', [SDP_LINE], SDP)}`);
    expect(headerOf(await peer.inbox.next('SIP/2.0 200 OK'), 'CSeq')).toBe('1 INVITE');
  });
});
