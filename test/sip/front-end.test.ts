import { describe, expect, it } from 'vitest';
import type { IncomingCall, LegEnd, LegListener, NegotiatedMedia, SipLeg } from '../../src/app/ports.ts';
import { ServiceError } from '../../src/lib/errors.ts';
import { type Log, silentLog } from '../../src/lib/log.ts';
import { Sensitive } from '../../src/lib/sensitive.ts';
import { createSipFrontEnd } from '../../src/sip/front-end.ts';
import { checkProfiles } from '../../src/sip/profiles.ts';
import { sign } from '../../src/sip/signature.ts';
import { turns, VirtualClock } from '../harness/clock.ts';
import { answer, type FakeDialog, FakeSrf } from './fake-srf.ts';
import { profileText } from './profile-text.ts';

const NOW = 1_795_420_800_000;
const LOCAL = { address: '127.0.0.1', port: 20_000 };
const SECRET = new Sensitive('sip secret', 'correct horse');

function sdp(port = 4000, more = '', version = 1): string {
  return `v=0\r\no=- 1 ${version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n${more}`;
}

function listener(answers: Partial<LegListener> = {}) {
  const seen: { ends: LegEnd[]; media: NegotiatedMedia[]; targets: unknown[] } = { ends: [], media: [], targets: [] };
  const listening: LegListener = {
    ended: (end) => void seen.ends.push(end),
    mediaChanged: async (media) => {
      seen.media.push(media);
      return LOCAL;
    },
    transferRequested: async (request) => {
      seen.targets.push(request);
      return 'accept';
    },
    ...answers,
  };
  return { seen, listening };
}

function world(profile: Parameters<typeof profileText>[0] = {}) {
  const checked = checkProfiles([{ file: 'test.yaml', text: profileText(profile) }], null);
  if (!checked.ok) throw new Error(JSON.stringify(checked.faults));
  const srf = new FakeSrf();
  const clock = new VirtualClock(NOW, turns);
  const lines: string[] = [];
  const write = (message: string, fields: object = {}) => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log: Log = { ...silentLog, info: write, warn: write, error: write, child: () => log };
  const frontEnd = createSipFrontEnd({
    server: { host: '127.0.0.1', port: 1, secret: new Sensitive('admin secret', 's') },
    profiles: checked.profiles,
    secrets: new Map([['carrier', SECRET]]),
    clock,
    log,
    srf: srf.asSrf(),
  });
  const calls: IncomingCall[] = [];
  const state = { arrived: async (call: IncomingCall): Promise<void> => void calls.push(call) };
  void frontEnd.start({ callArrived: (call) => state.arrived(call) });
  return { srf, clock, lines, frontEnd, calls, state };
}

/** A call that was answered, with its listener. */
async function established(profile: Parameters<typeof profileText>[0] = {}, answers: Partial<LegListener> = {}) {
  const base = world(profile);
  base.srf.receive('INVITE', { body: sdp() });
  const leg = await must(base.calls[0]).accept(LOCAL);
  const { seen, listening } = listener(answers);
  leg.listen(listening);
  return { ...base, leg, seen, dialog: must(base.srf.dialogs[0]) };
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing there');
  return value;
}

describe('a call that arrives', () => {
  it('reaches the application with caller, context and media, and is answered', async () => {
    const { srf, calls, frontEnd } = world();
    const { res } = srf.receive('INVITE', {
      uri: 'sip:pay@127.0.0.1;amount=4210;currency=USD',
      headers: { 'P-Asserted-Identity': '<sip:+15550199@carrier>', 'X-Hushtone-Customer': 'C-1' },
      body: sdp(),
    });
    const call = must(calls[0]);
    expect(call).toMatchObject({
      profile: 'test',
      from: '+15550199',
      to: 'pay',
      context: { amountMinor: 4210, currency: 'USD', customer: 'C-1' },
      media: { remotePort: 4000, codec: 'PCMU', receiveEventPayloadType: 101 },
    });
    await call.ring();
    await call.accept(LOCAL);
    expect(res.sent.map((one) => one.status)).toEqual([180, 200]);
    expect(res.last?.body).toContain('m=audio 20000 RTP/AVP 0 101');
    expect(res.last?.headers['X-Hushtone-Call']).toBe(call.callId);
    expect(frontEnd.dialogs).toBe(1);
  });

  it.each([
    ['from an address that no profile admits', { body: sdp(), from: '198.51.100.1' }, 403, 'callsRefusedByAddress'],
    ['without a codec in common', { body: sdp().replace('0 8 101', '18') }, 488, 'callsRefusedByMedia'],
    ['with secure media only', { body: sdp().replace('RTP/AVP', 'RTP/SAVP') }, 488, 'callsRefusedByMedia'],
    ['with a broken description', { body: 'v=0\r\nm=audio x' }, 400, 'callsRefusedByMedia'],
    ['with another body', { body: 'x', headers: { 'Content-Type': 'text/plain' } }, 415, 'callsRefusedByMedia'],
    ['without Contact', { body: sdp(), headers: { Contact: '' } }, 400, 'callsRefusedMalformed'],
    ['with a demand we do not know', { body: sdp(), headers: { Require: 'replaces' } }, 420, 'callsRefusedMalformed'],
    ['with an amount that is none', { body: sdp(), uri: 'sip:pay@h;amount=x' }, 400, 'callsRefusedByContext'],
  ] as const)('is refused and counted %s', (_name, parts, status, counter) => {
    const { srf, calls, frontEnd } = world();
    const { res } = srf.receive('INVITE', parts);
    expect(res.last?.status).toBe(status);
    expect(calls).toHaveLength(0);
    expect(frontEnd.counters()).toEqual({ [counter]: 1 });
    expect(frontEnd.dialogs).toBe(0);
  });

  it('is told why its offer cannot be taken', () => {
    const { res } = world().srf.receive('INVITE', { body: sdp().replace('RTP/AVP', 'RTP/SAVP') });
    expect(res.last?.headers.Warning).toBe('305 hushtone "secure media only"');
  });

  it('gets 503 past the limit of its profile, and is welcome again when one has ended', async () => {
    const { srf, calls } = world({ callsMax: 1 });
    srf.receive('INVITE', { body: sdp() });
    expect(srf.receive('INVITE', { body: sdp() }).res.last?.status).toBe(503);
    await must(calls[0]).reject('FLOW_UNKNOWN');
    srf.receive('INVITE', { body: sdp() });
    expect(calls).toHaveLength(2);
  });

  it('gets 503 with Retry-After while the server drains', () => {
    const { srf, frontEnd } = world();
    frontEnd.drain();
    const { res } = srf.receive('INVITE', { body: sdp() });
    expect(res.last).toMatchObject({ status: 503, headers: { 'Retry-After': '10' } });
  });

  it('can be rejected by the application, with the status of the code', async () => {
    const { srf, calls } = world();
    const { res } = srf.receive('INVITE', { body: sdp() });
    await must(calls[0]).reject('FLOW_UNKNOWN');
    await must(calls[0]).reject('INTERNAL');
    expect(res.sent.map((one) => one.status)).toEqual([404]);
    await expect(must(calls[0]).accept(LOCAL)).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  });

  it('is rejected where the application throws', async () => {
    const { srf, state } = world();
    state.arrived = async () => {
      throw new ServiceError('RTP_PORTS_EXHAUSTED', 'no port is free');
    };
    const { res } = srf.receive('INVITE', { body: sdp() });
    await turns();
    expect(res.last?.status).toBe(503);
  });

  it('is given back where nobody answers it in 30 s', async () => {
    const { srf, clock, frontEnd } = world();
    const { res } = srf.receive('INVITE', { body: sdp() });
    await clock.advance(30_000);
    expect(res.last?.status).toBe(503);
    expect(frontEnd.dialogs).toBe(0);
  });

  it('may be cancelled before the answer', async () => {
    const { srf, calls, frontEnd, clock } = world();
    const { req } = srf.receive('INVITE', { body: sdp() });
    let cancelled = 0;
    must(calls[0]).onCancelled(() => {
      cancelled += 1;
    });
    req.emit('cancel');
    expect([cancelled, frontEnd.dialogs, clock.pending]).toEqual([1, 0, 0]);
    await expect(must(calls[0]).accept(LOCAL)).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  });

  it('is ended by BYE where its CANCEL crossed our 200', async () => {
    const { srf, calls, frontEnd } = world();
    srf.holdEcho = true;
    const { req } = srf.receive('INVITE', { body: sdp() });
    const accepting = must(calls[0]).accept(LOCAL);
    req.emit('cancel');
    await expect(accepting).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
    srf.releaseEcho();
    expect(must(srf.dialogs[0]).byes).toHaveLength(1);
    expect(frontEnd.dialogs).toBe(0);
  });

  it('demands a signature where the profile does, and takes it once', () => {
    const { srf, calls, frontEnd } = world({ demandOn: ['context'] });
    const pairs = new Map([
      ['amount', '4210'],
      ['currency', 'USD'],
    ]);
    const headers = {
      'X-Hushtone-Amount': '4210',
      'X-Hushtone-Currency': 'USD',
      'X-Hushtone-Signature': sign(pairs, SECRET, NOW),
    };
    const unsigned = srf.receive('INVITE', { body: sdp(), uri: 'sip:pay@h;amount=1' });
    expect(unsigned.res.last).toMatchObject({
      status: 403,
      headers: { Warning: '399 hushtone "signature of uri is missing"' },
    });
    srf.receive('INVITE', { body: sdp(), headers });
    expect(calls).toHaveLength(1);
    const replayed = srf.receive('INVITE', { body: sdp(), headers: { ...headers, 'Call-ID': 'call-2' } });
    expect(replayed.res.last).toMatchObject({
      status: 403,
      headers: { Warning: '399 hushtone "signature of header is used before"' },
    });
    expect(frontEnd.counters()).toMatchObject({ callsAdmitted: 1, callsRefusedBySignature: 2 });
  });
});

describe('an INVITE without an offer', () => {
  it('gets ours, and the answer in the ACK is the first change of media', async () => {
    const { srf, calls } = world();
    const { res } = srf.receive('INVITE', { body: '' });
    const call = must(calls[0]);
    expect(call.media).toMatchObject({ direction: 'inactive', remoteAddress: '0.0.0.0' });
    const accepting = call.accept(LOCAL);
    await turns();
    expect(res.last?.body).toContain('m=audio 20000 RTP/AVP 0 8 101');
    must(srf.dialogs[0]).peer('ACK', { body: sdp(4100) });
    const { seen, listening } = listener();
    (await accepting).listen(listening);
    await turns();
    expect(seen.media).toMatchObject([{ remotePort: 4100, direction: 'sendrecv' }]);
  });

  it('is ended where the ACK brings no answer', async () => {
    const { srf, calls, frontEnd } = world();
    srf.receive('INVITE', { body: '' });
    const accepting = must(calls[0]).accept(LOCAL);
    await turns();
    must(srf.dialogs[0]).peer('ACK');
    await expect(accepting).rejects.toMatchObject({ code: 'SDP_INVALID' });
    expect(must(srf.dialogs[0]).byes).toHaveLength(1);
    expect(frontEnd.dialogs).toBe(0);
  });

  it('is ended where no ACK comes', async () => {
    const { srf, calls, clock } = world();
    srf.receive('INVITE', { body: '' });
    const accepting = must(calls[0]).accept(LOCAL);
    const failed = expect(accepting).rejects.toMatchObject({ code: 'SDP_INVALID' });
    await clock.advance(32_000);
    await failed;
  });
});

describe('other requests', () => {
  it('answers OPTIONS for those it would talk to', () => {
    const { srf, frontEnd } = world();
    expect(srf.receive('OPTIONS').res.last).toMatchObject({ status: 200, headers: { Accept: 'application/sdp' } });
    expect(srf.receive('OPTIONS', { from: '198.51.100.1' }).res.last?.status).toBe(403);
    frontEnd.drain();
    expect(srf.receive('OPTIONS').res.last?.status).toBe(503);
  });

  it('refuses what it does not do, and names what it does', () => {
    const { srf } = world();
    for (const method of ['REGISTER', 'SUBSCRIBE', 'MESSAGE', 'REFER', 'PUBLISH']) {
      const { res } = srf.receive(method);
      expect([method, res.last?.status, res.last?.headers.Allow]).toEqual([
        method,
        405,
        expect.stringContaining('INVITE'),
      ]);
    }
    expect(srf.receive('BYE', { headers: { To: '<sip:x@y>;tag=old' } }).res.last?.status).toBe(481);
    expect(srf.receive('ACK').res.sent).toEqual([]);
  });
});

describe('a call that says its customer is identified', () => {
  const said = (headers: Record<string, string>) => {
    const { srf, calls, frontEnd, lines } = world({ demandOn: ['identified'] });
    srf.receive('INVITE', { body: sdp(), headers: { 'X-Hushtone-Customer': 'C-1', ...headers } });
    return { context: must(calls[0]).context, count: frontEnd.counters().identifiedNotBelieved ?? 0, lines };
  };
  const pairs = new Map([
    ['customer', 'C-1'],
    ['identified', 'yes'],
  ]);

  it('is believed where the profile wants that signed and it is', () => {
    const headers = { 'X-Hushtone-Identified': 'yes', 'X-Hushtone-Signature': sign(pairs, SECRET, NOW) };
    expect(said(headers)).toMatchObject({ context: { customer: 'C-1', identified: true }, count: 0 });
  });

  it.each([
    ['unsigned', {}],
    ['badly signed', { 'X-Hushtone-Signature': `t=1795420800,v1=${'0'.repeat(64)}` }],
  ])('is admitted as one that says nothing of it, counted and logged, where that is %s', (_name, more) => {
    const { context, count, lines } = said({ 'X-Hushtone-Identified': 'yes', ...more });
    expect([context, count]).toEqual([{ customer: 'C-1' }, 1]);
    expect(lines.filter((line) => line.includes('does not count'))).toHaveLength(1);
  });
});

describe('a leg', () => {
  it('tells its end once, with the headers and the word of the BYE, also to who listens late', async () => {
    const { srf, calls, frontEnd } = world();
    srf.receive('INVITE', { body: sdp() });
    const leg = await must(calls[0]).accept(LOCAL);
    must(srf.dialogs[0]).peer('BYE', { headers: { 'X-Hushtone-Identified': 'yes', 'X-Other': 'x' } });
    must(srf.dialogs[0]).peer('BYE');
    const { seen, listening } = listener();
    leg.listen(listening);
    await turns();
    expect(seen.ends).toEqual([{ kind: 'bye', headers: { 'X-Hushtone-Identified': 'yes' }, identified: true }]);
    expect(frontEnd.dialogs).toBe(0);
    await leg.hangUp();
    expect(must(srf.dialogs[0]).byes).toEqual([]);
  });

  it('does not believe an unsigned word where the profile wants it signed', async () => {
    const { dialog, seen, frontEnd } = await established({ demandOn: ['identified'] });
    dialog.peer('BYE', { headers: { 'X-Hushtone-Identified': 'yes' } });
    await turns();
    expect(seen.ends).toMatchObject([{ identified: null }]);
    expect(frontEnd.counters().identifiedNotBelieved).toBe(1);
  });

  it('hangs up with the result, signed where the profile says so', async () => {
    const { leg, dialog, seen } = await established({ signResult: true });
    await leg.hangUp({ result: 'approved', amountMinor: 4210, currency: 'USD' });
    expect(dialog.byes[0]).toMatchObject({
      'X-Hushtone-Result': 'approved',
      'X-Hushtone-Amount': '4210',
      'X-Hushtone-Signature': sign(
        new Map([
          ['result', 'approved'],
          ['amount', '4210'],
          ['currency', 'USD'],
        ]),
        SECRET,
        NOW,
      ),
    });
    expect(seen.ends).toEqual([]);
  });

  it('counts as ended 4 s after a BYE that nobody answers', async () => {
    const { leg, dialog, clock, frontEnd } = await established();
    dialog.autoBye = false;
    let ended = false;
    void leg.hangUp().then(() => {
      ended = true;
    });
    await turns();
    await clock.advance(3_999);
    expect([ended, frontEnd.dialogs]).toEqual([false, 0]);
    await clock.advance(1);
    expect(ended).toBe(true);
  });

  it('is lost with the connection to the SIP server', async () => {
    const { srf, seen, frontEnd } = await established();
    srf.emit('close');
    await turns();
    expect(seen.ends).toEqual([{ kind: 'lost' }]);
    expect([frontEnd.connected, frontEnd.dialogs]).toEqual([false, 0]);
  });

  it('ends by timeout where the server gave up on the ACK', async () => {
    const { dialog, seen } = await established();
    dialog.peer('BYE', { source: 'application', headers: { Reason: 'ACK timeout' } });
    await turns();
    expect(seen.ends).toEqual([{ kind: 'timeout' }]);
  });

  it('takes no digits from INFO and logs none', async () => {
    const { dialog, lines } = await established();
    expect(
      dialog.peer('INFO', { body: 'Signal=7\r\nDuration=160', headers: { 'Content-Type': 'application/dtmf-relay' } })
        .last?.status,
    ).toBe(415);
    expect(dialog.peer('INFO').last?.status).toBe(200);
    expect(lines.join('\n')).not.toContain('Signal');
  });

  it('leaves no timer behind', async () => {
    const { leg, clock } = await established();
    await leg.hangUp();
    expect(clock.pending).toBe(0);
  });
});

describe('changing media', () => {
  it('tells the application of hold, resume and a moved peer, and counts the version up with each', async () => {
    const { dialog, seen } = await established();
    const hold = dialog.peer('INVITE', { body: sdp(4000, 'a=sendonly\r\n', 2) });
    await turns();
    expect(hold.last?.body).toContain('a=recvonly');
    expect(hold.last?.body).toMatch(/^o=- \d+ 2 /m);
    const resume = dialog.peer('INVITE', { body: sdp(4002, '', 3) });
    await turns();
    expect(resume.last?.body).toMatch(/^o=- \d+ 3 /m);
    expect(seen.media.map((media) => [media.direction, media.remotePort])).toEqual([
      ['recvonly', 4000],
      ['sendrecv', 4002],
    ]);
  });

  it('answers a refresh without asking, with the description as it was', async () => {
    const { dialog, seen } = await established();
    const before = dialog.local.sdp;
    const refresh = dialog.peer('UPDATE', { body: sdp() });
    await turns();
    expect([refresh.last?.status, refresh.last?.body]).toEqual([200, before]);
    expect(seen.media).toEqual([]);
    expect(dialog.peer('UPDATE').last?.status).toBe(200);
  });

  it('refuses what it cannot take and stays as it was', async () => {
    const { dialog, seen } = await established();
    const refused = dialog.peer('INVITE', { body: sdp().replace('0 8 101', '18') });
    await turns();
    expect(refused.last?.status).toBe(488);
    expect(seen.media).toEqual([]);
  });

  it('answers a second offer with 500 while the first is being settled, and gives up on the application after 5 s', async () => {
    const { dialog, clock } = await established({}, { mediaChanged: () => new Promise(() => {}) });
    const first = dialog.peer('INVITE', { body: sdp(4002) });
    await turns();
    expect(dialog.peer('INVITE', { body: sdp(4004) }).last).toMatchObject({
      status: 500,
      headers: { 'Retry-After': '2' },
    });
    await clock.advance(5_000);
    expect(first.last?.status).toBe(500);
    expect(dialog.peer('INVITE', { body: sdp() }).sent).toBeDefined();
  });

  it.each([
    ['SDP_NO_COMMON_CODEC', 488],
    ['WORKER_UNAVAILABLE', 500],
  ] as const)('refuses an offer that the application fails with %s by %i, and goes back', async (code, status) => {
    const asked: number[] = [];
    const mediaChanged: LegListener['mediaChanged'] = async (media) => {
      asked.push(media.remotePort);
      if (media.remotePort === 4002) throw new ServiceError(code, 'no');
      return LOCAL;
    };
    const { dialog, leg, seen } = await established({}, { mediaChanged });
    const refused = dialog.peer('INVITE', { body: sdp(4002) });
    await turns();
    expect(refused.last?.status).toBe(status);
    expect(asked).toEqual([4002, 4000]);
    expect(seen.ends).toEqual([]);
    expect(leg.legId).toMatch(/^le_/);
  });

  it('ends the call where the media of a late answer are not taken', async () => {
    const { srf, calls } = world();
    srf.receive('INVITE', { body: '' });
    const accepting = must(calls[0]).accept(LOCAL);
    await turns();
    const dialog = must(srf.dialogs[0]);
    dialog.peer('ACK', { body: sdp(4006) });
    const leg = await accepting;
    const { seen, listening } = listener({ mediaChanged: () => Promise.reject(new ServiceError('INTERNAL', 'no')) });
    leg.listen(listening);
    await turns();
    expect(seen.ends).toEqual([{ kind: 'lost' }]);
    expect(dialog.byes).toHaveLength(1);
  });

  it('offers its own side in answer to a re-INVITE without an offer', async () => {
    const { dialog, seen } = await established();
    const asked = dialog.peer('INVITE', { body: '' });
    await turns();
    expect(asked.last?.body).toContain('m=audio 20000 RTP/AVP 0 8 101');
    dialog.peer('ACK', { body: sdp(4006) });
    await turns();
    expect(seen.media).toMatchObject([{ remotePort: 4006 }]);
  });

  it('meets glare: 491 for the peer’s offer, and ours again after a wait', async () => {
    const { leg, dialog, clock } = await established();
    const moving = (leg as SipLeg & { reoffer(local: typeof LOCAL): Promise<string> }).reoffer({
      ...LOCAL,
      port: 20_002,
    });
    await turns();
    expect(dialog.peer('INVITE', { body: sdp(4002) }).last?.status).toBe(491);
    must(dialog.requests[0]).answer(answer(491));
    await turns();
    await clock.advance(2_010);
    const again = must(dialog.requests[1]);
    expect(again.body).toContain('m=audio 20002 ');
    again.answer(answer(200, { body: sdp() }));
    expect(await moving).toBe('moved');
  });
});

describe('a REFER of ours', () => {
  const result = { result: 'approved', amountMinor: 4210, currency: 'USD' } as const;

  async function referred(profile: Parameters<typeof profileText>[0] = {}) {
    const base = await established(profile);
    const outcome = base.leg.refer('sip:ivr@127.0.0.1:5070', result);
    await turns();
    return { ...base, outcome, own: base.dialog.requests[0] };
  }

  const notify = (dialog: FakeDialog, body: string, state = 'active;expires=60') =>
    dialog.peer('NOTIFY', { headers: { Event: 'refer', 'Subscription-State': state }, body }).last?.status;

  it('carries the result to whoever gets the call, and is completed by the NOTIFYs', async () => {
    const { outcome, own, dialog } = await referred();
    expect(must(own).headers['Refer-To']).toMatch(
      /^<sip:ivr@127\.0\.0\.1:5070\?User-to-User=[0-9a-f]+%3Bencoding%3Dhex>$/,
    );
    expect(must(own).headers['X-Hushtone-Result']).toBe('approved');
    must(own).answer(answer(202));
    expect(notify(dialog, 'SIP/2.0 100 Trying\r\n')).toBe(200);
    expect(notify(dialog, 'SIP/2.0 200 OK\r\n', 'terminated;reason=noresource')).toBe(200);
    expect(await outcome).toBe('completed');
    expect(notify(dialog, 'SIP/2.0 200 OK\r\n')).toBe(481);
  });

  it('fails where the peer refuses it or its call fails', async () => {
    const refused = await referred();
    must(refused.own).answer(answer(405));
    expect(await refused.outcome).toBe('failed');
    const failed = await referred();
    must(failed.own).answer(answer(202));
    notify(failed.dialog, 'SIP/2.0 486 Busy Here\r\n', 'terminated');
    expect(await failed.outcome).toBe('failed');
    expect(failed.frontEnd.counters().transfersOutFailed).toBe(1);
  });

  it('counts as accepted where the peer takes it and says no more, or hangs up', async () => {
    const silent = await referred({ waitMs: 5000 });
    must(silent.own).answer(answer(202));
    await silent.clock.advance(5000);
    expect(await silent.outcome).toBe('accepted');
    const gone = await referred();
    must(gone.own).answer(answer(202));
    gone.dialog.peer('BYE');
    expect(await gone.outcome).toBe('accepted');
  });

  it('fails where no answer comes at all', async () => {
    const { outcome, clock } = await referred();
    await clock.advance(33_000);
    expect(await outcome).toBe('failed');
    expect(clock.pending).toBe(0);
  });

  it('is not sent where the profile forbids it', async () => {
    const { outcome, own } = await referred({ refer: false });
    expect(own).toBeUndefined();
    expect(await outcome).toBe('failed');
  });
});

describe('a REFER of the peer', () => {
  const refer = (dialog: FakeDialog, to: string, headers: Record<string, string> = {}) =>
    dialog.peer('REFER', { headers: { 'Refer-To': `<${to}>`, ...headers } });

  it('reaches the application with target and word, and gets its NOTIFYs', async () => {
    const { dialog, seen, leg } = await established();
    const res = refer(dialog, 'sip:back@127.0.0.1', { 'X-Hushtone-Identified': 'yes' });
    await turns();
    expect(res.last?.status).toBe(202);
    expect(seen.targets).toEqual([{ target: 'sip:back@127.0.0.1', identified: true }]);
    expect(dialog.requests[0]).toMatchObject({ method: 'NOTIFY', body: 'SIP/2.0 100 Trying\r\n' });
    must(dialog.requests[0]).answer(answer(200));
    const ending = leg.hangUp();
    await turns();
    expect(dialog.requests[1]).toMatchObject({ body: 'SIP/2.0 200 OK\r\n' });
    must(dialog.requests[1]).answer(answer(200));
    await ending;
    expect(dialog.byes).toHaveLength(1);
  });

  it.each([
    ['a host the profile does not list', 'sip:+4412345@203.0.113.1', {}, 403],
    ['something else than a SIP URI', 'tel:+4412345', {}, 400],
    ['a call it wants to replace', 'sip:a@127.0.0.1?Replaces=x', {}, 501],
  ])('is refused and counted for %s', async (_name, to, headers, status) => {
    const { dialog, seen, frontEnd } = await established();
    const res = refer(dialog, to, headers);
    await turns();
    expect(res.last?.status).toBe(status);
    expect(seen.targets).toEqual([]);
    expect(frontEnd.counters().transfersInRefused).toBe(1);
  });

  it('is declined where the application says no or nothing', async () => {
    const no = await established({}, { transferRequested: async () => 'refuse' });
    const refused = refer(no.dialog, 'sip:a@127.0.0.1');
    await turns();
    expect(refused.last?.status).toBe(603);
    const silent = await established({}, { transferRequested: () => new Promise(() => {}) });
    const late = refer(silent.dialog, 'sip:a@127.0.0.1');
    await silent.clock.advance(5000);
    expect(late.last?.status).toBe(603);
  });

  it('gets no NOTIFY where it wants none', async () => {
    const { dialog } = await established();
    const res = refer(dialog, 'sip:a@127.0.0.1', { 'Refer-Sub': 'false' });
    await turns();
    expect(res.last).toMatchObject({ status: 202, headers: { 'Refer-Sub': 'false' } });
    expect(dialog.requests).toEqual([]);
  });
});

describe('a call of ours', () => {
  const request = {
    callId: 'ca_1',
    legId: 'le_2',
    target: 'sip:queue@127.0.0.1:5070',
    from: '+15550100',
    local: LOCAL,
    context: { customer: 'C-1' },
    result: { result: 'declined', declines: 3 },
    timeoutMs: 20_000,
  } as const;

  it('carries context and result, and stands with the media of the answer', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    const invite = must(srf.invites[0]);
    expect(invite.headers).toMatchObject({
      from: '<sip:+15550100@localhost>',
      'X-Hushtone-Call': 'ca_1',
      'X-Hushtone-Customer': 'C-1',
      'X-Hushtone-Result': 'declined',
      'X-Hushtone-Declines': '3',
    });
    invite.echo();
    invite.answered(sdp(5000));
    const { leg, media } = await dialing;
    expect([leg.legId, media.remotePort]).toEqual(['le_2', 5000]);
    expect(frontEnd.dialogs).toBe(1);
    await leg.hangUp();
    expect(frontEnd.dialogs).toBe(0);
  });

  it('asks for a session timer, and once more for a longer one where the target wants that', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    expect(must(srf.invites[0]).headers).toMatchObject({ Supported: 'timer', 'Session-Expires': '1800' });
    must(srf.invites[0]).refused(422, { 'Min-SE': '3600' });
    await turns();
    expect(must(srf.invites[1]).headers).toMatchObject({ 'Session-Expires': '3600' });
    must(srf.invites[1]).refused(422, { 'Min-SE': '3600' });
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 422 } });
    expect(srf.invites).toHaveLength(2);
  });

  it('fails with the status of the target', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    must(srf.invites[0]).refused(486);
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 486 } });
    expect(frontEnd.dialogs).toBe(0);
  });

  it('is cancelled when nobody wants the answer any more', async () => {
    const { srf, frontEnd, clock } = world();
    const caller = new AbortController();
    const dialing = frontEnd.dial({ ...request, unwanted: caller.signal });
    const failed = expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 408 } });
    const invite = must(srf.invites[0]);
    invite.echo();
    caller.abort();
    expect(invite.req.cancelled).toBe(1);
    invite.refused(487);
    await failed;
    expect([frontEnd.dialogs, clock.pending]).toEqual([0, 0]);
  });

  it('is cancelled when its time is over, and ended where the 200 comes all the same', async () => {
    const { srf, frontEnd, clock } = world();
    const dialing = frontEnd.dial(request);
    const failed = expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 408 } });
    const invite = must(srf.invites[0]);
    invite.echo();
    await clock.advance(20_000);
    expect(invite.req.cancelled).toBe(1);
    const crossed = invite.answered(sdp(5000));
    await failed;
    expect(crossed.byes).toHaveLength(1);
    expect([frontEnd.dialogs, clock.pending]).toEqual([0, 0]);
  });

  it('ends its wait 5 s after a CANCEL that nobody answers', async () => {
    const { srf, frontEnd, clock } = world();
    const dialing = frontEnd.dial(request);
    const failed = expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
    must(srf.invites[0]).echo();
    await clock.advance(25_000);
    await failed;
  });

  it('follows a redirect to a host that may be called, three times at most, and no other', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    for (let step = 0; step < 4; step += 1) {
      await turns();
      must(srf.invites[step]).refused(302, { Contact: `<sip:next@127.0.0.1:${6000 + step}>` });
    }
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
    expect(srf.invites.map((invite) => invite.uri)).toEqual([
      'sip:queue@127.0.0.1:5070',
      'sip:next@127.0.0.1:6000',
      'sip:next@127.0.0.1:6001',
      'sip:next@127.0.0.1:6002',
    ]);
    const elsewhere = frontEnd.dial(request);
    must(srf.invites[4]).refused(302, { Contact: '<sip:+4412345@203.0.113.1>' });
    await expect(elsewhere).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
    expect(srf.invites).toHaveLength(5);
  });

  it('is ended where the answer has no media that we offered', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    const dialog = must(srf.invites[0]).answered(sdp(5000).replace('0 8 101', '18'));
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED', detail: { status: 488 } });
    expect(dialog.byes).toHaveLength(1);
  });

  it.each(['tel:+1', 'sip:a@b\r\nX: y', 'sip:a@b?Replaces=x', ''])('is not made to %j', async (target) => {
    const { srf, frontEnd } = world();
    await expect(frontEnd.dial({ ...request, target })).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
    expect(srf.invites).toEqual([]);
  });

  it('fails with the connection', async () => {
    const { srf, frontEnd } = world();
    const dialing = frontEnd.dial(request);
    srf.emit('close');
    await expect(dialing).rejects.toMatchObject({ code: 'TRANSFER_FAILED' });
    await expect(frontEnd.dial(request)).rejects.toMatchObject({ code: 'SIP_SERVER_UNAVAILABLE' });
  });

  it('calls nobody by a number that could end its line', async () => {
    const { srf, frontEnd } = world();
    frontEnd.dial({ ...request, from: '1>\r\nX: <' }).catch(() => {});
    expect(must(srf.invites[0]).headers.from).toBe('<sip:anonymous@localhost>');
  });
});

describe('the first connection to the SIP server', () => {
  it('is given up after a while, in a line that says why', async () => {
    const srf = new FakeSrf();
    srf.connect = () => void srf.emit('error', new Error('connect ECONNREFUSED'));
    const clock = new VirtualClock(NOW, turns);
    const server = { host: '127.0.0.1', port: 9, secret: new Sensitive('admin secret', 's') };
    const options = { server, profiles: [], secrets: new Map(), clock, log: silentLog, srf: srf.asSrf() };
    const starting = createSipFrontEnd(options).start({ callArrived: async () => {} });
    starting.catch(() => {});
    await clock.advance(15_000);
    await expect(starting).rejects.toMatchObject({
      code: 'SIP_SERVER_UNAVAILABLE',
      message: 'the SIP server at 127.0.0.1:9 did not take us within 15000 ms: connect ECONNREFUSED',
    });
  });
});
