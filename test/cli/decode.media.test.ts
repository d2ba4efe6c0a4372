import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { SrtpSuite } from '../../src/app/ports.ts';
import { CaptureDecoder } from '../../src/cli/decode/decode-capture.ts';
import { digitText, type StreamPresses } from '../../src/cli/decode/key-press.ts';
import { loadKeys, readKeys } from '../../src/cli/decode/srtp-keys.ts';
import type { AudioSink } from '../../src/cli/decode/tone-track.ts';
import { decodeCommand } from '../../src/cli/decode.ts';
import { offlineAddon } from '../../src/worker/offline.ts';
import {
  audioPackets,
  CALLER,
  changed,
  eventPackets,
  framed,
  keyedAudio,
  overUdp,
  payloadPackets,
  REVERSED,
  redPackets,
  SIP_ENDS,
  SSRC,
  setUpWith,
} from '../data/calls.ts';
import { CODED_KEYS, codedPayloads } from '../data/coded.ts';
import { CALLER_KEY, secureMedia } from '../data/make.ts';
import { type Captured, pcapFile, rtp } from '../data/packets.ts';
import { cases, within } from '../harness/fuzz.ts';
import { SrtpDirection } from '../harness/srtp-peer.ts';

/* Audio that is coded, packets in packets, media under SRTP: what of it is heard, and what is said of the rest. */

const folder = mkdtempSync(join(tmpdir(), 'hushtone-media-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs the command in this process and takes what it writes. */
async function command(...argv: string[]): Promise<{ stdout: string; stderr: string; status: number }> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      written[name] += String(text);
      return true;
    }),
  );
  try {
    return { status: await decodeCommand(argv), ...written };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

interface Options {
  readonly audio?: AudioSink;
  /** As a file of --srtp-keys has them. */
  readonly keys?: string;
}

function decode(packets: readonly Captured[], { audio, keys }: Options = {}): readonly StreamPresses[] {
  const bytes = pcapFile([...packets].sort((a, b) => a.atMs - b.atMs));
  const given = keys === undefined ? { ok: true as const, keys: [] } : readKeys(keys);
  if (!given.ok) throw new Error(given.reason);
  const decoder = new CaptureDecoder(bytes, () => audio ?? null, given.keys);
  decoder.push(bytes);
  return decoder.finish().streams;
}

const keysOf = (streams: readonly StreamPresses[]): string =>
  streams.flatMap(({ presses }) => presses.map(({ event }) => digitText(event, true))).join('');
const notesOf = (streams: readonly StreamPresses[]): string[] => streams.flatMap(({ notes }) => [...notes]);
const later = (packets: readonly Captured[], ms: number): Captured[] =>
  packets.map((packet) => ({ ...packet, atMs: packet.atMs + ms }));
const signalled = (offered: readonly string[], answered = offered): Captured[] => {
  const { offer, answer } = setUpWith(offered, answered);
  return [overUdp(0, offer), overUdp(1, answer, REVERSED(SIP_ENDS))];
};

const OPUS = ['audio RTP/AVP 111 101', 'a=rtpmap:111 opus/48000/2', 'a=rtpmap:101 telephone-event/48000'];
const CODED = [
  ['G.722', [], () => payloadPackets(codedPayloads('g722'), 9, 160)],
  ['Opus', signalled(OPUS), () => payloadPackets(codedPayloads('opus'), 111, 960)],
] as const;
/** Keys of `keyedAudio`: 80 ms each 160 ms, after 200 ms. */
const onsetOf = (index: number): number => 200 + index * 160;
/** Detection is in steps of 5 ms, and Opus delays by 6.5. */
const ONSET_MS_MAX = 15;

describe('tones in coded audio', () => {
  it.each(CODED)('of %s are heard at their time', (_, sip, packets) => {
    const [stream] = decode([...sip, ...packets()]);
    expect(keysOf(stream === undefined ? [] : [stream])).toBe(CODED_KEYS);
    for (const [index, press] of (stream?.presses ?? []).entries()) {
      expect(Math.abs(press.onsetMs - onsetOf(index))).toBeLessThan(ONSET_MS_MAX);
      expect(press.source).toBe('inband');
      expect(press.durationMs).toBeGreaterThan(55);
      expect(press.levelDbm0).toBeGreaterThan(-15);
      expect(press.levelDbm0).toBeLessThan(-12);
    }
    expect(stream?.notes).toEqual([]);
  });

  it.each(CODED)('of %s are each heard once, and at their time, where each tenth packet is lost', (_, sip, packets) => {
    // Never two in a row, which is what a concealment of 20 ms has to bridge.
    const [stream] = decode([...sip, ...packets().filter((_packet, index) => index % 10 !== 3)]);
    const events = (stream?.presses ?? []).map(({ event }) => digitText(event, true)).join('');
    expect(events).toBe(CODED_KEYS);
    for (const [index, press] of (stream?.presses ?? []).entries()) {
      expect(Math.abs(press.onsetMs - onsetOf(index))).toBeLessThan(ONSET_MS_MAX + 20);
    }
  });

  it.each(CODED)('of %s stand where they were behind a silence that was not sent', (_, sip, packets) => {
    const scale = sip.length > 0 ? 6 : 1;
    const [payloads, payloadType] = sip.length > 0 ? [codedPayloads('opus'), 111] : [codedPayloads('g722'), 9];
    const pauseMs = 30_000;
    const again = { atMs: payloads.length * 20 + pauseMs, sequenceNumber: 65_530 + payloads.length, timestamp: 0 };
    const timestamp = 4_294_900_000 + (payloads.length * 160 + pauseMs * 8) * scale;
    const both = [...packets(), ...payloadPackets(payloads, payloadType, 160 * scale, { ...again, timestamp })];
    const [stream] = decode([...sip, ...both]);
    expect(keysOf(stream === undefined ? [] : [stream])).toBe(CODED_KEYS + CODED_KEYS);
    const second = stream?.presses[CODED_KEYS.length]?.onsetMs ?? 0;
    expect(Math.abs(second - again.atMs - onsetOf(0))).toBeLessThan(ONSET_MS_MAX);
  });

  it.each(CODED)('of %s are drawn where they were heard, sample by sample', (_, sip, packets) => {
    const drawn = new Int16Array(3 * 8_000);
    let next = 0;
    const audio: AudioSink = {
      samples: (sample, samples) => {
        expect(sample).toBe(next);
        drawn.set(samples, sample);
        next = sample + samples.length;
      },
    };
    decode([...sip, ...packets()], { audio });
    expect(next).toBe(codedPayloads('g722').length * 160);
    const rms = (fromMs: number): number => {
      const part = drawn.subarray(fromMs * 8, (fromMs + 40) * 8);
      return Math.sqrt(part.reduce((sum, value) => sum + value * value, 0) / part.length);
    };
    for (const index of CODED_KEYS.split('').keys()) {
      expect(rms(onsetOf(index) + 25)).toBeGreaterThan(2_500);
      expect(rms(onsetOf(index) + 110)).toBeLessThan(250);
    }
  });

  it('are heard through changes of the codec in mid-call', () => {
    const pcmu = audioPackets(keyedAudio('147'), 'PCMU');
    const opus = payloadPackets(codedPayloads('opus'), 111, 960, { atMs: 3_000, sequenceNumber: 70, timestamp: 5_000 });
    const g722 = payloadPackets(codedPayloads('g722'), 9, 160, { atMs: 6_000, sequenceNumber: 300, timestamp: 77 });
    const named = [...OPUS, 'a=rtpmap:0 PCMU/8000'].with(0, 'audio RTP/AVP 111 9 0');
    const [stream] = decode([...signalled(named), ...pcmu, ...opus, ...g722]);
    expect(keysOf(stream === undefined ? [] : [stream])).toBe(`147${CODED_KEYS}${CODED_KEYS}`);
    const onset = (index: number): number => stream?.presses[index]?.onsetMs ?? 0;
    expect(Math.abs(onset(3) - 3_200)).toBeLessThan(ONSET_MS_MAX);
    expect(Math.abs(onset(15) - 6_200)).toBeLessThan(ONSET_MS_MAX);
  });

  it('of a longer list of streams than are decoded at once are named as unheard', () => {
    const payloads = codedPayloads('g722').slice(0, 4);
    const many = Array.from({ length: 514 }, (_, index) =>
      payloads.map((payload, at) => {
        const fields = { payloadType: 9, sequenceNumber: at, timestamp: at * 160, ssrc: 1000 + index };
        return { atMs: at * 20, bytes: framed(rtp(fields, payload)) };
      }),
    ).flat();
    const notes = notesOf(decode(many));
    expect(notes).toEqual(new Array(2).fill('4 packets were not heard: too many streams of G722 and opus'));
  });
});

describe('comfort noise', () => {
  /** Packets of silence are left out but for one of each ten, which says how loud it is. */
  function announced(
    packets: readonly Captured[],
    isSilent: (index: number) => boolean,
    payloadType: number,
  ): Captured[] {
    return packets.flatMap(({ atMs, bytes }, index) => {
      if (!isSilent(index)) return [{ atMs, bytes }];
      if (index % 10 !== 0) return [];
      const header = Buffer.from(bytes.subarray(-(160 + 12), -160));
      const noise = rtp(
        { payloadType: 13, sequenceNumber: header.readUInt16BE(2), timestamp: header.readUInt32BE(4), ssrc: SSRC },
        Uint8Array.of(50),
      );
      return [{ atMs, bytes: framed(noise) }, ...(payloadType < 0 ? [{ atMs, bytes }] : [])];
    });
  }
  const quiet = keyedAudio('12', { onMs: 100, offMs: 600 });
  // 200 ms before, then 100 ms of tone in each 700.
  const isSilent = (index: number): boolean => index >= 20 && (index * 20 - 200) % 700 >= 160;

  it('is no key, and keys after it stand where they were, in G.711', () => {
    const [stream] = decode(announced(audioPackets(quiet, 'PCMU'), isSilent, 0));
    expect(keysOf(stream === undefined ? [] : [stream])).toBe('12');
    expect(Math.abs((stream?.presses[1]?.onsetMs ?? 0) - 900)).toBeLessThan(ONSET_MS_MAX);
    expect(stream?.notes).toEqual([]);
  });

  it('is as loud as it was announced, where a picture is drawn', () => {
    let loudest = 0;
    let from = Number.POSITIVE_INFINITY;
    const audio: AudioSink = {
      samples: (sample, samples) => {
        // Between 500 and 850 ms there is nothing but the noise.
        for (const [index, value] of samples.entries()) {
          const at = sample + index;
          if (at < 500 * 8 || at > 850 * 8) continue;
          from = Math.min(from, at);
          loudest = Math.max(loudest, Math.abs(value));
        }
      },
    };
    decode(announced(audioPackets(quiet, 'PCMU'), isSilent, 0), { audio });
    // -50 dBov as RMS of evenly spread noise: 32,767 / 316 · √3.
    expect(loudest).toBeGreaterThan(150);
    expect(loudest).toBeLessThan(200);
    expect(from).toBeLessThan(520 * 8);
  });
});

describe('events in RED', () => {
  const media = ['audio RTP/AVP 0 120', 'a=rtpmap:120 red/8000', 'a=rtpmap:101 telephone-event/8000'];

  it('are each one press, whether a packet says them first or again', () => {
    const packets = redPackets('13579#', 120, 101);
    expect(keysOf(decode([...signalled(media), ...packets]))).toBe('13579#');
    // Each packet alone brings the press before it too.
    expect(keysOf(decode([...signalled(media), ...packets.filter((_, index) => index !== 2)]))).toBe('13579#');
  });

  it('that are damaged are counted and said', () => {
    const bad = payloadPackets([Uint8Array.of(0x80 | 101, 0, 0xff, 0xff, 1)], 120, 160);
    expect(notesOf(decode([...signalled(media), ...bad]))).toEqual([
      '1 packets of red were not heard: they are damaged',
    ]);
  });
});

const SUITES: Readonly<Record<SrtpSuite, number>> = {
  AES_CM_128_HMAC_SHA1_80: 30,
  AES_CM_128_HMAC_SHA1_32: 30,
  AEAD_AES_128_GCM: 28,
  AEAD_AES_256_GCM: 44,
};
const keyOf = (suite: SrtpSuite, salt = 0): Buffer =>
  Buffer.from(Array.from({ length: SUITES[suite] }, (_, index) => (index * 7 + salt) & 0xff));
const inline = (suite: SrtpSuite, key: Buffer): string => `${suite} inline:${key.toString('base64')}`;
const under = (packets: readonly Captured[], suite: SrtpSuite, key: Buffer, firstRoc = 0): Captured[] => {
  const direction = new SrtpDirection(suite, key);
  let roc = firstRoc;
  let last = -1;
  return changed(packets, (packet) => {
    const sequence = packet.readUInt16BE(2);
    if (last >= 0 && sequence < last) roc += 1;
    last = sequence;
    return direction.protectRtp(packet, roc);
  });
};
const CM80 = 'AES_CM_128_HMAC_SHA1_80';

describe('media under SRTP', () => {
  it.each(Object.keys(SUITES) as SrtpSuite[])('are opened by the key that SDP bears: %s', (suite) => {
    const key = keyOf(suite);
    const offered = [
      'audio RTP/SAVP 0 101',
      // A second suite that was not taken: which of both is the stream's is found by trying.
      `a=crypto:1 ${inline(CM80, keyOf(CM80, 99))}`,
      `a=crypto:2 ${inline(suite, key)}|2^31`,
      'a=rtpmap:101 telephone-event/8000',
    ];
    const tones = under(audioPackets(keyedAudio('147#'), 'PCMU'), suite, key);
    const [stream] = decode([...signalled(offered, secureMedia(CALLER_KEY)), ...tones]);
    expect(keysOf(stream === undefined ? [] : [stream])).toBe('147#');
    expect(stream?.notes).toEqual([]);
    const events = under(eventPackets('2580', 101), suite, key);
    expect(keysOf(decode([...signalled(offered, secureMedia(CALLER_KEY)), ...later(events, 10)]))).toBe('2580');
  });

  it('are opened by keys from a file, also in the middle of a call, without SIP', () => {
    const suite = 'AEAD_AES_128_GCM';
    const file = `# of the phone\n\na=crypto:1 ${inline(CM80, keyOf(CM80, 5))}\n${inline(suite, keyOf(suite))}\n`;
    // The roll-over counter was at 3 when the capture began, and wraps in it.
    const tones = under(audioPackets(keyedAudio('369'), 'PCMA'), suite, keyOf(suite), 3);
    expect(keysOf(decode(tones, { keys: file }))).toBe('369');
    expect(keysOf(decode(tones))).toBe('');
  });

  it('leave what is in clear as it is, whatever keys were given', () => {
    const packets = audioPackets(keyedAudio('71'), 'PCMU');
    const [stream] = decode(packets, { keys: inline(CM80, keyOf(CM80)) });
    expect([keysOf(stream === undefined ? [] : [stream]), stream?.notes]).toEqual(['71', []]);
    // A key was offered, and not taken.
    const offered = ['audio RTP/AVP 0', `a=crypto:1 ${inline(CM80, CALLER_KEY)}`];
    expect(keysOf(decode([...signalled(offered, ['audio RTP/AVP 0']), ...packets]))).toBe('71');
  });

  it('are opened behind NAT, where the SDP names another address than they come from', () => {
    const behind = { ...CALLER, source: '203.0.113.9', sourcePort: 61_000 };
    const key = keyOf(CM80);
    const tones = under(audioPackets(keyedAudio('85'), 'PCMU'), CM80, key).map(({ atMs, bytes }) => {
      const packet = bytes.subarray(14 + 20 + 8);
      return { atMs, bytes: framed(packet, behind) };
    });
    expect(keysOf(decode([...signalled(secureMedia(key), secureMedia(CALLER_KEY)), ...tones]))).toBe('85');
  });

  it('are opened across a new offer with new keys', () => {
    const [first, second] = [keyOf(CM80, 1), keyOf(CM80, 2)];
    const answer = secureMedia(CALLER_KEY);
    const before = under(eventPackets('12', 101), CM80, first);
    const after = under(
      changed(eventPackets('34', 101), (packet) => {
        packet.writeUInt16BE(packet.readUInt16BE(2) + 200, 2);
        packet.writeUInt32BE(packet.readUInt32BE(4) + 80_000, 4);
        return packet;
      }),
      CM80,
      second,
    );
    const again = later(signalled(secureMedia(second), answer), 5_000);
    expect(
      keysOf(decode([...signalled(secureMedia(first), answer), ...before, ...again, ...later(after, 5_100)])),
    ).toBe('1234');
  });

  it('are decoded and drawn by the command with a file of keys, and named on standard error without', async () => {
    const [capture, file, picture] = ['call.pcap', 'keys.txt', 'call.png'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const tones = under(audioPackets(keyedAudio('147#'), 'PCMU'), CM80, CALLER_KEY);
    writeFileSync(capture, pcapFile([...signalled(['audio RTP/SAVP 0'], ['audio RTP/SAVP 0']), ...later(tones, 10)]));
    writeFileSync(file, `${inline(CM80, CALLER_KEY)}\n`);
    const closed = await command('--reveal', capture);
    expect([closed.status, closed.stdout]).toEqual([0, '']);
    expect(closed.stderr).toMatch(
      /: 52 of 52 packets are protected by SRTP .* has no key for them \(see --srtp-keys\)\n$/,
    );
    const open = await command('--reveal', '--srtp-keys', file, '--plot', picture, capture);
    expect([open.status, open.stderr, open.stdout.match(/^./gm)?.join('')]).toEqual([0, '', '147#']);
    expect(readFileSync(picture).subarray(1, 4).toString()).toBe('PNG');
    const none = await command('--srtp-keys', join(folder, 'none'), capture);
    expect([none.status, none.stderr]).toEqual([2, `hushtone decode: ${join(folder, 'none')}: does not exist\n`]);
  });

  it.each([
    [
      'has no key',
      ['audio RTP/SAVP 0 101'],
      /^25 of 25 packets are protected by SRTP and were not opened: the capture has no key for them \(see --srtp-keys\)$/,
    ],
    ['has a key of another call', secureMedia(keyOf(CM80, 7)), /were not opened: the only key does not fit$/],
    [
      'has keys by DTLS',
      ['audio UDP/TLS/RTP/SAVPF 0 101', 'a=fingerprint:sha-256 00'],
      /: their keys were agreed by DTLS, which no capture shows$/,
    ],
    [
      'has a key with an identifier',
      ['audio RTP/SAVP 0 101', `a=crypto:1 ${inline(CM80, CALLER_KEY)}|2^20|1:4`],
      /: its a=crypto has a master key identifier$/,
    ],
  ])('stay closed, and the reason is said, where the capture %s', (_, media, reason) => {
    const tones = under(audioPackets(keyedAudio('1'), 'PCMU').slice(0, 25), CM80, CALLER_KEY);
    const streams = decode([...signalled(media as string[], ['audio RTP/SAVP 0 101']), ...tones]);
    expect(keysOf(streams)).toBe('');
    expect(notesOf(streams)).toHaveLength(1);
    expect(notesOf(streams)[0]).toMatch(reason as RegExp);
  });

  it('that were damaged on their way are counted, and the rest is heard', () => {
    const tones = under(audioPackets(keyedAudio('1470'), 'PCMU'), CM80, CALLER_KEY);
    const damaged = changed(tones, (packet, index) => {
      if (index === 5) packet[20] = (packet[20] ?? 0) ^ 1;
      return packet;
    });
    const streams = decode([...signalled(secureMedia(CALLER_KEY)), ...damaged]);
    expect(keysOf(streams)).toBe('1470');
    expect(notesOf(streams)).toEqual([
      `1 of ${tones.length} packets are protected by SRTP and were not opened: damaged, or under another key`,
    ]);
  });
});

describe('a file of SRTP keys', () => {
  it.each([
    ['', 'has no SRTP key'],
    ['# nothing\n', 'has no SRTP key'],
    ['hello', 'line 1 is no SRTP key: malformed'],
    [`\nAES_CM_128_HMAC_SHA1_80 inline:AAAA`, 'line 2 is no SRTP key: a key of another length'],
    [Array.from({ length: 17 }, () => inline(CM80, CALLER_KEY)).join('\n'), 'has more than 16 keys'],
  ])('is refused in words that show no key: %j', (text, reason) => {
    const file = join(folder, 'keys');
    writeFileSync(file, text);
    expect(loadKeys(file)).toEqual({ ok: false, reason: `${file}: ${reason}` });
  });

  it('that is not there is named', () => {
    expect(loadKeys(join(folder, 'none'))).toEqual({ ok: false, reason: `${join(folder, 'none')}: does not exist` });
  });
});

describe('what could not be heard', () => {
  it('is said of each codec and each nameless payload type', () => {
    const voice = (payloadType: number, ssrc: number): Captured[] =>
      Array.from({ length: 5 }, (_, index) => {
        const fields = { payloadType, sequenceNumber: index, timestamp: index * 160, ssrc };
        return { atMs: index * 20, bytes: framed(rtp(fields, new Uint8Array(33).fill(0x5a))) };
      });
    expect(notesOf(decode([...voice(18, 1), ...voice(111, 2)]))).toEqual([
      '5 packets of G729/8000 were not heard: only PCMU, PCMA, G722 and opus are decoded',
      '5 packets of payload type 111 were not heard: no SDP in the capture says what it is',
    ]);
    const wide = [...signalled(['audio RTP/AVP 112', 'a=rtpmap:112 PCMU/16000']), ...voice(112, 3)];
    expect(notesOf(decode(wide))).toEqual([
      '5 packets of PCMU/16000 were not heard: only PCMU, PCMA, G722 and opus are decoded',
    ]);
  });
});

describe('the addon', () => {
  it(
    'refuses any arguments that are not what it takes, and goes on',
    () => {
      const { OfflineDecoder, OfflineSrtp, readRed } = offlineAddon();
      const decoder = new OfflineDecoder(8_000, true);
      const opener = new OfflineSrtp(1, new Uint8Array(30));
      const functions: readonly ((...given: readonly unknown[]) => unknown)[] = [
        ...(['feed', 'feedCoded', 'feedSilence', 'countSamples', 'feedPacket', 'feedNoise', 'event'] as const).map(
          (name) => (decoder[name] as (...given: readonly unknown[]) => unknown).bind(decoder),
        ),
        (opener.open as (...given: readonly unknown[]) => unknown).bind(opener),
        readRed as (...given: readonly unknown[]) => unknown,
        (...given) => new (OfflineSrtp as new (...all: readonly unknown[]) => unknown)(...given),
        (...given) => new (OfflineDecoder as new (...all: readonly unknown[]) => unknown)(...given),
      ];
      const argument = fc.oneof(
        fc.constantFrom(undefined, null, true, 0, 1, 9, 96, -1, 1.5, Number.NaN, 2 ** 53, 50_000, 'text', {}, []),
        fc.uint8Array({ maxLength: 40 }),
        fc.integer({ min: 0, max: 40 }),
        fc.constant(new Int16Array(30)),
        fc.constant(new Float64Array(24)),
      );
      fc.assert(
        fc.property(fc.nat(functions.length - 1), fc.array(argument, { maxLength: 6 }), (which, given) => {
          try {
            functions[which]?.(...given);
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError);
          }
        }),
        cases(5_000),
      );
      decoder.finish();
    },
    within(20_000),
  );

  it(
    'never crashes on packets of any content',
    () => {
      const packet = fc.record({
        payload: fc.uint8Array({ maxLength: 80 }),
        payloadType: fc.constantFrom(0, 8, 9, 13, 101, 111, 120),
        step: fc.oneof(fc.constant(160), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
      });
      const media = [...OPUS, 'a=rtpmap:120 red/48000'].with(0, 'audio RTP/AVP 111 120 9 0 8');
      fc.assert(
        fc.property(fc.array(packet, { minLength: 1, maxLength: 40 }), (list) => {
          let timestamp = 0;
          const packets = list.map(({ payload, payloadType, step }, index) => {
            timestamp = (timestamp + step) >>> 0;
            const fields = { payloadType, sequenceNumber: index, timestamp, ssrc: SSRC };
            return { atMs: index * 20, bytes: framed(rtp(fields, payload)) };
          });
          decode([...signalled(media), ...packets], { keys: inline(CM80, CALLER_KEY), audio: { samples: () => {} } });
        }),
        cases(300),
      );
    },
    within(20_000),
  );
});
