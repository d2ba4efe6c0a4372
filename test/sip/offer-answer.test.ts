import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type Agreement,
  type MediaPolicy,
  sameMedia,
  settleAnswer,
  settleOffer,
  writeAnswer,
  writeOffer,
} from '../../src/sip/offer-answer.ts';
import { parseSdp, type SessionDescription } from '../../src/sip/sdp.ts';
import { cases } from '../harness/fuzz.ts';

const POLICY: MediaPolicy = { codecs: ['PCMU', 'PCMA'], ptimeMs: 20, dtmf: 'auto' };
const LOCAL = { address: '192.0.2.1', port: 20_000 };
const ORIGIN = { sessionId: '1', version: 1 };

function sdp(lines: string, head = 'c=IN IP4 192.0.2.10'): string {
  const body = lines.trim().split(/\s*\n\s*/);
  return ['v=0', 'o=- 7 1 IN IP4 192.0.2.10', 's=-', head, 't=0 0', ...body].join('\r\n');
}

function read(text: string): SessionDescription {
  const parsed = parseSdp(text);
  if (!parsed.ok) throw new Error(parsed.fault);
  return parsed.description;
}

const noKey = () => {
  throw new Error('a key was made where none is wanted');
};

function settle(lines: string, policy: Partial<MediaPolicy> = {}, head?: string): Agreement {
  return settleOffer(read(sdp(lines, head)), { ...POLICY, ...policy }, noKey);
}

function media(agreement: Agreement) {
  if (!agreement.ok) throw new Error(agreement.fault);
  return agreement.agreed.media;
}

function fault(agreement: Agreement): string {
  return agreement.ok ? 'none' : agreement.fault;
}

describe('answering an offer', () => {
  it('takes PCMU and the payload type that the offer gives to telephone-event', () => {
    const agreed = media(settle('m=audio 4000 RTP/AVP 8 0 96\na=rtpmap:96 telephone-event/8000\na=ptime:30'));
    expect(agreed).toEqual({
      remoteAddress: '192.0.2.10',
      remotePort: 4000,
      codec: 'PCMU',
      sendPayloadType: 0,
      receivePayloadType: 0,
      sendEventPayloadType: 96,
      receiveEventPayloadType: 96,
      ptimeMs: 30,
      direction: 'sendrecv',
      dtmf: 'auto',
    });
  });

  it("follows the profile's order of codecs, not the offer's", () => {
    expect(media(settle('m=audio 4000 RTP/AVP 0 8', { codecs: ['PCMA', 'PCMU'] })).codec).toBe('PCMA');
    expect(media(settle('m=audio 4000 RTP/AVP 0 8', { codecs: ['PCMA'] })).codec).toBe('PCMA');
  });

  it('takes G.711 under a dynamic payload type', () => {
    const agreed = media(settle('m=audio 4000 RTP/AVP 97\na=rtpmap:97 pcma/8000'));
    expect([agreed.codec, agreed.sendPayloadType]).toEqual(['PCMA', 97]);
  });

  it('believes the rtpmap where it gives a static payload type to something else', () => {
    expect(fault(settle('m=audio 4000 RTP/AVP 0\na=rtpmap:0 opus/48000'))).toBe('no codec that the profile allows');
  });

  it.each([
    ['no codec in common', 'm=audio 4000 RTP/AVP 9 18', 'no codec that the profile allows'],
    ['secure media', 'm=audio 4000 RTP/SAVP 0', 'secure media only'],
    ['DTLS media', 'm=audio 4000 UDP/TLS/RTP/SAVPF 0', 'secure media only'],
    ['a fax', 'm=image 4000 udptl t38', 'no audio stream'],
    ['a disabled stream', 'm=audio 0 RTP/AVP 0', 'every audio stream is disabled'],
    ['feedback profile', 'm=audio 4000 RTP/AVPF 0', 'transport is not RTP/AVP'],
    ['a multicast address', 'm=audio 4000 RTP/AVP 0\nc=IN IP4 224.2.17.12/127', 'address is not a unicast IP address'],
    ['a host name', 'm=audio 4000 RTP/AVP 0\nc=IN IP4 host.example.com', 'address is not a unicast IP address'],
  ])('refuses %s and says why', (_name, lines, expected) => {
    expect(fault(settle(lines))).toBe(expected);
  });

  it('takes the plain stream beside a secure one, and refuses the others with port 0 in their places', () => {
    const settled = settle(`m=audio 4000 RTP/SAVP 0 8
      m=video 4002 RTP/AVP 96
      a=rtpmap:96 H264/90000
      m=audio 4004 RTP/AVP 8 101
      a=rtpmap:101 telephone-event/8000
      m=image 4006/2 udptl t38`);
    if (!settled.ok) throw new Error(settled.fault);
    const answer = writeAnswer(settled.agreed, LOCAL, ORIGIN);
    expect(answer.split('\r\n').filter((line) => line.startsWith('m='))).toEqual([
      'm=audio 0 RTP/SAVP 0 8',
      'm=video 0 RTP/AVP 96',
      'm=audio 20000 RTP/AVP 8 101',
      'm=image 0 udptl t38',
    ]);
    expect(answer).toContain('a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n');
  });

  it.each([
    ['a=sendonly', 'c=IN IP4 192.0.2.10', 'recvonly'],
    ['a=recvonly', 'c=IN IP4 192.0.2.10', 'sendonly'],
    ['a=inactive', 'c=IN IP4 192.0.2.10', 'inactive'],
    ['a=sendrecv', 'c=IN IP4 192.0.2.10', 'sendrecv'],
    ['a=sendrecv', 'c=IN IP4 0.0.0.0', 'recvonly'],
    ['a=sendonly', 'c=IN IP4 0.0.0.0', 'recvonly'],
    ['a=recvonly', 'c=IN IP4 0.0.0.0', 'inactive'],
    ['a=sendrecv', 'c=IN IP6 ::', 'recvonly'],
  ])('answers %s with %s by %s of ours', (attribute, head, direction) => {
    expect(media(settle(`m=audio 4000 RTP/AVP 0\n${attribute}`, {}, head)).direction).toBe(direction);
  });

  it('reads a direction that stands before the first m-line as everybody’s', () => {
    expect(media(settle('a=sendonly\nm=audio 4000 RTP/AVP 0')).direction).toBe('recvonly');
    expect(media(settle('a=sendonly\nm=audio 4000 RTP/AVP 0\na=sendrecv')).direction).toBe('sendrecv');
  });

  it.each([
    ['a=ptime:20', 20],
    ['a=ptime:5', 10],
    ['a=ptime:25', 20],
    ['a=ptime:60', 60],
    ['a=ptime:200', 60],
    ['a=ptime:40\na=maxptime:30', 30],
    ['a=maxptime:10', 10],
    ['a=ptime:0', 20],
    ['a=ptime:x', 20],
  ])('sends %s as %i ms', (attribute, expected) => {
    expect(media(settle(`m=audio 4000 RTP/AVP 0\n${attribute}`)).ptimeMs).toBe(expected);
  });

  it.each([16_000, 48_000])('hears events on a clock of %i beside audio of 8000 but sends none', (clockRate) => {
    const settled = settle(`m=audio 4000 RTP/AVP 0 110\na=rtpmap:110 telephone-event/${clockRate}`);
    const agreed = media(settled);
    expect([agreed.sendEventPayloadType, agreed.receiveEventPayloadType]).toEqual([null, 110]);
    if (settled.ok) {
      expect(writeAnswer(settled.agreed, LOCAL, ORIGIN)).toContain(`a=rtpmap:110 telephone-event/${clockRate}`);
    }
  });

  it('prefers the event clock of the audio where both are offered', () => {
    const agreed = media(
      settle('m=audio 4000 RTP/AVP 0 96 97\na=rtpmap:96 telephone-event/48000\na=rtpmap:97 telephone-event/8000'),
    );
    expect(agreed.sendEventPayloadType).toBe(97);
  });

  it('agrees on no event where the profile wants tones in the audio, and refuses where it wants events and none are offered', () => {
    const lines = 'm=audio 4000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000';
    expect(media(settle(lines, { dtmf: 'inband' })).receiveEventPayloadType).toBeNull();
    expect(fault(settle('m=audio 4000 RTP/AVP 0', { dtmf: 'event' }))).toBe(
      'no telephone-event, which the profile demands',
    );
  });

  it('answers over IPv6 with IPv6 lines', () => {
    const settled = settle('m=audio 4000 RTP/AVP 0', {}, 'c=IN IP6 2001:db8::1');
    if (!settled.ok) throw new Error(settled.fault);
    expect(settled.agreed.media.remoteAddress).toBe('2001:db8::1');
    expect(writeAnswer(settled.agreed, { address: '::1', port: 4 }, ORIGIN)).toContain('c=IN IP6 ::1\r\n');
  });
});

describe('wide codecs', () => {
  const WIDE: Partial<MediaPolicy> = { codecs: ['OPUS', 'G722', 'PCMU'] };
  const BROWSER = `m=audio 4000 RTP/AVP 111 63 9 0 13 110 126
    a=rtpmap:111 opus/48000/2
    a=fmtp:111 minptime=10;useinbandfec=1
    a=rtpmap:63 red/48000/2
    a=fmtp:63 111/111
    a=rtpmap:110 telephone-event/48000
    a=rtpmap:126 telephone-event/8000`;

  it.each([
    // The clock of the events is the RTP clock of the audio, which for G722 is 8000 (RFC 3551 §4.5.2).
    ['OPUS', ['OPUS'], 111, 110, 48_000],
    ['OPUS', ['OPUS', 'PCMU'], 111, 110, 48_000],
    ['G722', ['G722', 'OPUS'], 9, 126, undefined],
    ['PCMU', ['PCMU', 'OPUS'], 0, 126, undefined],
  ] as const)('takes %s by the policy %j with the events of its clock', (codec, codecs, type, event, clock) => {
    const agreed = media(settle(BROWSER, { codecs }));
    expect([agreed.codec, agreed.sendPayloadType, agreed.sendEventPayloadType, agreed.eventClockRate]).toEqual([
      codec,
      type,
      event,
      clock,
    ]);
    // A browser's `red` says audio again; that is another thing.
    expect(agreed.receiveRedPayloadType).toBeUndefined();
  });

  it('answers Opus as RFC 7587 wants it, with what we can play', () => {
    const settled = settle(BROWSER, WIDE);
    if (!settled.ok) throw new Error(settled.fault);
    const answer = writeAnswer(settled.agreed, LOCAL, ORIGIN);
    expect(answer).toContain('m=audio 20000 RTP/AVP 111 110\r\na=rtpmap:111 opus/48000/2\r\n');
    expect(answer).toContain('a=fmtp:111 maxplaybackrate=8000;sprop-maxcapturerate=8000;useinbandfec=1\r\n');
    expect(answer).toContain('a=rtpmap:110 telephone-event/48000\r\na=fmtp:110 0-15\r\n');
  });

  it.each([
    ['m=audio 4000 RTP/AVP 9', 'G722'],
    ['m=audio 4000 RTP/AVP 97\na=rtpmap:97 G722/8000', 'G722'],
    ['m=audio 4000 RTP/AVP 97\na=rtpmap:97 OPUS/48000/2', 'OPUS'],
    ['m=audio 4000 RTP/AVP 97 9 0\na=rtpmap:97 opus/16000', 'G722'],
    ['m=audio 4000 RTP/AVP 9 0\na=rtpmap:9 G722/16000', 'PCMU'],
  ])('finds in %j %s', (lines, codec) => {
    expect(media(settle(lines, WIDE)).codec).toBe(codec);
  });

  it.each([
    ['a=ptime:30', 20],
    ['a=ptime:50', 40],
    ['a=ptime:60', 60],
    ['a=ptime:10', 10],
  ])('sends Opus at %s as %i ms: it has no frames of 30 or 50', (attribute, expected) => {
    expect(media(settle(`m=audio 4000 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n${attribute}`, WIDE)).ptimeMs).toBe(
      expected,
    );
  });

  it('refuses where nothing fits', () => {
    expect(fault(settle('m=audio 4000 RTP/AVP 0 8', { codecs: ['OPUS', 'G722'] }))).toBe(
      'no codec that the profile allows',
    );
  });

  it('offers one telephone-event for each clock that its codecs use', () => {
    const offer = writeOffer({ ...POLICY, ...WIDE }, LOCAL, ORIGIN);
    expect(offer).toContain('m=audio 20000 RTP/AVP 96 9 0 101 102\r\n');
    expect(offer).toContain('a=rtpmap:101 telephone-event/8000\r\n');
    expect(offer).toContain('a=rtpmap:102 telephone-event/48000\r\n');
    expect(writeOffer({ ...POLICY, codecs: ['OPUS'] }, LOCAL, ORIGIN)).toContain('m=audio 20000 RTP/AVP 96 102\r\n');
  });

  it('hears and sends with the numbers of the codec that the answer chose', () => {
    const answer = read(
      sdp('m=audio 5000 RTP/AVP 107 99\na=rtpmap:107 opus/48000/2\na=rtpmap:99 telephone-event/48000'),
    );
    const agreed = media(settleAnswer(answer, { ...POLICY, ...WIDE }));
    expect(agreed).toMatchObject({ sendPayloadType: 107, receivePayloadType: 96, eventClockRate: 48_000 });
    expect([agreed.sendEventPayloadType, agreed.receiveEventPayloadType]).toEqual([99, 102]);
  });
});

describe('redundant events and comfort noise', () => {
  const OFFER = `m=audio 4000 RTP/AVP 0 13 97 101
    a=rtpmap:97 red/8000
    a=fmtp:97 101/101/101
    a=rtpmap:101 telephone-event/8000`;

  it('takes RED for events where it is offered and not refused', () => {
    const settled = settle(OFFER);
    expect(media(settled)).toMatchObject({ sendRedPayloadType: 97, receiveRedPayloadType: 97 });
    if (settled.ok) {
      expect(writeAnswer(settled.agreed, LOCAL, ORIGIN)).toContain('a=rtpmap:97 red/8000\r\na=fmtp:97 101/101/101\r\n');
    }
    expect(media(settle(OFFER, { redundantEvents: false })).receiveRedPayloadType).toBeUndefined();
    expect(media(settle(OFFER, { dtmf: 'inband' })).receiveRedPayloadType).toBeUndefined();
    expect(media(settle(OFFER.replace('101/101/101', '0/0'))).receiveRedPayloadType).toBeUndefined();
  });

  it('offers RED where the profile wants it, and reads the answer', () => {
    const policy = { ...POLICY, redundantEvents: true };
    expect(writeOffer(policy, LOCAL, ORIGIN)).toContain('m=audio 20000 RTP/AVP 0 8 101 97\r\n');
    expect(writeOffer(POLICY, LOCAL, ORIGIN)).not.toContain('red/');
    const answer = read(
      sdp(`m=audio 5000 RTP/AVP 0 100 98
        a=rtpmap:100 telephone-event/8000
        a=rtpmap:98 red/8000
        a=fmtp:98 100/100`),
    );
    expect(media(settleAnswer(answer, policy))).toMatchObject({ sendRedPayloadType: 98, receiveRedPayloadType: 97 });
  });

  it('announces silence only to a peer that takes it, where the profile wants it', () => {
    expect(media(settle(OFFER)).sendNoise).toBeUndefined();
    const settled = settle(OFFER, { comfortNoise: true });
    expect(media(settled).sendNoise).toBe(true);
    if (settled.ok) expect(writeAnswer(settled.agreed, LOCAL, ORIGIN)).toContain('RTP/AVP 0 13 101 97\r\n');
    expect(media(settle('m=audio 4000 RTP/AVP 0', { comfortNoise: true })).sendNoise).toBeUndefined();
    expect(writeOffer({ ...POLICY, comfortNoise: true }, LOCAL, ORIGIN)).toContain(
      'm=audio 20000 RTP/AVP 0 8 13 101\r\n',
    );
  });
});

describe('RTCP XR', () => {
  const XR = 'a=rtcp-xr:rcvr-rtt=all:10000 stat-summary=loss,dup,jitt,TTL voip-metrics';
  const answerTo = (agreement: Agreement) =>
    agreement.ok ? (/^a=rtcp-xr.*$/m.exec(writeAnswer(agreement.agreed, LOCAL, ORIGIN))?.[0] ?? null) : 'refused';

  it.each([
    ['a stream that asks', `m=audio 4000 RTP/AVP 0\n${XR}`, {}, [true, true], 'a=rtcp-xr:rcvr-rtt=all voip-metrics'],
    ['a session that asks', `${XR}\nm=audio 4000 RTP/AVP 0`, {}, [true, true], 'a=rtcp-xr:rcvr-rtt=all voip-metrics'],
    [
      'a stream that asks for less than its session',
      `${XR}\nm=audio 4000 RTP/AVP 0\na=rtcp-xr:voip-metrics`,
      {},
      [true, undefined],
      'a=rtcp-xr:voip-metrics',
    ],
    [
      'a stream that wants none though its session does',
      `${XR}\nm=audio 4000 RTP/AVP 0\na=rtcp-xr:`,
      {},
      [undefined, undefined],
      null,
    ],
    ['a peer that does not ask', 'm=audio 4000 RTP/AVP 0', {}, [undefined, undefined], null],
    [
      'a peer that asks for other blocks',
      'm=audio 4000 RTP/AVP 0\na=rtcp-xr:pkt-loss-rle=1200 rcvr-rtt=nobody',
      {},
      [undefined, undefined],
      null,
    ],
    ['a profile that refuses', `m=audio 4000 RTP/AVP 0\n${XR}`, { rtcpXr: false }, [undefined, undefined], null],
    [
      'a profile that asks',
      'm=audio 4000 RTP/AVP 0',
      { rtcpXr: true },
      [undefined, undefined],
      'a=rtcp-xr:voip-metrics',
    ],
  ] as const)('is sent and asked for by the description of %s', (_who, lines, policy, sends, answer) => {
    const settled = settle(lines, policy);
    const { sendVoipMetrics, sendReferenceTime } = media(settled);
    expect([sendVoipMetrics, sendReferenceTime]).toEqual(sends);
    expect(answerTo(settled)).toBe(answer);
  });

  it('is offered where the profile wants it, and sent where the answer asks for it', () => {
    const policy = { ...POLICY, rtcpXr: true };
    expect(writeOffer(policy, LOCAL, ORIGIN)).toContain('a=rtcp-xr:rcvr-rtt=all voip-metrics\r\n');
    expect(writeOffer(POLICY, LOCAL, ORIGIN)).not.toContain('rtcp-xr');
    const asks = read(sdp('m=audio 5000 RTP/AVP 0\na=rtcp-xr:voip-metrics'));
    expect(media(settleAnswer(asks, policy))).toMatchObject({ sendVoipMetrics: true });
    expect(media(settleAnswer(read(sdp('m=audio 5000 RTP/AVP 0')), policy)).sendVoipMetrics).toBeUndefined();
  });
});

describe('offering', () => {
  const offer = writeOffer(POLICY, LOCAL, { sessionId: '5', version: 2 });

  it('lists the codecs of the profile in its order', () => {
    expect(offer).toContain('m=audio 20000 RTP/AVP 0 8 101\r\n');
    expect(offer).toContain('o=- 5 2 IN IP4 192.0.2.1\r\n');
  });

  it('sends with the numbers of the answer and receives with its own', () => {
    const answer = read(sdp('m=audio 5000 RTP/AVP 8 96\na=rtpmap:96 telephone-event/8000'));
    const agreed = media(settleAnswer(answer, POLICY));
    expect(agreed.codec).toBe('PCMA');
    expect([agreed.sendEventPayloadType, agreed.receiveEventPayloadType]).toEqual([96, 101]);
    expect([agreed.sendPayloadType, agreed.receivePayloadType]).toEqual([8, 8]);
  });

  it('sends the format that the answer lists first', () => {
    expect(media(settleAnswer(read(sdp('m=audio 5000 RTP/AVP 8 0')), POLICY)).codec).toBe('PCMA');
  });

  it.each([
    ['m=audio 5000 RTP/AVP 9', 'answer chose a format that was not offered'],
    ['m=audio 0 RTP/AVP 0', 'every audio stream is disabled'],
    ['m=audio 5000 RTP/AVP 0\nm=video 5002 RTP/AVP 96', 'answer has another number of streams'],
  ])('does not take the answer %s', (lines, expected) => {
    expect(fault(settleAnswer(read(sdp(lines)), POLICY))).toBe(expected);
  });

  it('is understood by its own answerer, whatever the policy', () => {
    const policies = fc.record({
      codecs: fc.constantFrom<MediaPolicy['codecs']>(['PCMU'], ['PCMA'], ['PCMU', 'PCMA'], ['OPUS', 'G722', 'PCMA']),
      ptimeMs: fc.constantFrom(10, 20, 30, 40, 50, 60),
      dtmf: fc.constantFrom<MediaPolicy['dtmf']>('auto', 'event', 'inband'),
    });
    fc.assert(
      fc.property(policies, policies, (ours, theirs) => {
        const settled = settleOffer(read(writeOffer(ours, LOCAL, ORIGIN)), theirs, noKey);
        if (!settled.ok) {
          const common = ours.codecs.some((codec) => theirs.codecs.includes(codec));
          return !common || (theirs.dtmf === 'event' && ours.dtmf === 'inband');
        }
        const back = settleAnswer(read(writeAnswer(settled.agreed, LOCAL, ORIGIN)), ours);
        return back.ok
          ? back.agreed.media.codec === settled.agreed.media.codec &&
              back.agreed.media.ptimeMs === settled.agreed.media.ptimeMs
          : ours.dtmf === 'event' && theirs.dtmf === 'inband';
      }),
    );
  });
});

describe('reading a session description', () => {
  it.each([
    ['', 'empty'],
    ['hello', 'not SDP'],
    ['v=0\r\nm=audio RTP/AVP 0', 'bad m-line'],
    ['v=0\r\nm=audio 99999 RTP/AVP 0', 'bad m-line'],
    ['v=0\r\nm=audio 4000 RTP/AVP', 'bad m-line'],
    [`v=0\r\n${'m=audio 4000 RTP/AVP 0\r\n'.repeat(33)}`, 'too many m-lines'],
    [`v=0\r\nm=audio 4000 RTP/AVP${' 0'.repeat(129)}`, 'too many formats'],
    [`v=0\r\ns=${'x'.repeat(17_000)}`, 'too long'],
  ])('names the fault of %#', (text, expected) => {
    const parsed = parseSdp(text);
    expect(parsed.ok ? 'none' : parsed.fault).toBe(expected);
  });

  it('keeps the rtcp port and the origin, by which a refresh is told from a change', () => {
    const [first] = read(sdp('m=audio 4000 RTP/AVP 0\na=rtcp:4099 IN IP4 192.0.2.9')).media;
    expect(first?.rtcpPort).toBe(4099);
    expect(read(sdp('m=audio 4000 RTP/AVP 0')).originKey).toBe('7 1');
  });

  it('never throws, and never agrees to half a stream', () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom('v=0', 'm=audio 4000 RTP/AVP 0', 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:', 'c=IN IP4 ', 'a=ptime:-1'),
      fc.tuple(fc.constantFrom('m=', 'a=', 'c=', 'o='), fc.string()).map(([key, rest]) => key + rest),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), fc.constantFrom('\r\n', '\n'), (lines, end) => {
        checkSane(['v=0', ...lines].join(end));
      }),
      cases(500),
    );
  });
});

function checkSane(text: string): 'agreed' | 'refused' | 'unread' {
  const parsed = parseSdp(text);
  if (!parsed.ok) return 'unread';
  const settled = settleOffer(parsed.description, POLICY, noKey);
  if (!settled.ok) {
    expect(settled.fault.length).toBeGreaterThan(0);
    return 'refused';
  }
  const agreed = settled.agreed.media;
  expect(agreed.remotePort).toBeGreaterThan(0);
  expect(agreed.remotePort).toBeLessThan(65_536);
  expect(['PCMU', 'PCMA']).toContain(agreed.codec);
  for (const type of [agreed.sendPayloadType, agreed.receivePayloadType]) {
    expect(type >= 0 && type < 128).toBe(true);
  }
  expect(agreed.ptimeMs % 10 === 0 && agreed.ptimeMs >= 10 && agreed.ptimeMs <= 60).toBe(true);
  const answer = read(writeAnswer(settled.agreed, LOCAL, ORIGIN));
  expect(answer.media.length).toBe(parsed.description.media.length);
  expect(answer.media.filter((stream) => stream.port !== 0).length).toBe(1);
  expect(answer.media.map(({ kind, protocol }) => `${kind} ${protocol}`)).toEqual(
    parsed.description.media.map(({ kind, protocol }) => `${kind} ${protocol}`),
  );
  return 'agreed';
}

const CORPUS = join(import.meta.dirname, '../../../shared/data/sdp');

describe('session descriptions of other makers', () => {
  if (!existsSync(CORPUS)) {
    it.skip(`are not here (${CORPUS})`, () => {});
    return;
  }
  it('are each agreed to, refused or unread, and those that name G.711 on plain RTP are agreed to', () => {
    const counts = { agreed: 0, refused: 0, unread: 0 };
    for (const file of readdirSync(CORPUS).filter((name) => name.endsWith('.jsonl'))) {
      for (const row of readFileSync(join(CORPUS, file), 'utf8').split('\n').filter(Boolean)) {
        const item = JSON.parse(row) as { name: string; sdp: string | null; sdp_base64: string | null };
        const text = item.sdp ?? Buffer.from(item.sdp_base64 ?? '', 'base64').toString('latin1');
        const verdict = checkSane(text);
        counts[verdict] += 1;
        const plain = /^m=audio [1-9]\d{1,4} RTP\/AVP (?:.* )?[08](?: |\r|\n|$)/m.test(text);
        const remapped = /^a=rtpmap:[08] (?!PCM[UA]\/8000)/im.test(text);
        const usual = /^c=IN IP4 [1-9][\d.]*\s*$/m.test(text) && !/^c=IN IP4 (?:2[2-5]\d\.|[a-z])/im.test(text);
        if (plain && usual && !remapped && text.startsWith('v=0'))
          expect([item.name, verdict]).toEqual([item.name, 'agreed']);
      }
    }
    // Most are offers from phones and test suites; the others are secure, video or deliberately broken.
    expect(counts.agreed).toBeGreaterThan(counts.refused);
    expect(counts.agreed + counts.refused + counts.unread).toBeGreaterThan(900);
  });
});

describe('a refresh', () => {
  it('is told from a change', () => {
    const agreed = media(settle('m=audio 4000 RTP/AVP 0'));
    expect(sameMedia(agreed, { ...agreed })).toBe(true);
    expect(sameMedia(agreed, { ...agreed, remotePort: 4002 })).toBe(false);
  });
});
