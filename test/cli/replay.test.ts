import { spawn } from 'node:child_process';
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { placeReplayCall } from '../../src/cli/replay/call.ts';
import { Heard } from '../../src/cli/replay/heard.ts';
import { offerOf, readAnswer, sdpOf } from '../../src/cli/replay/offer.ts';
import { readOptions } from '../../src/cli/replay/options.ts';
import { scheduleOf } from '../../src/cli/replay/schedule.ts';
import { type ReplayPacket, readStream, summarize } from '../../src/cli/replay/stream-source.ts';
import { replayCommand } from '../../src/cli/replay.ts';
import { decodeAlaw, decodeUlaw, encodeAlaw, encodeUlaw } from '../../src/lib/g711.ts';
import { readWav } from '../../src/lib/wav.ts';
import { type CodecName, parseSdp } from '../../src/pcap/sip.ts';
import {
  audioPackets,
  eventPackets,
  keyedAudio,
  keyedCall,
  overUdp,
  REVERSED,
  SIP_ENDS,
  STREAM,
  setUp,
} from '../data/calls.ts';
import { type Captured, pcapFile, rtp } from '../data/packets.ts';
import { VirtualClock } from '../harness/clock.ts';

const folder = mkdtempSync(join(tmpdir(), 'hushtone-replay-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PCMU: CodecName = { name: 'PCMU', clockRate: 8000 };
const PCMA: CodecName = { name: 'PCMA', clockRate: 8000 };
const EVENT: CodecName = { name: 'TELEPHONE-EVENT', clockRate: 8000 };
const OPUS: CodecName = { name: 'OPUS', clockRate: 48_000 };

describe('the command line of replay', () => {
  const asked = (values: Record<string, string>) => readOptions(['a.pcap'], { to: 'sip:a@192.0.2.1', ...values });

  it('understands whom to call, and how the stream is to be played', () => {
    const values = { to: 'sip:pay@[2001:db8::1]:5070;transport=ws', loss: '5%', jitter: '40', speed: '2', seed: '7' };
    expect(asked(values)).toEqual({
      file: 'a.pcap',
      to: values.to,
      hop: { host: '2001:db8::1', port: 5070 },
      isWebSocket: true,
      stream: null,
      speed: 2,
      lossPercent: 5,
      jitterMs: 40,
      seed: 7,
      tailMs: 2000,
      record: null,
    });
    expect(asked({ to: 'sip:carrier.example' })).toMatchObject({ hop: { host: 'carrier.example', port: 5060 } });
  });

  it.each([
    [{ to: 'tel:+4912345' }, '--to tel:+4912345 is not understood; it is sip:USER@HOST[:PORT]'],
    [{ to: 'sips:a@b' }, '--to sips:a@b is not understood; it is sip:USER@HOST[:PORT]'],
    [{ to: 'sip:a@b;transport=tcp' }, '--to over tcp is not there; udp and ws are'],
    [{ speed: '0' }, '--speed is a number from 0.1 to 100, not 0'],
    [{ loss: '101' }, '--loss is a number from 0 to 100, not 101'],
    [{ jitter: 'much' }, '--jitter is a number from 0 to 10000, not much'],
    [{ jitter: ' ' }, '--jitter is a number from 0 to 10000, not  '],
    [{ seed: '1.5' }, '--seed is a whole number from 0 to 4294967295'],
    [{ seed: '-1' }, '--seed is a number from 0 to 4294967295, not -1'],
  ])('says what is wrong with %j', (values, sentence) => {
    expect(asked(values)).toBe(sentence);
  });

  it('asks for a capture and for whom to call', () => {
    expect(readOptions([], {})).toContain('which capture?');
    expect(readOptions(['a.pcap'], {})).toContain('whom to call?');
    expect(readOptions(['a.pcap', 'b.pcap'], { to: 'sip:a@b' })).toBe('one capture at a time: a.pcap or b.pcap');
  });
});

describe('the streams of a capture', () => {
  const piece = (packets: readonly Captured[]) => [pcapFile([...packets].sort((a, b) => a.atMs - b.atMs))];

  it('are summed up, and one is read as it was captured: repeats, late packets and gaps too', () => {
    const tones = audioPackets(keyedAudio('1'), 'PCMU');
    const [second, fifth] = [tones[2], tones[5]] as [Captured, Captured];
    const odd = [...tones.filter((_, index) => index !== 5 && index !== 9), second, { ...fifth, atMs: 170 }];
    const chunks = piece([...odd, ...eventPackets('34', 101, REVERSED(SIP_ENDS))]);
    expect(summarize(chunks).streams.map(({ name, packets, durationMs }) => [name, packets, durationMs])).toEqual([
      [STREAM, 28, 540],
      ['198.51.100.5:5060>192.0.2.10:5060/0badcafe', 14, 320],
    ]);
    const { packets, codecs, leftOut } = readStream(chunks, STREAM);
    expect(packets.slice(0, 10).map(({ atMs, sequenceNumber }) => [atMs, sequenceNumber - 65_500])).toEqual([
      [0, 0],
      [20, 1],
      [40, 2],
      [40, 2],
      [60, 3],
      [80, 4],
      [120, 6],
      [140, 7],
      [160, 8],
      [170, 5],
    ]);
    expect(packets[0]?.payload).toHaveLength(160);
    expect([[...codecs], leftOut]).toEqual([[[0, PCMU]], 0]);
  });

  it('know their events by SDP, or by their looks where nothing else is in that type', () => {
    const { offer, answer } = setUp(96, 117);
    const sip = [overUdp(0, offer), overUdp(1, answer, REVERSED(SIP_ENDS))];
    const events = eventPackets('8', 117).map((one) => ({ ...one, atMs: one.atMs + 10 }));
    expect([...readStream(piece([...sip, ...events]), STREAM).codecs]).toEqual([[117, EVENT]]);
    expect([...readStream(piece(eventPackets('8', 101)), STREAM).codecs]).toEqual([[101, EVENT]]);
    const mixed = eventPackets('8', 101).map((one, index) => {
      const bytes = Buffer.from(one.bytes);
      if (index === 3) bytes[14 + 20 + 8 + 12] = 200;
      return { ...one, bytes };
    });
    expect([...readStream(piece(mixed), STREAM).codecs]).toEqual([]);
  });
});

describe('the schedule', () => {
  const packets: ReplayPacket[] = Array.from({ length: 1000 }, (_, index) => ({
    atMs: index * 20,
    payloadType: 0,
    sequenceNumber: index,
    timestamp: index * 160,
    marker: false,
    payload: new Uint8Array(),
  }));
  const plain = { speed: 1, lossPercent: 0, jitterMs: 0, seed: 1 };
  const numbers = (conditions: Partial<typeof plain>) =>
    scheduleOf(packets, { ...plain, ...conditions }).sendings.map(({ packet }) => packet.sequenceNumber);

  it('is the capture’s own, faster or slower', () => {
    expect(scheduleOf(packets, plain).sendings.map(({ dueMs }) => dueMs)).toEqual(packets.map(({ atMs }) => atMs));
    expect(scheduleOf(packets, { ...plain, speed: 4 }).sendings.at(-1)?.dueMs).toBe((999 * 20) / 4);
  });

  it('loses and delays the same packets for the same seed, others for another', () => {
    const [one, again, other] = [7, 7, 8].map((seed) => numbers({ lossPercent: 5, jitterMs: 60, seed }));
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
    // What is lost does not hang on the jitter.
    expect(numbers({ lossPercent: 5, seed: 7 })).toEqual(one?.toSorted((a, b) => a - b));
  });

  it('loses about as many as it is told, and holds back none longer than it is told', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.constantFrom(0, 5, 50, 100), (seed, lossPercent) => {
        const { sendings, lost } = scheduleOf(packets, { speed: 1, lossPercent, jitterMs: 50, seed });
        expect(sendings.length + lost).toBe(1000);
        // Five standard deviations of a binomial count.
        const wide = 5 * Math.sqrt(1000 * (lossPercent / 100) * (1 - lossPercent / 100));
        expect(Math.abs(lost - lossPercent * 10)).toBeLessThanOrEqual(wide);
        for (const { dueMs, packet } of sendings) {
          expect(dueMs - packet.atMs).toBeGreaterThanOrEqual(0);
          expect(dueMs - packet.atMs).toBeLessThan(50);
        }
        expect(sendings.every(({ dueMs }, at) => dueMs >= (sendings[at - 1]?.dueMs ?? 0))).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

describe('offer and answer', () => {
  it.each<[string, [number, CodecName][], [number, CodecName][]]>([
    [
      'G.711 in both laws',
      [
        [8, PCMA],
        [96, EVENT],
      ],
      [
        [8, PCMA],
        [0, PCMU],
        [96, EVENT],
      ],
    ],
    [
      'G.711 beside events alone',
      [[101, EVENT]],
      [
        [0, PCMU],
        [8, PCMA],
        [101, EVENT],
      ],
    ],
    [
      'events of the audio’s clock where there were none',
      [[111, OPUS]],
      [
        [111, OPUS],
        [101, { name: 'TELEPHONE-EVENT', clockRate: 48_000 }],
      ],
    ],
    [
      'another number where one is taken',
      [[101, OPUS]],
      [
        [101, OPUS],
        [96, { name: 'TELEPHONE-EVENT', clockRate: 48_000 }],
      ],
    ],
  ])('offers %s', (_, captured, offered) => {
    const offer = offerOf(new Map(captured));
    expect([...offer]).toEqual(offered);
    // A reader of SDP understands the same.
    const [media] = parseSdp(sdpOf('192.0.2.7', 4000, offer));
    expect(media?.endpoint).toBe('192.0.2.7:4000');
    expect(new Map([...(media?.codecs ?? [])])).toEqual(new Map(offered));
  });

  const answer = (types: string, ...rtpmaps: string[]) =>
    ['v=0', 'c=IN IP4 198.51.100.9', `m=audio 5004 RTP/AVP ${types}`, ...rtpmaps.map((one) => `a=rtpmap:${one}`)].join(
      '\r\n',
    );

  it('maps payload types to those of the answer, and one law of G.711 to the other', () => {
    const captured = new Map([
      [0, PCMU],
      [117, EVENT],
      [111, OPUS],
    ]);
    const same = readAnswer(answer('0 96', '96 telephone-event/8000'), captured);
    expect(same).toMatchObject({ address: '198.51.100.9', port: 5004 });
    expect([...(same?.mappings ?? [])]).toEqual([
      [0, { payloadType: 0, convert: null }],
      [117, { payloadType: 96, convert: null }],
    ]);
    const other = readAnswer(answer('8'), captured)?.mappings.get(0);
    expect(other?.payloadType).toBe(8);
    const spoken = encodeUlaw(Int16Array.from({ length: 100 }, (_, index) => Math.round(9000 * Math.sin(index / 3))));
    const converted = decodeAlaw(other?.convert?.(spoken) ?? new Uint8Array());
    for (const [index, sample] of decodeUlaw(spoken).entries()) {
      expect(Math.abs((converted[index] ?? 0) - sample)).toBeLessThanOrEqual(16 + Math.abs(sample) / 16);
    }
    expect([...(readAnswer(answer('18'), captured)?.mappings ?? [])]).toEqual([]);
    expect(readAnswer('v=0\r\nm=audio 0 RTP/AVP 0', captured)).toBeNull();
  });

  it('does not send events of one clock as events of another', () => {
    const wide = new Map([[101, { name: 'TELEPHONE-EVENT', clockRate: 48_000 }]]);
    expect(readAnswer(answer('0 101', '101 telephone-event/8000'), wide)?.mappings.size).toBe(0);
  });
});

describe('what came back', () => {
  const view = (sequenceNumber: number, timestamp: number, payload: Uint8Array, payloadType = 0) => ({
    payloadType,
    sequenceNumber,
    timestamp,
    marker: false,
    bytes: payload,
    from: 0,
    to: payload.length,
    packetFrom: 0,
    packetTo: payload.length,
    atMs: 0,
  });

  it('is counted by payload type, loss and jitter, over the wrap of sequence numbers', () => {
    const heard = new Heard(false);
    for (const [index, sequence] of [65_534, 65_535, 1, 0, 2, 5].entries()) {
      heard.packet(view(sequence, index * 160, new Uint8Array(160)), 1, PCMU, 30 + index * 20);
    }
    heard.packet(view(6, 6 * 160, new Uint8Array(4), 101), 1, EVENT, 30 + 6 * 20 + 16);
    const name = (payloadType: number) => (payloadType === 0 ? 'PCMU' : 'telephone-event');
    expect(heard.describe(name)).toBe(
      'heard 7 packets (6 PCMU, 1 telephone-event), 2 lost, the first after 30 ms, jitter 1.0 ms',
    );
    expect(new Heard(false).describe(name)).toBe('heard nothing');
  });

  it('is measured and recorded over the wrap of timestamps, and after a sender that began again', () => {
    const heard = new Heard(true);
    const loud = encodeUlaw(Int16Array.from({ length: 160 }, () => 4000));
    const first = 2 ** 32 - 160;
    const timestamps = [first, 0, 160, 320, 3_000_000_000, 3_000_000_160];
    for (const [index, timestamp] of timestamps.entries())
      heard.packet(view(index, timestamp, loud), 1, PCMU, index * 20);
    expect(heard.describe(String)).toContain('6 packets (6 0), 0 lost, the first after 0 ms, jitter 0.0 ms');
    expect(heard.recording()).toHaveLength(6 * 160);
    expect(heard.recording().every((sample) => Math.abs(sample) > 3900)).toBe(true);
  });

  it('is recorded on the time line of the call: silence where nothing came, either law, a new sender too', () => {
    const heard = new Heard(true);
    const loud = Int16Array.from({ length: 160 }, () => 4000);
    heard.packet(view(1, 100_000, encodeUlaw(loud)), 1, PCMU, 100);
    heard.packet(view(4, 100_480, encodeAlaw(loud), 8), 1, PCMA, 160);
    heard.packet(view(900, 7, encodeUlaw(loud)), 2, PCMU, 500);
    const samples = heard.recording();
    expect(samples).toHaveLength(500 * 8 + 160);
    const isLoud = (ms: number) => Math.abs(samples[ms * 8 + 1] ?? 0) > 3900;
    expect([50, 100, 119, 120, 159, 160, 179, 180, 499, 500].map(isLoud)).toEqual([
      false,
      true,
      true,
      false,
      false,
      true,
      true,
      false,
      false,
      true,
    ]);
  });
});

/** A far end of a few lines: answers INVITEs as it is told, takes RTP. */
class FarEnd {
  readonly sip: Socket;
  readonly media: Socket;
  readonly requests: string[] = [];
  readonly packets: Buffer[] = [];

  readonly #address: string;

  constructor(address = '127.0.0.1') {
    this.#address = address;
    const type = address.includes(':') ? 'udp6' : 'udp4';
    this.sip = createSocket(type);
    this.media = createSocket(type);
  }

  async open(answer: (request: string, far: FarEnd) => { status: string; sdp?: string } | null): Promise<void> {
    for (const socket of [this.sip, this.media]) {
      await new Promise<void>((resolve) => socket.bind(0, this.#address, resolve));
    }
    this.media.on('message', (bytes) => this.packets.push(bytes));
    this.sip.on('message', (bytes, from) => this.#reply(bytes.toString(), from, answer));
  }

  get uri(): string {
    const host = this.#address.includes(':') ? `[${this.#address}]` : this.#address;
    return `sip:far@${host}:${this.sip.address().port}`;
  }

  sdp(types: string, ...rtpmaps: string[]): string {
    const { port } = this.media.address();
    return `v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN ${this.#address.includes(':') ? 'IP6' : 'IP4'} ${this.#address}\r\nt=0 0\r\nm=audio ${port} RTP/AVP ${types}\r\n${rtpmaps
      .map((one) => `a=rtpmap:${one}\r\n`)
      .join('')}`;
  }

  close(): void {
    this.sip.close();
    this.media.close();
  }

  #reply(
    request: string,
    from: RemoteInfo,
    answer: (request: string, far: FarEnd) => { status: string; sdp?: string } | null,
  ): void {
    this.requests.push(request);
    if (request.startsWith('ACK')) return;
    const reply = request.startsWith('INVITE') ? answer(request, this) : { status: '200 OK' };
    if (reply === null) return;
    const header = (name: string) => new RegExp(`^${name}: (.*)$`, 'im').exec(request)?.[1] ?? '';
    const body = reply.sdp ?? '';
    const lines = [
      `SIP/2.0 ${reply.status}`,
      `Via: ${header('Via')}`,
      `From: ${header('From')}`,
      `To: ${header('To').replace(/;tag=.*/, '')};tag=far`,
      `Call-ID: ${header('Call-ID')}`,
      `CSeq: ${header('CSeq')}`,
      `Contact: <${this.uri}>`,
      ...(body === '' ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${body.length}`,
    ];
    this.sip.send(`${lines.join('\r\n')}\r\n\r\n${body}`, from.port, from.address);
  }
}

async function replay(...argv: string[]): Promise<{ stdout: string; stderr: string; status: number }> {
  const [stdout, stderr]: string[][] = [[], []];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation((text) => (stdout?.push(String(text)) ?? 0) > 0);
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => (stderr?.push(String(text)) ?? 0) > 0);
  try {
    const status = await replayCommand(argv);
    return { stdout: stdout?.join('') ?? '', stderr: stderr?.join('') ?? '', status };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

describe('hushtone replay', () => {
  let far: FarEnd | null = null;
  afterEach(() => {
    far?.close();
    far = null;
  });
  const capture = join(folder, 'call.pcap');
  const packets = keyedCall([{ atMs: 200, digits: '42#' }], 1_000);
  writeFileSync(capture, pcapFile(packets.filter((_, index) => index !== 20)));

  async function farEnd(answer: Parameters<FarEnd['open']>[0], address?: string): Promise<FarEnd> {
    far = new FarEnd(address);
    await far.open(answer);
    return far;
  }

  it('sends each packet as it was captured, under the payload types of the answer', async () => {
    const {
      uri,
      packets: heard,
      requests,
    } = await farEnd((_, end) => {
      // It speaks first.
      const back = encodeUlaw(Int16Array.from({ length: 160 }, () => 5000));
      const port = Number(/^m=audio (\d+)/m.exec(end.requests[0] ?? '')?.[1]);
      end.media.send(rtp({ payloadType: 8, sequenceNumber: 1, timestamp: 0, ssrc: 5 }, back), port, '127.0.0.1');
      return { status: '200 OK', sdp: end.sdp('8 96', '96 telephone-event/8000') };
    });
    const record = join(folder, 'heard.wav');
    const ran = await replay(capture, '--to', uri, '--tail', '200', '--record', record, '--speed', '2');
    expect([ran.stderr, ran.status]).toEqual(['', 0]);
    expect(ran.stdout).toContain('answered: PCMU as 8, telephone-event as 96;');
    expect(ran.stdout).toContain('sent 49 of 49 packets\nheard 1 packets (1 PCMA), 0 lost');

    expect(heard).toHaveLength(49);
    const numbers = heard.map((bytes) => bytes.readUInt16BE(2));
    expect(numbers.toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 50 }, (_, index) => 1000 + index).filter((one) => one !== 1020),
    );
    const ssrcs = new Set(heard.map((bytes) => bytes.readUInt32BE(8)));
    expect(ssrcs.size).toBe(1);
    for (const bytes of heard) {
      const source = Buffer.from(packets[bytes.readUInt16BE(2) - 1000]?.bytes ?? []).subarray(42);
      const type = (source.readUInt8(1) & 0x7f) === 0 ? 8 : 96;
      expect(bytes.readUInt8(1)).toBe((source.readUInt8(1) & 0x80) | type);
      expect(bytes.readUInt32BE(4)).toBe(source.readUInt32BE(4));
      // µ-law silence is A-law silence; an event is itself.
      expect(bytes.subarray(12)).toEqual(type === 8 ? Buffer.alloc(160, 0xd5) : source.subarray(12));
    }
    expect(requests.map((request) => request.split(' ')[0])).toEqual(['INVITE', 'ACK', 'BYE']);
    const wav = readWav(readFileSync(record));
    expect(wav.ok && wav.wav.channels[0]?.length).toBeGreaterThanOrEqual(160);
  });

  it('asks again when the first INVITE is lost', async () => {
    const { uri, requests } = await farEnd((_, end) =>
      end.requests.length === 1 ? null : { status: '200 OK', sdp: end.sdp('0 101', '101 telephone-event/8000') },
    );
    expect(await replay(capture, '--to', uri, '--tail', '0', '--speed', '10')).toMatchObject({ status: 0, stderr: '' });
    const methods = requests.map((request) => request.split(' ')[0]);
    expect(methods.filter((method) => method === 'INVITE')).toHaveLength(2);
  });

  it('calls over IPv6', async () => {
    const { uri, packets: heard } = await farEnd((_, end) => ({ status: '200 OK', sdp: end.sdp('0') }), '::1');
    const { stdout, stderr, status } = await replay(capture, '--to', uri, '--tail', '100', '--speed', '10');
    expect([stderr, status]).toEqual(['', 0]);
    expect(stdout).toContain('media at ::1:');
    expect(heard).toHaveLength(26);
  });

  it('plays what stands before the place where a capture is damaged, and says so', async () => {
    const { uri, packets: heard } = await farEnd((_, end) => ({
      status: '200 OK',
      sdp: end.sdp('0 101', '101 telephone-event/8000'),
    }));
    const damaged = join(folder, 'damaged.pcap');
    writeFileSync(damaged, Buffer.concat([readFileSync(capture), Buffer.alloc(64, 0xff)]));
    const { stderr, status } = await replay(damaged, '--to', uri, '--tail', '100', '--speed', '10');
    expect(stderr).toBe(`${damaged}: is damaged: a packet claims 4294967295 bytes; what stands before it is played\n`);
    expect([heard.length, status]).toEqual([49, 0]);
  });

  it('hangs up at Ctrl-C, says how far it came, and ends with 130', async () => {
    const { uri, requests } = await farEnd((_, end) => ({ status: '200 OK', sdp: end.sdp('0') }));
    const argv = [
      join(import.meta.dirname, '../../src/cli/hushtone.js'),
      'replay',
      capture,
      '--to',
      uri,
      '--speed',
      '0.1',
    ];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stderr.on('data', (bytes: Buffer) => {
      stderr += bytes.toString();
    });
    child.stdout.on('data', (bytes: Buffer) => {
      const wasAnswered = stdout.includes('answered:');
      stdout += bytes.toString();
      if (!wasAnswered && stdout.includes('answered:')) child.kill('SIGINT');
    });
    const status = await new Promise((resolve) => child.once('close', resolve));
    expect([stderr, status]).toEqual(['', 130]);
    expect(stdout).toMatch(/^sent \d+ of 49 packets, .*not yet due$/m);
    expect(requests.map((request) => request.split(' ')[0])).toEqual(['INVITE', 'ACK', 'BYE']);
  }, 60_000);

  it('leaves out what was not agreed on, and says so', async () => {
    const { uri, packets: heard } = await farEnd((_, end) => ({ status: '200 OK', sdp: end.sdp('0') }));
    const { stdout, status } = await replay(capture, '--to', uri, '--tail', '100', '--speed', '10');
    expect(stdout).toContain('sent 26 of 49 packets, 23 left out (telephone-event, not agreed on)');
    expect([heard.length, status]).toEqual([26, 0]);
  });

  it.each([
    ['486 Busy Here', 'refused the call: 486 Busy Here'],
    ['403 Forbidden', 'refused the call: 403 Forbidden'],
    ['488 Not Acceptable Here', 'refused the call: 488 Not Acceptable Here; offered PCMU, PCMA, telephone-event'],
  ])('says in one line that %s came', async (answered, words) => {
    const { uri } = await farEnd(() => ({ status: answered }));
    const { stderr, status } = await replay(capture, '--to', uri);
    expect([stderr, status]).toEqual([`hushtone replay: ${uri} ${words}\n`, 1]);
  });

  it('says in one line that no codec is common, and hangs up', async () => {
    const { uri, requests } = await farEnd((_, end) => ({ status: '200 OK', sdp: end.sdp('18') }));
    const { stderr, status } = await replay(capture, '--to', uri);
    const words = `no common codec with ${uri}: offered PCMU, PCMA, telephone-event`;
    expect([stderr, status]).toEqual([`hushtone replay: ${words}\n`, 1]);
    expect(requests.map((request) => request.split(' ')[0])).toEqual(['INVITE', 'ACK', 'BYE']);
  });

  it('says that nobody is there after eight seconds without any answer', async () => {
    const clock = new VirtualClock();
    const { uri } = await farEnd(() => null);
    const order = { to: uri, address: '127.0.0.1', webSocket: null, offer: 'v=0', answered: () => true };
    const call = await placeReplayCall(order, clock);
    await clock.advance(7_999);
    await clock.advance(1);
    expect(await call.outcome).toEqual({ kind: 'failed', reason: 'no answer within 8 s' });
    const closed = call.close();
    await clock.advance(20_000);
    await closed;
  });

  it('says in one line what is wrong with the capture', async () => {
    const [empty, letter] = [join(folder, 'sip-only.pcap'), join(folder, 'letter.pcap')];
    writeFileSync(empty, pcapFile([overUdp(0, setUp(96, 96).offer)]));
    writeFileSync(letter, 'Dear reader');
    const to = ['--to', 'sip:a@127.0.0.1'];
    for (const [file, reason] of [
      [join(folder, 'absent.pcap'), 'does not exist'],
      [letter, 'is neither a WAV file nor a packet capture'],
      [join(import.meta.dirname, '../data/tones.wav'), 'is a recording; captures are played'],
      [empty, 'has no RTP stream'],
    ] as const) {
      expect(await replay(file, ...to)).toEqual({
        stdout: '',
        stderr: `hushtone replay: ${file}: ${reason}\n`,
        status: 2,
      });
    }
    expect((await replay(capture, ...to, '--stream', 'nobody')).stderr).toBe(
      `hushtone replay: ${capture}: has no stream that contains "nobody"; it has ${STREAM}\n`,
    );
    expect(await replay(capture, '--to', 'sip:a@no-such-host.invalid')).toMatchObject({
      stderr: 'hushtone replay: no address is known for no-such-host.invalid\n',
      status: 1,
    });
  });
});
