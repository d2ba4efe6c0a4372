import type { SrfDialog, SrfRequest, SrfResponse } from 'drachtio-srf';
import Srf from 'drachtio-srf';
import { describe, expect, it } from 'vitest';
import { type Peer, request, requestBack, response, tagOf, tcpPeer, udpPeer } from './peers.ts';
import { afterwards, endpoint, SDP, SECRET, start } from './stand.ts';

/*
 * The methods of issue 2 with drachtio-srf itself as the application, as server and as client.
 */

const SDP_LINE = 'Content-Type: application/sdp';
const CONTENT = { 'Content-Type': 'application/sdp' };

interface Line {
  readonly srf: Srf;
  readonly peer: Peer;
  readonly uri: string;
  readonly contact: string;
  /** Settles when the server has obeyed all that the application said so far: frames are taken in order. */
  obeyed(): Promise<void>;
}

async function line(protocol: 'udp' | 'tcp' = 'udp'): Promise<Line> {
  const server = await start();
  const peer = await (protocol === 'udp' ? udpPeer : tcpPeer)(endpoint(server, protocol));
  const srf = new Srf();
  srf.on('error', () => undefined);
  afterwards(() => peer.close());
  afterwards(() => srf.disconnect());
  await new Promise((resolve) => {
    srf.on('connect', resolve);
    void srf.connect({ host: '127.0.0.1', port: server.adminPort, secret: SECRET });
  });
  const uri = `sip:bob@127.0.0.1:${peer.port}${protocol === 'udp' ? '' : ';transport=tcp'}`;
  const own = `sip:us@127.0.0.1:${endpoint(server, 'udp').port}`;
  // A request to the server itself is refused without a word to the network.
  const obeyed = () =>
    new Promise<void>((resolve) => srf.request(own, { method: 'OPTIONS', stackDialogId: '' }, () => resolve()));
  return { srf, peer, uri, contact: `Contact: <${uri}>`, obeyed };
}

interface Talk {
  readonly dialog: SrfDialog;
  ask(method: string, cseq: number, lines?: readonly string[], body?: string): string;
}

const header = (message: string, name: string) => new RegExp(`\\r\\n${name}: ([^\\r]*)`).exec(message)?.[1] ?? '';

async function calledByPeer({ srf, peer, obeyed }: Line): Promise<Talk> {
  const made = new Promise<SrfDialog>((resolve, reject) => {
    srf.use('invite', (req, res) => {
      srf.createUAS(req, res, { localSdp: SDP, headers: {} }, (error, dialog) =>
        dialog === undefined ? reject(error) : resolve(dialog),
      );
    });
  });
  await obeyed();
  peer.send(request('INVITE', { peer, callId: 'in', body: SDP, lines: [SDP_LINE] }));
  const toTag = tagOf(await peer.inbox.next('SIP/2.0 200 OK'));
  const dialog = await made;
  const acked = new Promise((resolve) => dialog.on('ack', resolve));
  peer.send(request('ACK', { peer, callId: 'in', toTag }));
  await acked;
  return {
    dialog,
    ask: (method, cseq, lines = [], body = '') => request(method, { peer, callId: 'in', cseq, toTag, lines, body }),
  };
}

async function calledByApplication({ srf, peer, uri, contact }: Line): Promise<Talk> {
  const made = new Promise<SrfDialog>((resolve, reject) => {
    srf.createUAC(uri, { localSdp: SDP, headers: {} }, {}, (error, dialog) =>
      dialog === undefined ? reject(error) : resolve(dialog),
    );
  });
  const sent = await peer.inbox.next('INVITE ');
  peer.send(response('200 OK', sent, { lines: [contact, SDP_LINE] }));
  await peer.inbox.next('ACK ');
  const dialog = await made;
  return {
    dialog,
    ask: (method, cseq, lines = [], body = '') => requestBack(method, sent, { peer, cseq, lines, body }),
  };
}

/** Method, the event of the dialog that brings it, the peer's header lines, body, and what the application answers. */
const IN_DIALOG = [
  ['OPTIONS', 'options', [], '', 200],
  ['INFO', 'info', ['Content-Type: text/plain'], 'hello', 200],
  ['REFER', 'refer', ['Refer-To: <sip:queue@127.0.0.1>'], '', 202],
  ['NOTIFY', 'notify', ['Event: refer', 'Subscription-State: active'], '', 200],
  ['UPDATE', 'update', [SDP_LINE], SDP, 200],
  ['INVITE', 'modify', [SDP_LINE], SDP, 200],
] as const;

const DIALOGS = [
  ['the peer called', calledByPeer],
  ['drachtio-srf called', calledByApplication],
] as const;

describe.each(DIALOGS)('in a dialog in which %s', (_who, establish) => {
  it.each(IN_DIALOG)('drachtio-srf answers %s', async (method, event, lines, body, status) => {
    const here = await line();
    const { dialog, ask } = await establish(here);
    const headers: Record<string, string> = body === SDP ? CONTENT : {};
    const came = new Promise<SrfRequest>((resolve) => {
      dialog.on(event, (req: SrfRequest, res: SrfResponse) => {
        res.send(status, { headers, ...(body === SDP ? { body } : {}) });
        resolve(req);
      });
    });
    here.peer.send(ask(method, 2, lines, body));
    expect((await came).body ?? '').toBe(body);
    const answer = await here.peer.inbox.next(`CSeq: 2 ${method}\r\n`);
    const final = answer.startsWith('SIP/2.0 100') ? await here.peer.inbox.next(`CSeq: 2 ${method}\r\n`) : answer;
    expect(final.startsWith(`SIP/2.0 ${status} `)).toBe(true);
    if (method !== 'INVITE') return;
    const acked = new Promise((resolve) => dialog.on('ack', resolve));
    here.peer.send(ask('ACK', 2));
    await acked;
  });

  it.each(IN_DIALOG)('the peer answers %s', async (method, _event, lines, body, status) => {
    const here = await line();
    const { dialog } = await establish(here);
    const headers = Object.fromEntries(lines.map((one) => one.split(': ') as [string, string]));
    const answered = new Promise<SrfResponse>((resolve, reject) => {
      dialog.request({ method, headers, body }, (error, res) => (res === undefined ? reject(error) : resolve(res)));
    });
    const sent = await here.peer.inbox.next(`${method} sip:`);
    expect(sent.endsWith(`\r\n\r\n${body}`)).toBe(true);
    here.peer.send(response(`${status} OK`, sent, { lines: [here.contact] }));
    expect((await answered).status).toBe(status);
    if (method === 'INVITE') expect(header(await here.peer.inbox.next('ACK '), 'CSeq')).toMatch(/ ACK$/);
  });

  it('the peer hangs up with BYE, and drachtio-srf hears of it', async () => {
    const here = await line();
    const { dialog, ask } = await establish(here);
    const destroyed = new Promise((resolve) => dialog.on('destroy', resolve));
    here.peer.send(ask('BYE', 2));
    await destroyed;
    expect(header(await here.peer.inbox.next('CSeq: 2 BYE'), 'Via')).not.toBe('');
  });

  it('drachtio-srf hangs up with BYE, and the peer hears of it', async () => {
    const here = await line();
    const { dialog } = await establish(here);
    const destroyed = new Promise((resolve) =>
      dialog.destroy({ headers: { 'X-Hushtone-Result': 'approved' } }, resolve),
    );
    const bye = await here.peer.inbox.next('BYE sip:');
    expect(bye).toContain('X-Hushtone-Result: approved\r\n');
    here.peer.send(response('200 OK', bye));
    expect(await destroyed).toBeFalsy();
  });
});

describe('outside a dialog', () => {
  it('drachtio-srf answers OPTIONS', async () => {
    const { srf, peer, obeyed } = await line('tcp');
    srf.use('options', (_req, res) => res.send(200, { headers: { Allow: 'INVITE' } }));
    await obeyed();
    peer.send(request('OPTIONS', { peer, callId: 'o' }));
    expect(await peer.inbox.next('SIP/2.0 200')).toContain('Allow: INVITE\r\n');
  });

  it('the peer answers OPTIONS of drachtio-srf', async () => {
    const { srf, peer, uri } = await line('tcp');
    const answered = new Promise<SrfResponse>((resolve, reject) => {
      srf.request(uri, { method: 'OPTIONS', stackDialogId: '' }, (error, req) =>
        req === undefined ? reject(error) : req.on('response', resolve),
      );
    });
    peer.send(response('200 OK', await peer.inbox.next('OPTIONS ')));
    expect((await answered).status).toBe(200);
  });
});

describe('before the answer', () => {
  it('the peer cancels, and drachtio-srf hears of it', async () => {
    const { srf, peer, obeyed } = await line();
    const cancelled = new Promise((resolve) => {
      srf.use('invite', (req, res) => {
        req.on('cancel', resolve);
        res.send(180, {});
      });
    });
    await obeyed();
    peer.send(request('INVITE', { peer, callId: 'c', branch: 'c' }));
    await peer.inbox.next('SIP/2.0 180');
    peer.send(request('CANCEL', { peer, callId: 'c', branch: 'c' }));
    await peer.inbox.next('SIP/2.0 487');
    await cancelled;
  });

  it('drachtio-srf cancels, and the peer hears of it', async () => {
    const { srf, peer, uri } = await line();
    const failed = new Promise((resolve) => {
      const cbRequest = (_error: unknown, req?: SrfRequest) => {
        void peer.inbox.next('INVITE ').then((sent) => {
          peer.send(response('180 Ringing', sent));
          req?.cancel({}, () => undefined);
        });
      };
      srf.createUAC(uri, { localSdp: SDP, headers: {} }, { cbRequest }, resolve);
    });
    const cancel = await peer.inbox.next('CANCEL ');
    peer.send(response('200 OK', cancel));
    peer.send(response('487 Request Terminated', cancel.replaceAll('CANCEL', 'INVITE')));
    expect(await failed).toMatchObject({ status: 487 });
    await peer.inbox.next('ACK ');
  });

  it('drachtio-srf rings reliably, and gets its PRACK', async () => {
    const { srf, peer, obeyed } = await line();
    let answered = (_prack: SrfRequest) => {};
    const pracked = new Promise<SrfRequest>((resolve) => {
      answered = resolve;
    });
    srf.use('invite', (_req, res) => res.send(183, { headers: { Require: '100rel' } }));
    srf.use('prack', (req, res) => {
      res.send(200, {});
      answered(req);
    });
    await obeyed();
    peer.send(request('INVITE', { peer, callId: 'p', lines: ['Supported: 100rel'] }));
    const ringing = await peer.inbox.next('SIP/2.0 183');
    const lines = [`RAck: ${header(ringing, 'RSeq')} 1 INVITE`];
    peer.send(request('PRACK', { peer, callId: 'p', cseq: 2, toTag: tagOf(ringing), lines }));
    expect(header(await peer.inbox.next('SIP/2.0 200'), 'CSeq')).toBe('2 PRACK');
    expect((await pracked).get('RAck')).toBe(`${header(ringing, 'RSeq')} 1 INVITE`);
  });

  it('drachtio-srf acknowledges a reliable ringing with PRACK of its own', async () => {
    const { srf, peer, uri, contact } = await line();
    const made = new Promise<SrfDialog | undefined>((resolve) => {
      srf.createUAC(uri, { localSdp: SDP, headers: { Supported: '100rel' } }, {}, (_error, dialog) => resolve(dialog));
    });
    const sent = await peer.inbox.next('INVITE ');
    peer.send(response('183 Session Progress', sent, { lines: [contact, 'Require: 100rel', 'RSeq: 5'] }));
    const prack = await peer.inbox.next('PRACK ');
    expect(header(prack, 'RAck')).toBe(`5 ${header(sent, 'CSeq')}`);
    peer.send(response('200 OK', prack));
    peer.send(response('200 OK', sent, { lines: [contact] }));
    await peer.inbox.next('ACK ');
    expect(await made).toBeDefined();
  });
});
