import { describe, expect, it } from 'vitest';
import type { IncomingCall, NegotiatedMedia } from '../../src/app/ports.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type Log, silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { parseCrypto } from '../../src/sip/crypto.ts';
import { createSipFrontEnd } from '../../src/sip/front-end.ts';
import { checkProfiles } from '../../src/sip/profiles.ts';
import { turns } from '../harness/clock.ts';
import { answer, FakeSrf } from './fake-srf.ts';
import { profileText } from './profile-text.ts';

/* What a profile's `srtp` makes of offers and answers, ours and the peer's; keys as the peer would see them. */

const LOCAL = { address: '127.0.0.1', port: 20_000 };
const CM80 = 'AES_CM_128_HMAC_SHA1_80';

const keyOf = (fill: number, bytes = 30) => Buffer.alloc(bytes, fill).toString('base64');
const cryptoLine = (tag: number, suite: string, key: string) => `a=crypto:${tag} ${suite} inline:${key}`;

function sdp(protocol: string, crypto: readonly string[] = [], port = 4000): string {
  const stream = [`m=audio ${port} ${protocol} 0 101`, ...crypto, 'a=rtpmap:101 telephone-event/8000'];
  return ['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...stream, ''].join('\r\n');
}

function world(srtp: 'require' | 'prefer' | 'off') {
  const checked = checkProfiles([{ file: 'test.yaml', text: profileText({ srtp }) }], null);
  if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
  const srf = new FakeSrf();
  const lines: string[] = [];
  const write = (message: string, fields: object = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, debug: write, info: write, warn: write, error: write, child: () => log };
  const frontEnd = createSipFrontEnd({
    server: { host: '127.0.0.1', port: 1, secret: new Sensitive('admin secret', 's') },
    profiles: checked.profiles,
    secrets: new Map(),
    clock: systemClock,
    log,
    srf: srf.asSrf(),
  });
  const calls: IncomingCall[] = [];
  void frontEnd.start({ callArrived: async (call) => void calls.push(call) });
  return { srf, lines, frontEnd, calls };
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing there');
  return value;
}

/** The m-line's protocol and the attributes of a description of ours. */
function said(body: string | undefined) {
  const lines = (body ?? '').split('\r\n');
  const crypto = lines
    .filter((line) => line.startsWith('a=crypto:'))
    .map((line) => {
      const parsed = parseCrypto(line.slice('a=crypto:'.length));
      if (!parsed.ok) throw new Error(parsed.fault);
      return { tag: parsed.tag, suite: parsed.suite, key: Buffer.from(parsed.key.reveal()).toString('base64') };
    });
  return { protocol: lines.find((line) => line.startsWith('m='))?.split(' ')[2], crypto };
}

/** Suite and both keys of what was agreed, in the clear for the test. */
function agreed(media: NegotiatedMedia | undefined) {
  const security = media?.security;
  if (security === undefined) return null;
  const base64 = (key: Sensitive<Uint8Array>) => Buffer.from(key.reveal()).toString('base64');
  return { suite: security.suite, ours: base64(security.sendKey), theirs: base64(security.receiveKey) };
}

async function established(srtp: 'require' | 'prefer', body: string) {
  const base = world(srtp);
  const { res } = base.srf.receive('INVITE', { body });
  const call = must(base.calls[0]);
  const leg = await call.accept(LOCAL);
  const media: NegotiatedMedia[] = [];
  leg.listen({
    ended: () => {},
    mediaChanged: async (changed) => {
      media.push(changed);
      return LOCAL;
    },
    transferRequested: async () => 'refuse',
  });
  return { ...base, call, leg, media, dialog: must(base.srf.dialogs[0]), answered: said(res.last?.body) };
}

describe('an offer of a peer', () => {
  it('is answered by one key of ours, at the first suite that it offers and we know', async () => {
    const offer = sdp('RTP/SAVP', [
      cryptoLine(1, 'AES_256_CM_HMAC_SHA1_80', keyOf(1, 46)),
      cryptoLine(2, CM80, `${keyOf(2)}|2^20|1:4`),
      cryptoLine(3, 'AEAD_AES_256_GCM', keyOf(3, 44)),
      cryptoLine(4, CM80, keyOf(4)),
    ]);
    const { call, answered } = await established('require', offer);
    expect(answered.protocol).toBe('RTP/SAVP');
    expect(answered.crypto).toMatchObject([{ tag: 3, suite: 'AEAD_AES_256_GCM' }]);
    expect(agreed(call.media)).toEqual({
      suite: 'AEAD_AES_256_GCM',
      ours: answered.crypto[0]?.key,
      theirs: keyOf(3, 44),
    });
    expect(answered.crypto[0]?.key).not.toBe(keyOf(3, 44));
  });

  it.each([
    ['require', sdp('RTP/AVP'), 'no secure media, which the profile demands'],
    ['require', sdp('RTP/SAVP'), 'secure media without a=crypto'],
    ['require', sdp('UDP/TLS/RTP/SAVP'), 'secure media by DTLS only'],
    [
      'require',
      sdp('RTP/SAVP', [cryptoLine(1, 'AES_256_CM_HMAC_SHA1_80', keyOf(1, 46))]),
      'a=crypto with a suite that we do not know',
    ],
    ['prefer', sdp('RTP/SAVP', [cryptoLine(1, CM80, `${keyOf(1)}|2^20|1:4`)]), 'a=crypto with a master key identifier'],
    [
      'require',
      sdp('RTP/AVP', [`${cryptoLine(1, CM80, keyOf(1))} UNENCRYPTED_SRTP`]),
      'a=crypto with a session parameter that we do not take',
    ],
    ['off', sdp('RTP/SAVP', [cryptoLine(1, CM80, keyOf(1))]), 'secure media only'],
  ] as const)('under %s is refused by name: 488 and a warning, no key in the log', (srtp, body, fault) => {
    const { srf, lines, frontEnd } = world(srtp);
    const { res } = srf.receive('INVITE', { body });
    expect(res.last).toMatchObject({ status: 488, headers: { Warning: `305 hushtone "${fault}"` } });
    expect(frontEnd.counters().callsRefusedByMedia).toBe(1);
    expect(lines.join('\n')).toContain(fault);
    expect(lines.join('\n')).not.toContain(keyOf(1).slice(0, 8));
  });

  it('of RTP/AVP with a key (RFC 8643) is answered secure where the profile takes it, and plain where it is off', async () => {
    const offer = sdp('RTP/AVP', [cryptoLine(7, CM80, keyOf(1))]);
    const secure = await established('prefer', offer);
    expect(secure.answered).toMatchObject({ protocol: 'RTP/AVP', crypto: [{ tag: 7, suite: CM80 }] });
    const plain = world('off');
    const { res } = plain.srf.receive('INVITE', { body: offer });
    await must(plain.calls[0]).accept(LOCAL);
    expect(said(res.last?.body)).toEqual({ protocol: 'RTP/AVP', crypto: [] });
    expect(agreed(plain.calls[0]?.media)).toBeNull();
  });

  it('in clear is taken in clear under prefer', async () => {
    const { answered, call } = await established('prefer', sdp('RTP/AVP'));
    expect(answered).toEqual({ protocol: 'RTP/AVP', crypto: [] });
    expect(agreed(call.media)).toBeNull();
  });

  it('that has one stream twice is taken secure, whichever stands first', async () => {
    const twice = `${sdp('RTP/AVP')}m=audio 4002 RTP/SAVP 0 101\r\n${cryptoLine(1, CM80, keyOf(1))}\r\n`;
    const { call } = await established('prefer', twice);
    expect(call.media.remotePort).toBe(4002);
    expect(agreed(call.media)?.theirs).toBe(keyOf(1));
  });
});

describe('a secure call', () => {
  const offer = sdp('RTP/SAVP', [cryptoLine(1, CM80, keyOf(1))]);

  it('is not moved by a session refresh: the same keys on both sides', async () => {
    const { dialog, media, answered } = await established('require', offer);
    const res = dialog.peer('INVITE', { body: offer });
    await turns();
    expect(said(res.last?.body)).toEqual(answered);
    expect(media).toEqual([]);
  });

  it('goes on hold by its keys as they are', async () => {
    const { dialog, media, answered } = await established('require', offer);
    const res = dialog.peer('INVITE', { body: `${offer}a=sendonly\r\n` });
    await turns();
    expect(said(res.last?.body)).toEqual(answered);
    expect(media).toMatchObject([{ direction: 'recvonly' }]);
    expect(agreed(media[0])).toMatchObject({ ours: answered.crypto[0]?.key, theirs: keyOf(1) });
  });

  it('gets a new key of ours when the peer changes its own', async () => {
    const { dialog, media, answered } = await established('require', offer);
    const res = dialog.peer('INVITE', { body: sdp('RTP/SAVP', [cryptoLine(1, CM80, keyOf(9))]) });
    await turns();
    const again = said(res.last?.body);
    expect(again.crypto[0]?.key).not.toBe(answered.crypto[0]?.key);
    expect(agreed(media[0])).toEqual({ suite: CM80, ours: again.crypto[0]?.key, theirs: keyOf(9) });
  });

  it('is not made plain by a re-INVITE where the profile demands SRTP', async () => {
    const { dialog, media } = await established('require', offer);
    const res = dialog.peer('INVITE', { body: sdp('RTP/AVP') });
    await turns();
    expect(res.last?.status).toBe(488);
    expect(media).toEqual([]);
  });

  it('renews its key by a re-INVITE of the suite in use', async () => {
    const { leg, dialog, media, answered } = await established('prefer', offer);
    const renewing = leg.renewKeys();
    await turns();
    const request = must(dialog.requests[0]);
    const offered = said(request.body);
    expect(offered).toMatchObject({ protocol: 'RTP/SAVP', crypto: [{ tag: 1, suite: CM80 }] });
    expect(offered.crypto).toHaveLength(1);
    expect(offered.crypto[0]?.key).not.toBe(answered.crypto[0]?.key);
    request.answer(answer(200, { body: sdp('RTP/SAVP', [cryptoLine(1, CM80, keyOf(5))]) }));
    expect(await renewing).toBe('renewed');
    expect(agreed(media[0])).toEqual({ suite: CM80, ours: offered.crypto[0]?.key, theirs: keyOf(5) });
  });

  it('stays as it was where the peer refuses a new key, or answers it in clear', async () => {
    for (const refusal of [answer(488), answer(200, { body: sdp('RTP/AVP') })]) {
      const { leg, dialog, media } = await established('require', offer);
      const renewing = leg.renewKeys();
      await turns();
      must(dialog.requests[0]).answer(refusal);
      expect(await renewing).toBe('refused');
      expect(media).toEqual([]);
    }
  });

  it('has no key to renew where it is plain', async () => {
    const { leg, dialog } = await established('prefer', sdp('RTP/AVP'));
    expect(await leg.renewKeys()).toBe('plain');
    expect(dialog.requests).toEqual([]);
  });
});

describe('a call without an offer', () => {
  async function late(srtp: 'require' | 'prefer', answerOf: (offered: ReturnType<typeof said>) => string) {
    const base = world(srtp);
    const { res } = base.srf.receive('INVITE', { body: '' });
    const accepting = must(base.calls[0]).accept(LOCAL);
    await turns();
    const offered = said(res.last?.body);
    must(base.srf.dialogs[0]).peer('ACK', { body: answerOf(offered) });
    return { ...base, offered, accepting };
  }

  it('is offered every suite, and takes the one that the ACK chooses', async () => {
    const { offered, accepting } = await late('require', () =>
      sdp('RTP/SAVP', [cryptoLine(2, 'AEAD_AES_128_GCM', keyOf(6, 28))]),
    );
    expect(offered.protocol).toBe('RTP/SAVP');
    expect(offered.crypto.map(({ tag, suite }) => [tag, suite])).toEqual([
      [1, CM80],
      [2, 'AEAD_AES_128_GCM'],
      [3, 'AEAD_AES_256_GCM'],
      [4, 'AES_CM_128_HMAC_SHA1_32'],
    ]);
    const leg = await accepting;
    const media = await new Promise<NegotiatedMedia>((resolve) => {
      const mediaChanged = async (changed: NegotiatedMedia) => {
        resolve(changed);
        return LOCAL;
      };
      leg.listen({ ended: () => {}, mediaChanged, transferRequested: async () => 'refuse' });
    });
    expect(agreed(media)).toEqual({ suite: 'AEAD_AES_128_GCM', ours: offered.crypto[1]?.key, theirs: keyOf(6, 28) });
  });

  it('under require ends where the ACK answers in clear, and the log says why', async () => {
    const { accepting, lines, srf } = await late('require', () => sdp('RTP/AVP'));
    await expect(accepting).rejects.toMatchObject({ code: 'SDP_INVALID' });
    expect(lines.join('\n')).toContain('answer has no a=crypto of those offered');
    expect(must(srf.dialogs[0]).byes).toHaveLength(1);
  });

  it('under prefer is offered RTP/AVP with keys, and goes on in clear where the ACK says so', async () => {
    const { offered, accepting } = await late('prefer', () => sdp('RTP/AVP'));
    expect([offered.protocol, offered.crypto.length]).toEqual(['RTP/AVP', 4]);
    await expect(accepting).resolves.toBeDefined();
  });
});

describe('a call of ours', () => {
  const request = {
    callId: 'ca_1',
    legId: 'le_2',
    target: 'sip:queue@127.0.0.1:5070',
    from: '+15550100',
    local: LOCAL,
    context: {},
    timeoutMs: 20_000,
  } as const;

  it('under prefer offers RTP/AVP with keys, then RTP/SAVP, then in clear, while it is refused as not acceptable', async () => {
    const { srf, frontEnd } = world('prefer');
    const dialing = frontEnd.dial(request);
    must(srf.invites[0]).refused(488);
    await turns();
    must(srf.invites[1]).refused(488);
    await turns();
    const offers = srf.invites.map((invite) => said(invite.sdp));
    expect(offers.map(({ protocol, crypto }) => [protocol, crypto.length])).toEqual([
      ['RTP/AVP', 4],
      ['RTP/SAVP', 4],
      ['RTP/AVP', 0],
    ]);
    // No key is offered twice.
    const keys = offers.flatMap(({ crypto }) => crypto.map(({ key }) => key));
    expect(new Set(keys).size).toBe(8);
    must(srf.invites[2]).answered(sdp('RTP/AVP'));
    expect(agreed((await dialing).media)).toBeNull();
  });

  it('is secure where the answer takes a key, in RTP/AVP as in RTP/SAVP', async () => {
    for (const protocol of ['RTP/AVP', 'RTP/SAVP']) {
      const { srf, frontEnd } = world('prefer');
      const dialing = frontEnd.dial(request);
      const invite = must(srf.invites[0]);
      invite.answered(sdp(protocol, [cryptoLine(1, CM80, keyOf(3))]));
      expect(agreed((await dialing).media)).toMatchObject({ ours: said(invite.sdp).crypto[0]?.key, theirs: keyOf(3) });
    }
  });

  it.each([
    ['in clear', sdp('RTP/AVP')],
    ['by a suite that was not offered under its tag', sdp('RTP/SAVP', [cryptoLine(2, CM80, keyOf(3))])],
    [
      'by two keys',
      sdp('RTP/SAVP', [cryptoLine(1, CM80, keyOf(3)), cryptoLine(4, 'AES_CM_128_HMAC_SHA1_32', keyOf(4))]),
    ],
  ])('under require is ended where it is answered %s', async (_, body) => {
    const { srf, frontEnd } = world('require');
    const dialing = frontEnd.dial(request);
    const dialog = must(srf.invites[0]).answered(body);
    await expect(dialing).rejects.toMatchObject({
      code: 'TRANSFER_FAILED',
      message: expect.stringContaining('answer has no a=crypto of those offered'),
    });
    expect(dialog.byes).toHaveLength(1);
    expect(srf.invites).toHaveLength(1);
  });

  it('is ended where the answer sends our own key back', async () => {
    const { srf, frontEnd } = world('require');
    const dialing = frontEnd.dial(request);
    const invite = must(srf.invites[0]);
    invite.answered(sdp('RTP/SAVP', [cryptoLine(1, CM80, said(invite.sdp).crypto[0]?.key ?? '')]));
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
  });

  it('tries nothing else where the target is busy', async () => {
    const { srf, frontEnd } = world('prefer');
    const dialing = frontEnd.dial(request);
    must(srf.invites[0]).refused(486);
    await expect(dialing).rejects.toMatchObject({ detail: { status: 486 } });
    expect(srf.invites).toHaveLength(1);
  });
});

describe('a profile', () => {
  it('names what srtp may be', () => {
    const checked = checkProfiles([{ file: 'test.yaml', text: profileText({ srtp: 'maybe' }) }], null);
    expect(checked).toMatchObject({
      ok: false,
      faults: [{ key: 'media.srtp', expected: 'expected one of require, prefer, off' }],
    });
  });
});
