import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInfoKey, parseSdp, parseSip, sipMessageLength } from '../../src/pcap/sip.ts';
import { SEGMENTS_WAITING_MAX, TcpSipReader } from '../../src/pcap/tcp.ts';
import { infoKey, setUp, sip } from '../data/calls.ts';
import { describeShared } from '../harness/shared.ts';

const KEYS = '0123456789*#ABCD';

describe('SIP in captures', () => {
  it('gives method, identity and body, short header names too', () => {
    const short = Buffer.from(
      'INFO sip:a@b SIP/2.0\r\ni: x\r\nf: <sip:c@d>;tag=1\r\nCSeq: 2 INFO\r\nc: application/dtmf;x=1\r\n\r\n5',
    );
    expect(parseSip(short)).toEqual({
      method: 'INFO',
      callId: 'x',
      cseq: '2 INFO',
      from: '<sip:c@d>;tag=1',
      contentType: 'application/dtmf',
      body: '5',
    });
    expect(parseSip(Buffer.from('GET / HTTP/1.1\r\n\r\n'))).toBeNull();
  });

  it('reads payload types of audio with the address of the stream or the session', () => {
    const body = [
      'c=IN IP4 192.0.2.1',
      'm=audio 4000 RTP/AVP 0 101',
      'a=rtpmap:101 telephone-event/8000',
      'm=video 5000 RTP/AVP 97',
      'a=rtpmap:97 H264/90000',
      'm=audio 6000/2 RTP/SAVP 96',
      'c=IN IP6 2001:db8::9',
      'a=rtpmap:96 opus/48000/2',
      'm=audio 0 RTP/AVP 8',
    ].join('\r\n');
    const media = parseSdp(body);
    expect(media.map(({ endpoint }) => endpoint)).toEqual(['192.0.2.1:4000', '[2001:db8::9]:6000']);
    expect(media[0]?.codecs.get(101)).toEqual({ name: 'TELEPHONE-EVENT', clockRate: 8000 });
    expect(media[0]?.codecs.get(0)).toEqual({ name: 'PCMU', clockRate: 8000 });
    expect(media[0]?.codecs.has(97)).toBe(false);
    expect(media[1]?.codecs.get(96)).toEqual({ name: 'OPUS', clockRate: 48_000 });
  });

  it.each([
    ['application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n', { event: 5, durationMs: 160 }],
    ['application/dtmf-relay', 'Signal = *\nDuration = 100', { event: 10, durationMs: 100 }],
    ['application/dtmf-relay', 'Signal=11\r\n', { event: 11, durationMs: null }],
    ['application/dtmf', 'd', { event: 15, durationMs: null }],
    ['application/dtmf', '55', null],
    ['application/dtmf-relay', 'Signal=16\r\n', null],
    ['application/dtmf-relay', 'Signal=\r\n', null],
    ['text/plain', '5', null],
  ])('reads a key of %s %j', (type, body, expected) => {
    expect(parseInfoKey(type, body)).toEqual(expected);
  });
});

describeShared('INFO bodies of other projects’ tests', 'sip-torture/sip-info-dtmf/cases.share.jsonl', (file) => {
  it('are read as those projects read them', () => {
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    for (const line of lines) {
      const row = JSON.parse(line) as {
        content_type: string;
        body: string;
        expected_digit: string;
        expected_duration_ms: number | null;
      };
      const key = parseInfoKey(row.content_type, row.body);
      expect([row.body, KEYS[key?.event ?? -1]]).toEqual([row.body, row.expected_digit]);
      if (row.expected_duration_ms) expect(key?.durationMs).toBe(row.expected_duration_ms);
    }
    expect(lines.length).toBeGreaterThan(10);
  });
});

describe('SIP over TCP', () => {
  const messages = [setUp(101, 101).offer, infoKey(2, '1'), sip('SIP/2.0 200 OK', '2 INFO')];
  const stream = Buffer.concat(messages);
  const segment = (sequence: number, payload: Uint8Array) =>
    ({
      source: 'a',
      destination: 'b',
      sequence: sequence >>> 0,
      isSyn: false,
      isReset: false,
      payload,
    }) as const;

  it('gives the same messages whatever the segments, repeats and order', () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: stream.length - 1 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(cuts, fc.nat(2 ** 32 - 1), fc.array(fc.nat(1000), { maxLength: 30 }), (places, start, swaps) => {
        const ends = [...places.sort((a, b) => a - b), stream.length];
        const parts = ends.map((end, index) => {
          const from = ends[index - 1] ?? 0;
          return segment(start + from, stream.subarray(from, end));
        });
        // The first stays first, as a handshake would say; the others change places, and one comes twice.
        const rest = parts.slice(1);
        for (const [index, swap] of swaps.entries()) {
          const [a, b] = [index % Math.max(1, rest.length), swap % Math.max(1, rest.length)];
          const [one, other] = [rest[a], rest[b]];
          if (one !== undefined && other !== undefined) [rest[a], rest[b]] = [other, one];
        }
        const reader = new TcpSipReader();
        const sent = [...parts.slice(0, 1), ...rest, ...parts.slice(-1)];
        expect(Buffer.concat(sent.flatMap((one) => reader.read(one)))).toEqual(stream);
      }),
    );
  });

  it('finds the next message after bytes that are no SIP', () => {
    const reader = new TcpSipReader();
    expect(reader.read(segment(0, Buffer.from('\x16\x03\x01binary\r\n\r\n')))).toEqual([]);
    expect(reader.read(segment(13, messages[1] ?? Buffer.alloc(0)))).toEqual([messages[1]]);
  });

  it('goes on behind a hole once enough waits for it, by segments or by bytes', () => {
    const info = messages[1] ?? Buffer.alloc(0);
    const half = info.subarray(0, 40);
    for (const waiting of [
      Array.from({ length: SEGMENTS_WAITING_MAX + 1 }, () => info),
      Array.from({ length: 3 }, () => Buffer.concat([info, Buffer.alloc(65_000 - info.length, '\r\n')])),
    ]) {
      const reader = new TcpSipReader();
      expect(reader.read(segment(0, half))).toEqual([]);
      // The rest of the first message never comes.
      let at = 2000;
      const found = waiting.flatMap((payload) => {
        const one = reader.read(segment(at, payload));
        at += payload.length;
        return one;
      });
      expect(found).toEqual(waiting.map(() => info));
    }
  });

  it('begins anew with a SYN and after a reset', () => {
    const info = messages[1] ?? Buffer.alloc(0);
    const reader = new TcpSipReader();
    expect(reader.read(segment(5000, info.subarray(0, 50)))).toEqual([]);
    expect(reader.read({ ...segment(99, Buffer.alloc(0)), isSyn: true })).toEqual([]);
    expect(reader.read(segment(100, info))).toEqual([info]);
    expect(reader.read({ ...segment(100 + info.length, Buffer.alloc(0)), isReset: true })).toEqual([]);
    expect(reader.read(segment(7, info))).toEqual([info]);
  });

  it('refuses a message that claims more than its limit', () => {
    expect(sipMessageLength(Buffer.from('INFO sip:a SIP/2.0\r\nContent-Length: 999999\r\n\r\n'))).toBe(-1);
  });
});
