import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LogFields } from '../../src/lib/log.ts';
import { silentLog } from '../../src/lib/log.ts';
import { loadTlsFiles, type TlsFiles } from '../../src/lib/tls-files.ts';
import type { SipServerOptions } from '../../src/sip-server/server.ts';
import type { TlsSettings } from '../../src/sip-server/transport/credentials.ts';
import { Authority } from '../harness/certificates.ts';
import { VirtualClock } from '../harness/clock.ts';
import { type Peer, request, requestBack, response, streamPeer, tcpPeer, tlsPeer, wsPeer } from './peers.ts';
import { afterwards, application, callIn, endpoint, start } from './stand.ts';

const EXPIRY_LOOK_MS = 60_000;

let authority: Authority;
let ours: TlsFiles;
let named: TlsFiles;
/** What a client needs to believe us. */
let believing: { ca: string };

beforeAll(() => {
  authority = new Authority();
  ours = authority.certificate({ names: ['IP:127.0.0.1'] });
  named = authority.certificate({ names: ['DNS:localhost'] });
  believing = { ca: readFileSync(authority.file, 'utf8') };
});
afterAll(() => authority.close());

function secure(tls: Partial<TlsSettings> = {}): Partial<SipServerOptions> {
  const sip = (['udp', 'tls', 'wss'] as const).map((protocol) => ({ protocol, address: '127.0.0.1', port: 0 }));
  return { sip, tls: { ...ours, clients: 'none', ...tls } };
}

/** A peer that is called over TLS. */
async function calledPeer(files: TlsFiles): Promise<{ port: number; connected: Promise<Peer>; asked: () => boolean }> {
  const { cert, key, ca } = loadTlsFiles(files);
  const connected = Promise.withResolvers<Peer>();
  let showed = false;
  const server = createTlsServer(
    { cert, key, ca, requestCert: true, rejectUnauthorized: true },
    (socket: TLSSocket) => {
      showed = socket.authorized;
      connected.resolve(streamPeer(socket, 'TLS'));
      afterwards(() => void socket.destroy());
    },
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterwards(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return { port, connected: connected.promise, asked: () => showed };
}

const invite = (uri: string) => `sip|||\r\nINVITE ${uri} SIP/2.0\r\nTo: <${uri}>\r\nFrom: <sip:us@localhost>\r\n\r\n`;

describe('SIP over TLS', () => {
  it('takes a call and ends it over the same connection', async () => {
    const server = await start(secure());
    const app = await application(server, ['invite', 'ack', 'bye']);
    const peer = await tlsPeer(endpoint(server, 'tls'), believing);
    const { dialogId, ok } = await callIn(app, peer, 'tls-1');
    expect(app.inbox.all.find((frame) => frame.includes('\r\nINVITE '))).toContain(`|tls|127.0.0.1|${peer.port}|`);
    expect(ok).toContain(`Contact: <sip:127.0.0.1:${endpoint(server, 'tls').port};transport=tls>`);
    app.send(`sip||${dialogId}|\r\nBYE sip:placeholder SIP/2.0\r\n\r\n`);
    const bye = await peer.inbox.next('BYE ');
    expect(bye).toContain('Via: SIP/2.0/TLS 127.0.0.1:');
    peer.close();
  });

  it('takes a call over WebSocket over TLS, which an application sees as tcp', async () => {
    const server = await start(secure());
    const app = await application(server, ['invite', 'ack']);
    const peer = await wsPeer(endpoint(server, 'wss'), believing);
    const { ok } = await callIn(app, peer, 'wss-1');
    expect(app.inbox.all.find((frame) => frame.includes('\r\nINVITE '))).toContain('|tcp|127.0.0.1|');
    expect(ok).toContain(`:${endpoint(server, 'wss').port};transport=ws>`);
    peer.close();
  });

  it('answers a request to a sips URI with a sips Contact', async () => {
    const server = await start(secure());
    const app = await application(server);
    const peer = await tlsPeer(endpoint(server, 'tls'), believing);
    const text = request('INVITE', { peer, callId: 'sips-1' }).replace('INVITE sip:', 'INVITE sips:');
    peer.send(text);
    const frame = await app.inbox.next('\r\nINVITE ');
    app.send(`sip|${frame.split('|')[8]}|\r\nSIP/2.0 200 OK\r\n\r\n`);
    expect(await peer.inbox.next('200 OK')).toContain(`Contact: <sips:127.0.0.1:${endpoint(server, 'tls').port}>`);
    peer.close();
  });

  it.each([
    ['none', 0, true],
    ['request', 0, true],
    ['require', 0, false],
    ['require', 1, true],
  ] as const)('with clients: %s, who shows %i certificates is taken: %s', async (clients, shown, taken) => {
    const server = await start(secure({ clients }));
    const app = await application(server);
    const { cert, key } = loadTlsFiles(named);
    const peer = tlsPeer(endpoint(server, 'tls'), { ...believing, ...(shown === 1 ? { cert, key } : {}) });
    // TLS 1.3: the client is done before the server has judged its certificate.
    const judged = await peer.then(async (made) => {
      made.send(request('INVITE', { peer: made, callId: 'clients-1' }));
      const came = await Promise.race([
        app.inbox.next('\r\nINVITE ').then(() => true),
        made.inbox.next('closed').then(() => false),
      ]);
      made.close();
      return came;
    });
    expect(judged).toBe(taken);
  });

  it('speaks nothing older than TLS 1.2', async () => {
    const server = await start(secure());
    const old = { ...believing, minVersion: 'TLSv1' as const, maxVersion: 'TLSv1.1' as const };
    await expect(tlsPeer(endpoint(server, 'tls'), { ...old, ciphers: 'ALL@SECLEVEL=0' })).rejects.toThrow(
      /version|alert/,
    );
  });

  it('drops and counts who speaks no TLS there', async () => {
    const server = await start(secure());
    const { port } = endpoint(server, 'tls');
    const peer = await tcpPeer({ protocol: 'tcp', address: '127.0.0.1', port });
    peer.send(request('OPTIONS', { peer, callId: 'plain-1' }));
    await peer.inbox.next('closed');
    expect(server.counters().malformed_dropped).toBe(1);
  });
});

describe('a request that goes out over TLS', () => {
  it.each([
    ['a DNS name', ['DNS:localhost']],
    ['a SIP URI (RFC 5922)', ['DNS:elsewhere.example', 'URI:sip:localhost']],
  ])('reaches who proves by %s to be the domain, and shows our certificate', async (_, names) => {
    const server = await start(secure());
    const app = await application(server);
    const called = await calledPeer(authority.certificate({ names }));
    app.send(invite(`sip:they@localhost:${called.port};transport=tls`));
    const peer = await called.connected;
    const came = await peer.inbox.next('INVITE ');
    expect(came).toContain(`Contact: <sip:127.0.0.1:${endpoint(server, 'tls').port};transport=tls>`);
    expect(called.asked()).toBe(true);
    peer.send(response('200 OK', came, { lines: [`Contact: <sip:they@localhost:${called.port};transport=tls>`] }));
    const ok = await app.inbox.next('SIP/2.0 200 OK');
    // What the peer asks comes over the connection that we made.
    peer.send(requestBack('BYE', came, { peer, cseq: 2 }));
    await app.inbox.next('\r\nBYE ');
    expect(ok).toContain('|tls|127.0.0.1|');
  });

  it('goes to a sips URI by TLS, with a sips Contact', async () => {
    const server = await start(secure());
    const app = await application(server);
    const called = await calledPeer(named);
    app.send(invite(`sips:they@localhost:${called.port}`));
    const came = await (await called.connected).inbox.next('INVITE ');
    expect(came).toContain(`Contact: <sips:127.0.0.1:${endpoint(server, 'tls').port}>`);
  });

  it.each([
    ['is another', () => authority.certificate({ names: ['DNS:elsewhere.example'] })],
    ['vouches for itself', () => authority.certificate({ names: ['DNS:localhost'], selfSigned: true })],
  ])('fails with 503 where the peer %s, which learns nothing', async (_, files) => {
    const server = await start(secure());
    const app = await application(server);
    const called = await calledPeer(files());
    app.send(invite(`sip:they@localhost:${called.port};transport=tls`));
    await app.inbox.next('SIP/2.0 503 ');
    const peer = await Promise.race([called.connected, Promise.resolve(null)]);
    expect(peer?.inbox.count('INVITE') ?? 0).toBe(0);
  });

  it.each([
    'sip:they@localhost:5099;transport=tls',
    'sips:they@localhost:5099',
    'sips:they@localhost:5099;transport=udp',
  ])('is refused at once where there is no TLS: %s', async (uri) => {
    const server = await start();
    const app = await application(server);
    const id = app.send(invite(uri));
    expect(await app.inbox.next(`|response|${id}|`)).toContain('requested protocol/transport not available');
  });
});

describe('certificate files', () => {
  it('are taken up when they change, and the last good ones stay where the new ones are no good', async () => {
    const clock = new VirtualClock(Date.now());
    const errors: LogFields[] = [];
    const log = { ...silentLog, error: (_: string, fields?: LogFields) => void errors.push(fields ?? {}) };
    const at = { certificate: join(authority.folder, 'live.pem'), key: join(authority.folder, 'live.key') };
    const put = (from: TlsFiles) => {
      copyFileSync(from.key, at.key);
      copyFileSync(from.certificate, at.certificate);
    };
    put(ours);
    const server = await start({ ...secure(at), clock, log });
    const serial = async () => {
      const { port, address } = endpoint(server, 'tls');
      const socket = connectTls({ port, host: address, ...believing, checkServerIdentity: () => undefined });
      await new Promise((resolve) => socket.once('secureConnect', resolve));
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      return serialNumber;
    };
    const before = await serial();
    put(named);
    await clock.advance(EXPIRY_LOOK_MS);
    const after = await serial();
    expect(after).not.toBe(before);
    writeFileSync(at.key, 'nothing');
    await clock.advance(EXPIRY_LOOK_MS);
    expect(await serial()).toBe(after);
    expect(errors).toEqual([{ reason: `${at.key} holds no private key in PEM without a passphrase` }]);
  });

  it('that are out of their time are told of at start and no reason to stop the other transports; new ones are refused', async () => {
    const clock = new VirtualClock(Date.now());
    const errors: LogFields[] = [];
    const log = { ...silentLog, error: (_: string, fields?: LogFields) => void errors.push(fields ?? {}) };
    const late = authority.certificate({ names: ['IP:127.0.0.1'], notAfter: '20250131000000Z' });
    const later = authority.certificate({ names: ['IP:127.0.0.1'], notAfter: '20250228000000Z' });
    const server = await start({ ...secure(late), clock, log });
    expect(endpoint(server, 'udp').port).toBeGreaterThan(0);
    copyFileSync(later.key, late.key);
    copyFileSync(later.certificate, late.certificate);
    await clock.advance(EXPIRY_LOOK_MS);
    expect(errors).toEqual([
      { reason: `${late.certificate} expired on 2025-01-31` },
      { reason: `${late.certificate} expired on 2025-02-28` },
    ]);
  });

  it.each([
    ['is not there', () => ({ ...ours, certificate: '/nowhere.pem' }), '/nowhere.pem cannot be read (ENOENT)'],
    ['is no certificate', () => ({ ...ours, certificate: ours.key }), 'holds no certificate in PEM'],
    ['is another’s key', () => ({ ...ours, key: named.key }), 'is not the key of the certificate in'],
    ['is no key', () => ({ ...ours, key: ours.certificate }), 'holds no private key in PEM'],
  ])('stop the start where one %s, and leave nothing open', async (_, files, message) => {
    await expect(start(secure(files()))).rejects.toThrow(message);
  });
});
