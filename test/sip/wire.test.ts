import { afterEach, describe, expect, it } from 'vitest';
import type { IncomingCall, LegEnd } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createSipFrontEnd, type SipFrontEnd } from '../../src/sip/front-end.ts';
import { checkProfiles } from '../../src/sip/profiles.ts';
import { profileText } from './profile-text.ts';
import { WirePeer } from './wire-peer.ts';

/*
 * The real drachtio-srf against a server whose every frame the test decides: what happens when frames share a read, and
 * when the connection goes.
 */

const SDP =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n';
const DIALOG = 'wire-1;from-tag=a';
const LOCAL = { address: '127.0.0.1', port: 20_000 };

function request(method: string, parts: { tag?: string; headers?: string; body?: string; cseq?: number } = {}): string {
  const { tag, headers = '', body = '', cseq = 1 } = parts;
  return [
    `${method} sip:pay@127.0.0.1 SIP/2.0`,
    'Via: SIP/2.0/UDP 127.0.0.1:5062;branch=z9hG4bK1',
    'From: <sip:+15550100@127.0.0.1>;tag=a',
    `To: <sip:pay@127.0.0.1>${tag === undefined ? '' : `;tag=${tag}`}`,
    'Call-ID: wire-1',
    `CSeq: ${cseq} ${method}`,
    'Contact: <sip:peer@127.0.0.1:5062>',
    ...(headers === '' ? [] : [headers]),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

let open: { peer: WirePeer; frontEnd: SipFrontEnd } | null = null;

afterEach(async () => {
  open?.frontEnd.stop();
  await open?.peer.close();
  open = null;
});

async function world() {
  const checked = checkProfiles([{ file: 'test.yaml', text: profileText() }], null);
  if (!checked.ok) throw new Error('profile');
  const peer = new WirePeer();
  const port = await peer.listen();
  const frontEnd = createSipFrontEnd({
    server: { host: '127.0.0.1', port, secret: new Sensitive('admin secret', 's3cret') },
    profiles: checked.profiles,
    secrets: new Map(),
    clock: systemClock,
    log: silentLog,
  });
  open = { peer, frontEnd };
  let arrived: (call: IncomingCall) => void = () => {};
  const call = new Promise<IncomingCall>((resolve) => {
    arrived = resolve;
  });
  await frontEnd.start({ callArrived: async (one) => arrived(one) });
  await peer.until((frame) => frame.tokens[0] === 'route' && frame.tokens[1] === 'refer');
  return { peer, frontEnd, call };
}

const isStatus = (status: number) => (frame: { message: string }) => frame.message.startsWith(`SIP/2.0 ${status}`);

function ended(): { end: Promise<LegEnd>; tell: (end: LegEnd) => void } {
  let tell: (end: LegEnd) => void = () => {};
  const end = new Promise<LegEnd>((resolve) => {
    tell = resolve;
  });
  return { end, tell };
}

const quiet = { mediaChanged: async () => LOCAL, transferRequested: async () => 'refuse' as const };

describe('over the wire', () => {
  it('authenticates with the secret and asks for what it answers', async () => {
    const { peer } = await world();
    expect(peer.received[0]?.tokens).toEqual(['authenticate', 's3cret', '']);
    const routes = peer.received.filter((frame) => frame.tokens[0] === 'route').map((frame) => frame.tokens[1]);
    expect(new Set(routes)).toEqual(
      new Set(['invite', 'options', 'register', 'subscribe', 'publish', 'message', 'info', 'notify', 'refer']),
    );
  });

  it('hears a BYE that shares its read with the echo of the 200 and the ACK', async () => {
    const { peer, call } = await world();
    peer.push(peer.fromNetwork(request('INVITE', { body: SDP }), 'txn-invite'));
    const arrived = await call;
    const bye = request('BYE', { tag: 'ours', cseq: 2, headers: 'X-Hushtone-Identified: yes' });
    peer.afterEcho = [
      peer.fromNetwork(request('ACK', { tag: 'ours' }), 'txn-invite', DIALOG),
      peer.fromNetwork(bye, 'txn-bye', DIALOG),
    ];
    const leg = await arrived.accept(LOCAL);
    const { end, tell } = ended();
    leg.listen({ ...quiet, ended: tell });
    expect(await end).toMatchObject({ kind: 'bye', identified: true });
    await peer.until((frame) => frame.tokens[1] === 'txn-bye' && isStatus(200)(frame));
  });

  it('answers a re-INVITE whose dialog began without any description', async () => {
    const { peer, call } = await world();
    peer.push(peer.fromNetwork(request('INVITE'), 'txn-invite'));
    const arrived = await call;
    peer.afterEcho = [peer.fromNetwork(request('ACK', { tag: 'ours', body: SDP }), 'txn-invite', DIALOG)];
    const leg = await arrived.accept(LOCAL);
    leg.listen({ ...quiet, ended: () => {} });
    const moved = SDP.replace('m=audio 4000', 'm=audio 4002');
    peer.push(peer.fromNetwork(request('INVITE', { tag: 'ours', cseq: 2, body: moved }), 'txn-again', DIALOG));
    const answered = await peer.until(
      (frame) => frame.tokens[1] === 'txn-again' && frame.message.startsWith('SIP/2.0'),
    );
    expect(answered.message).toMatch(/^SIP\/2\.0 200[\s\S]*m=audio 20000 RTP\/AVP 0 101/);
  });

  it('takes a CANCEL before the answer', async () => {
    const { peer, call } = await world();
    peer.push(peer.fromNetwork(request('INVITE', { body: SDP }), 'txn-invite'));
    const arrived = await call;
    const cancelled = new Promise<void>((resolve) => arrived.onCancelled(resolve));
    peer.push(peer.fromNetwork(request('CANCEL'), 'txn-invite'));
    await cancelled;
    await expect(arrived.accept(LOCAL)).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  });

  it('refuses with status, reason and Warning on the line', async () => {
    const { peer } = await world();
    peer.push(peer.fromNetwork(request('INVITE', { body: SDP.replace('RTP/AVP 0 101', 'RTP/AVP 18') }), 'txn-invite'));
    const refused = await peer.until(isStatus(488));
    expect(refused.message).toMatch(/warning: 305 hushtone "no codec that the profile allows"/i);
  });

  it('survives frames that the library would throw on', async () => {
    const { peer, frontEnd } = await world();
    peer.push(
      peer.fromNetwork('nonsense', 't1'),
      peer.fromNetwork('INVITE sip:pay@h SIP/2.0\r\nCall-ID: x\r\n\r\n', 't2'),
      peer.fromNetwork('OPTIONS sip:pay@h SIP/2.0\r\nCall-ID: y\r\nTo: <sip:a>\r\nFrom: <sip:b>\r\n\r\n', 't3'),
    );
    await peer.until((frame) => frame.tokens[1] === 't3' && isStatus(200)(frame));
    expect(frontEnd.connected).toBe(true);
  });

  it('tells its legs that they are lost with the connection, connects again and takes calls again', async () => {
    const { peer, call, frontEnd } = await world();
    peer.push(peer.fromNetwork(request('INVITE', { body: SDP }), 'txn-invite'));
    const leg = await (await call).accept(LOCAL);
    const { end, tell } = ended();
    leg.listen({ ...quiet, ended: tell });
    peer.received.length = 0;
    peer.drop();
    expect(await end).toEqual({ kind: 'lost' });
    await leg.hangUp();
    await peer.until((frame) => frame.tokens[0] === 'route' && frame.tokens[1] === 'refer');
    peer.push(peer.fromNetwork(request('OPTIONS'), 'txn-options'));
    await peer.until((frame) => frame.tokens[1] === 'txn-options' && isStatus(200)(frame));
    expect(frontEnd.dialogs).toBe(0);
  });

  it('dials, and fails by the status that comes', async () => {
    const { peer, frontEnd } = await world();
    const dialing = frontEnd.dial({
      callId: 'ca_1',
      legId: 'le_1',
      target: 'sip:queue@127.0.0.1:5070',
      from: '+15550100',
      local: LOCAL,
      context: {},
      timeoutMs: 5_000,
    });
    const failed = expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 486 } });
    const invite = await peer.until((frame) => frame.message.startsWith('INVITE sip:queue@127.0.0.1:5070'));
    expect(invite.message).toMatch(/X-Hushtone-Call: ca_1\r\n/);
    const index = peer.received.indexOf(invite);
    expect(index).toBeGreaterThan(0);
    const busy =
      'SIP/2.0 486 Busy Here\r\nCall-ID: wire-2\r\nCSeq: 1 INVITE\r\nFrom: <sip:a@b>;tag=o\r\nTo: <sip:c@d>;tag=t\r\n\r\n';
    peer.push(peer.fromNetwork(busy, peer.lastTxn, 'wire-2;from-tag=o'));
    await failed;
  });
});
