import { describe, expect, it } from 'vitest';
import { Capture, frameReaderFor } from '../../src/pcap/capture.ts';
import type { Frame } from '../../src/pcap/frame.ts';
import { CALLER, eventPackets } from '../data/calls.ts';
import { cooked, ethernet, ipv4, ipv6, pcapFile, pcapngFile, rtp, telephoneEvent, udp } from '../data/packets.ts';

const EPOCH_MS = 1_767_225_600_000;

/** Frames that stay: a reader's own are good during the call only. */
function framesOf(file: Buffer, chunkBytes = file.length): Frame[] {
  const reader = frameReaderFor(file);
  if (reader === null) throw new Error('no reader');
  const frames: Frame[] = [];
  for (let at = 0; at < file.length; at += chunkBytes) {
    reader.push(file.subarray(at, at + chunkBytes), (frame) => {
      const bytes = frame.bytes.slice(frame.from, frame.to);
      frames.push({ ...frame, bytes, from: 0, to: bytes.length });
    });
  }
  expect(reader.fault).toBeNull();
  expect(reader.pending).toBe(0);
  return frames;
}

/** What a capture of these frames gives: `stream payloadType sequenceNumber` for each packet. */
function packetsOf(frames: readonly Frame[]): string[] {
  const seen: string[] = [];
  const capture = new Capture({
    stream: (stream) => (packet) => seen.push(`${stream.name} ${packet.payloadType} ${packet.sequenceNumber}`),
    info: () => {},
  });
  for (const frame of frames) capture.frame(frame);
  capture.finish();
  return seen;
}

const asFrame = (linkType: number, bytes: Uint8Array, atMs = 0): Frame => ({
  linkType,
  atMs,
  bytes,
  from: 0,
  to: bytes.length,
  cut: false,
});
const datagram = (sequenceNumber: number): Uint8Array =>
  udp(CALLER, rtp({ payloadType: 101, sequenceNumber, timestamp: 1600, ssrc: 7 }, telephoneEvent(1, false, 160)));
const packet = (sequenceNumber: number): Uint8Array => ipv4(CALLER, 17, datagram(sequenceNumber));
const STREAM = '192.0.2.10:40000>198.51.100.5:20000/00000007';
const EXPECTED = [1, 2, 3].map((sequenceNumber) => `${STREAM} 101 ${sequenceNumber}`);

describe('capture files', () => {
  const packets = [
    { atMs: 1.25, bytes: Buffer.from('first') },
    { atMs: 2000.5, bytes: Buffer.from('second packet') },
  ];
  const expected = packets.map(({ atMs, bytes }) => [EPOCH_MS + atMs, bytes.toString()]);
  const seen = (frames: readonly Frame[]): unknown[] =>
    frames.map(({ atMs, bytes }) => [Math.round(atMs * 1000) / 1000, Buffer.from(bytes).toString()]);

  it.each([
    ['microseconds, little endian', {}],
    ['microseconds, big endian', { bigEndian: true }],
    ['nanoseconds, little endian', { nanoseconds: true }],
    ['nanoseconds, big endian', { nanoseconds: true, bigEndian: true }],
  ])('are read as pcap in %s', (_, options) => {
    expect(seen(framesOf(pcapFile(packets, options)))).toEqual(expected);
  });

  it.each([6, 9, 0x8a, 3])('are read as pcapng with time resolution %i', (resolution) => {
    for (const bigEndian of [false, true]) {
      const file = pcapngFile(packets, { bigEndian, interfaces: [{ linkType: 1, resolution }] });
      // 2^-10 s and 10^-3 s cannot say a quarter of a millisecond.
      const coarse = resolution === 0x8a || resolution === 3 ? 1 : 0.001;
      for (const [index, frame] of framesOf(file).entries()) {
        expect(Math.abs(frame.atMs - EPOCH_MS - (packets[index]?.atMs ?? 0))).toBeLessThanOrEqual(coarse);
      }
    }
  });

  it.each(['enhanced', 'obsolete', 'simple'] as const)('are read from %s packet blocks', (block) => {
    const file = pcapngFile(packets, { block, interfaces: [{ linkType: 1, resolution: 6 }] });
    expect(framesOf(file).map(({ bytes }) => Buffer.from(bytes).toString())).toEqual(['first', 'second packet']);
  });

  it('keep each interface’s own link type, and forget them in the next section', () => {
    const two = pcapngFile(
      packets.map((one, interfaceId) => ({ ...one, interfaceId })),
      {
        interfaces: [
          { linkType: 1, resolution: 6 },
          { linkType: 113, resolution: 9 },
        ],
      },
    );
    const next = pcapngFile(packets.slice(0, 1), { bigEndian: true, interfaces: [{ linkType: 101, resolution: 6 }] });
    expect(framesOf(Buffer.concat([two, next])).map(({ linkType }) => linkType)).toEqual([1, 113, 101]);
  });

  it.each([1, 3, 17, 1000])('give the same frames when they come in pieces of %i bytes', (chunkBytes) => {
    const file = pcapngFile(eventPackets('12', 101), { interfaces: [{ linkType: 1, resolution: 6 }] });
    expect(framesOf(file, chunkBytes)).toEqual(framesOf(file));
  });

  it('say that a packet was cut', () => {
    const file = pcapFile(packets);
    file.writeUInt32LE(1500, 24 + 12);
    expect(framesOf(file).map(({ cut }) => cut)).toEqual([true, false]);
  });
});

describe('link layers', () => {
  it.each<[string, number, (packet: Uint8Array) => Uint8Array]>([
    ['Ethernet', 1, (bytes) => ethernet(bytes)],
    ['a VLAN', 1, (bytes) => ethernet(bytes, [100])],
    ['QinQ', 1, (bytes) => ethernet(bytes, [100, 7])],
    ['Linux cooked', 113, (bytes) => cooked(bytes, 1)],
    ['Linux cooked v2', 276, (bytes) => cooked(bytes, 2)],
    ['raw IP', 101, (bytes) => bytes],
    ['raw IP of old libpcap', 12, (bytes) => bytes],
    ['null', 0, (bytes) => Buffer.concat([Buffer.from([2, 0, 0, 0]), bytes])],
    ['loop', 108, (bytes) => Buffer.concat([Buffer.from([0, 0, 0, 2]), bytes])],
    ['PPP with HDLC framing', 9, (bytes) => Buffer.concat([Buffer.from([0xff, 0x03, 0x00, 0x21]), bytes])],
    ['PPP with a short protocol field', 9, (bytes) => Buffer.concat([Buffer.from([0x21]), bytes])],
  ])('%s gives its IP packet', (_, linkType, wrap) => {
    expect(packetsOf([1, 2, 3].map((sequence) => asFrame(linkType, wrap(packet(sequence)))))).toEqual(EXPECTED);
  });

  it('IPv6 is read through its extension headers', () => {
    const source = '20010db8000000000000000000000001';
    const destination = '20010db8000000000000000000000002';
    const frames = [1, 2, 3].map((one) => asFrame(1, ethernet(ipv6(source, destination, 17, datagram(one)))));
    expect(packetsOf(frames)[2]).toBe('[2001:db8::1]:40000>[2001:db8::2]:20000/00000007 101 3');
  });
});

describe('IP fragments', () => {
  const fragments = (sequence: number): Uint8Array[] => {
    const whole = datagram(sequence);
    return [
      ipv4(CALLER, 17, whole.subarray(0, 8), { id: sequence, offset: 0, more: true }),
      ipv4(CALLER, 17, whole.subarray(8, 16), { id: sequence, offset: 8, more: true }),
      ipv4(CALLER, 17, whole.subarray(16), { id: sequence, offset: 16, more: false }),
    ];
  };

  it('are put together in any order, repeated or not', () => {
    const orders = [
      [0, 1, 2],
      [2, 1, 0],
      [1, 1, 2, 0],
    ];
    const frames = orders.flatMap((order, index) =>
      order.map((at) => asFrame(101, fragments(index + 1)[at] ?? new Uint8Array())),
    );
    expect(packetsOf(frames)).toEqual(EXPECTED);
  });

  it('give nothing where an overlap is as long as a hole', () => {
    const frames = [1, 2, 3].flatMap((id) => {
      const body = Buffer.alloc(48, telephoneEvent(1, false, 160));
      const whole = udp(CALLER, rtp({ payloadType: 101, sequenceNumber: id, timestamp: 1600, ssrc: 7 }, body));
      return [
        ipv4(CALLER, 17, whole.subarray(0, 16), { id, offset: 0, more: true }),
        ipv4(CALLER, 17, whole.subarray(8, 24), { id, offset: 8, more: true }),
        ipv4(CALLER, 17, whole.subarray(32), { id, offset: 32, more: false }),
      ];
    });
    expect(packetsOf(frames.map((bytes) => asFrame(101, bytes)))).toEqual([]);
  });

  it('give nothing where one is lost, overlaps, or comes half a minute later', () => {
    const [first, second, last] = fragments(1) as [Uint8Array, Uint8Array, Uint8Array];
    const overlapping = ipv4(CALLER, 17, datagram(1).subarray(0, 16), { id: 1, offset: 0, more: true });
    expect(packetsOf([asFrame(101, first), asFrame(101, last)])).toEqual([]);
    expect(packetsOf([overlapping, second, last].map((bytes) => asFrame(101, bytes)))).toEqual([]);
    expect(packetsOf([asFrame(101, first), asFrame(101, second), asFrame(101, last, 30_001)])).toEqual([]);
  });
});

describe('finding RTP without SIP', () => {
  it('believes three packets in step and no fewer', () => {
    expect(packetsOf([1, 2].map((one) => asFrame(101, packet(one))))).toEqual([]);
    expect(packetsOf([1, 900, 2000].map((one) => asFrame(101, packet(one))))).toEqual([]);
  });

  it('takes neither RTCP nor other datagrams for RTP', () => {
    const frames = [200, 201, 202].flatMap((type) =>
      [0, 1, 2].map(() =>
        asFrame(101, ipv4(CALLER, 17, udp(CALLER, Buffer.from([0x80, type, 0, 6, ...Array(24).fill(1)])))),
      ),
    );
    const quic = [0, 1, 2].map(() => asFrame(101, ipv4(CALLER, 17, udp(CALLER, Buffer.alloc(60, 0x45)))));
    expect(packetsOf([...frames, ...quic])).toEqual([]);
  });

  it('hands on each packet once, in order, over the wrap of sequence numbers', () => {
    const order = [65_534, 65_535, 1, 0, 0, 2, 65_535];
    expect(packetsOf(order.map((one) => asFrame(101, packet(one)))).map((line) => line.split(' ')[2])).toEqual([
      '65534',
      '65535',
      '0',
      '1',
      '2',
    ]);
  });

  it('goes on after a sender that began again at another sequence number', () => {
    const order = [1, 2, 3, 40_000, 40_001];
    expect(packetsOf(order.map((one) => asFrame(101, packet(one))))).toHaveLength(5);
  });
});
