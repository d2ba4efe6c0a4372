import { afterEach } from 'vitest';
import { runSipServer, type SipServer, type SipServerOptions } from '../../src/sip-server/server.ts';
import { type Peer, type RawApplication, rawApplication, request, tagOf, udpPeer } from './peers.ts';

/*
 * The embedded server as tests need it: on free ports, with raw peers and applications, all closed after each test.
 */

export const SDP = 'v=0\r\n';
export const SECRET = 'sécret';
let closing: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

/** Runs after the test, in the opposite order of the calls. */
export function afterwards(close: () => void | Promise<void>): void {
  closing.push(close);
}

export interface Stand {
  readonly server: SipServer;
  readonly application: RawApplication;
  readonly udp: Peer;
}

export async function start(options: Partial<SipServerOptions> = {}): Promise<SipServer> {
  const sip = (['udp', 'tcp', 'ws'] as const).map((protocol) => ({ protocol, address: '127.0.0.1', port: 0 }));
  const server = await runSipServer({ admin: { host: '127.0.0.1', port: 0 }, secret: SECRET, sip, ...options });
  afterwards(() => server.close());
  return server;
}

export const endpoint = (server: SipServer, protocol: string) => {
  const found = server.sip.find((one) => one.protocol === protocol);
  if (found === undefined) throw new Error(protocol);
  return found;
};

export async function application(server: SipServer, verbs: readonly string[] = ['invite']): Promise<RawApplication> {
  const made = await rawApplication(server.adminPort);
  afterwards(() => made.close());
  const id = made.send(`authenticate|${SECRET}|`);
  await made.inbox.next(`|response|${id}|OK|`);
  for (const verb of verbs) await made.inbox.next(`|response|${made.send(`route|${verb}`)}|OK`);
  return made;
}

export async function stand(options: Partial<SipServerOptions> = {}): Promise<Stand> {
  const server = await start(options);
  const udp = await udpPeer(endpoint(server, 'udp'));
  afterwards(() => udp.close());
  return { server, application: await application(server), udp };
}

export const txnOf = (frame: string) => frame.split('|')[8] ?? '';

/** Calls in from a peer; the application answers 200; the ACK is sent unless told otherwise. */
export async function callIn(
  app: RawApplication,
  peer: Peer,
  callId: string,
  ack = true,
): Promise<{ dialogId: string; ok: string }> {
  peer.send(request('INVITE', { peer, callId, body: SDP, lines: ['Content-Type: application/sdp'] }));
  const frame = await app.inbox.next('\r\nINVITE ');
  const id = app.send(`sip|${txnOf(frame)}|\r\nSIP/2.0 200 OK\r\nContent-Length: 5\r\n\r\n${SDP}`);
  const echo = await app.inbox.next(`|response|${id}|OK|`);
  const ok = await peer.inbox.next('SIP/2.0 200 OK');
  if (ack) {
    peer.send(request('ACK', { peer, callId, toTag: tagOf(ok) }));
    await app.inbox.next('\r\nACK ');
  }
  return { dialogId: echo.split('|')[11] ?? '', ok };
}
