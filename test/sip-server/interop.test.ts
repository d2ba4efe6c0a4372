import type { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { afterEach, describe, expect, it } from 'vitest';
import { placeCall } from '../../src/caller/sip-phone.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { runSipServer, type SipServer } from '../../src/sip-server/server.ts';
import { request, tagOf, udpPeer } from './peers.ts';

/* Clients that are not ours on both sides: drachtio-srf as the application, sip.js as the caller. */

interface AppDialog extends EventEmitter {
  destroy(options: { headers?: Record<string, string> }, done: () => void): void;
}
interface App extends EventEmitter {
  connect(options: { host: string; port: number; secret: string }): void;
  disconnect(): void;
  invite(handler: (req: unknown, res: unknown) => void): void;
  createUAS(req: unknown, res: unknown, options: { localSdp: string }): Promise<AppDialog>;
}
const Srf = createRequire(import.meta.url)('drachtio-srf') as new () => App;
const SDP = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 15990 RTP/AVP 0\r\n';

let closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

async function start(): Promise<{ server: SipServer; app: App }> {
  const sip = (['udp', 'ws'] as const).map((protocol) => ({ protocol, address: '127.0.0.1', port: 0 }));
  const server = await runSipServer({ admin: { host: '127.0.0.1', port: 0 }, secret: 'cymru', sip });
  const app = new Srf();
  app.on('error', () => undefined);
  app.connect({ host: '127.0.0.1', port: server.adminPort, secret: 'cymru' });
  closing.push(
    () => server.close(),
    () => app.disconnect(),
  );
  await new Promise((resolve) => app.once('connect', resolve));
  return { server, app };
}

describe('a sip.js caller over WebSocket and a drachtio-srf application', () => {
  it('speak until the application hangs up, and the caller reads what the BYE carries', async () => {
    const { server, app } = await start();
    const dialogs: AppDialog[] = [];
    app.invite((req, res) => {
      void app.createUAS(req, res, { localSdp: SDP }).then((dialog) => dialogs.push(dialog));
    });
    const port = server.sip.find(({ protocol }) => protocol === 'ws')?.port;
    const call = await placeCall({ server: `ws://127.0.0.1:${port}`, uri: 'sip:pay@127.0.0.1' }, systemClock);
    expect(await call.answered).toBe(200);
    await new Promise((resolve) =>
      dialogs[0]?.destroy({ headers: { 'X-Hushtone-Result': 'approved' } }, () => resolve(1)),
    );
    await call.ended;
    expect(call.byeHeaders()).toMatchObject({ 'x-hushtone-result': 'approved' });
    expect(server.gauges().dialogs).toBe(0);
  });

  it('speak until the caller hangs up, and the application hears of it', async () => {
    const { server, app } = await start();
    const destroyed = new Promise((resolve) => {
      app.invite((req, res) => {
        void app.createUAS(req, res, { localSdp: SDP }).then((dialog) => dialog.on('destroy', resolve));
      });
    });
    const port = server.sip.find(({ protocol }) => protocol === 'ws')?.port;
    const call = await placeCall({ server: `ws://127.0.0.1:${port}`, uri: 'sip:pay@127.0.0.1' }, systemClock);
    expect(await call.answered).toBe(200);
    await call.hangUp();
    await destroyed;
    await call.ended;
    expect(server.counters()).toMatchObject({ faults: 0, malformed_answered: 0, malformed_dropped: 0 });
  });
});

describe('callers who hang up in the moment they are answered', () => {
  it('are noticed, every one, by an application that awaits createUAS', async () => {
    const calls = 60;
    const { server, app } = await start();
    let destroyed = 0;
    app.invite((req, res) => {
      void app.createUAS(req, res, { localSdp: SDP }).then((dialog) => dialog.on('destroy', () => destroyed++));
    });
    const endpoint = server.sip.find(({ protocol }) => protocol === 'udp');
    if (endpoint === undefined) throw new Error('no udp');
    const peer = await udpPeer(endpoint);
    closing.push(() => peer.close());
    const one = async (callId: string) => {
      peer.send(request('INVITE', { peer, callId, body: SDP, lines: ['Content-Type: application/sdp'] }));
      let ok = '';
      while (!ok.startsWith('SIP/2.0 200')) ok = await peer.inbox.next(`Call-ID: ${callId}\r\n`);
      peer.send(request('ACK', { peer, callId, toTag: tagOf(ok) }));
      peer.send(request('BYE', { peer, callId, cseq: 2, toTag: tagOf(ok) }));
      await peer.inbox.next(`Call-ID: ${callId}\r\nCSeq: 2 BYE`);
    };
    await Promise.all(Array.from({ length: calls }, (_, i) => one(`rush-${i}-`)));
    expect(destroyed).toBe(calls);
    expect(server.gauges().dialogs).toBe(0);
  });
});
