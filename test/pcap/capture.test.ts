import { describe, expect, it } from 'vitest';
import { Capture, frameReaderFor } from '../../src/pcap/capture.ts';
import { FRAME_BYTES_MAX, type Frame, INTERFACES_MAX } from '../../src/pcap/frame.ts';
import { IpReader, REASSEMBLIES_MAX } from '../../src/pcap/ip.ts';
import { CALLER, eventPackets } from '../data/calls.ts';
import {
  cooked,
  ethernet,
  ipv4,
  ipv4Fragments,
  ipv6,
  ipv6Fragments,
  mpls,
  pcapFile,
  pcapngFile,
  rtp,
  telephoneEvent,
  udp,
} from '../data/packets.ts';

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
const IPV6 = ['20010db8000000000000000000000001', '20010db8000000000000000000000002'] as const;
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
    ['records of a patched libpcap, little endian', { patched: true }],
    ['records of a patched libpcap, big endian', { patched: true, bigEndian: true }],
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
    const events = eventPackets('12', 101);
    const options = { foreignBlocks: true, interfaces: [{ linkType: 1, resolution: 6 }] };
    for (const file of [pcapngFile(events, options), pcapFile(events)]) {
      expect(framesOf(file, chunkBytes)).toEqual(framesOf(file));
    }
  });

  it('are read past blocks that hold no packets, and those that nobody has heard of', () => {
    const file = pcapngFile(packets, { foreignBlocks: true, interfaces: [{ linkType: 1, resolution: 6 }] });
    expect(seen(framesOf(file))).toEqual(expected);
  });

  it.each([false, true])('count time from where the interface’s if_tsoffset says (big endian: %s)', (bigEndian) => {
    const interfaces = [{ linkType: 1, resolution: 6, offsetSeconds: 1_700_000_000 }];
    expect(seen(framesOf(pcapngFile(packets, { bigEndian, interfaces })))).toEqual(expected);
  });

  it('say which packets were cut, in every kind of record', () => {
    const cut = [pcapFile(packets, { snapLength: 8 })];
    for (const block of ['enhanced', 'obsolete', 'simple'] as const) {
      cut.push(pcapngFile(packets, { block, interfaces: [{ linkType: 1, resolution: 6, snapLength: 8 }] }));
    }
    for (const file of cut) {
      const frames = framesOf(file).map((frame) => [Buffer.from(frame.bytes).toString(), frame.cut]);
      expect(frames).toEqual([
        ['first', false],
        ['second p', true],
      ]);
    }
  });

  it('end with a reason where a packet, a block or a section cannot be', () => {
    const faultOf = (bytes: Buffer): string | null => {
      const reader = frameReaderFor(bytes);
      reader?.push(bytes, () => {});
      return reader?.fault ?? null;
    };
    const pcapng = pcapngFile(packets, { interfaces: [{ linkType: 1, resolution: 6 }] });
    const long = Buffer.from(pcapng);
    long.writeUInt32LE(0x7ffffffc, 28 + 4);
    expect(faultOf(long)).toBe('is damaged: a block claims 2147483644 bytes');
    const orderless = Buffer.from(pcapng);
    orderless.writeUInt32LE(0, 8);
    expect(faultOf(orderless)).toBe('is damaged: a section without its byte order');
    const oneInterface = { linkType: 1, resolution: 6 };
    const many = pcapngFile([], { interfaces: Array.from({ length: INTERFACES_MAX + 1 }, () => oneInterface) });
    expect(faultOf(many)).toBe('has more than 1024 interfaces');
    const huge = pcapFile(packets);
    huge.writeUInt32LE(FRAME_BYTES_MAX + 1, 24 + 8);
    expect(faultOf(huge)).toBe('is damaged: a packet claims 262145 bytes');
  });
});

describe('link layers', () => {
  it.each<[string, number, (packet: Uint8Array) => Uint8Array]>([
    ['Ethernet', 1, (bytes) => ethernet(bytes)],
    ['a VLAN', 1, (bytes) => ethernet(bytes, [100])],
    ['QinQ', 1, (bytes) => ethernet(bytes, [100, 7])],
    ['three VLAN tags', 1, (bytes) => ethernet(bytes, [100, 7, 8])],
    ['MPLS', 1, (bytes) => mpls(bytes, [16])],
    ['a stack of MPLS labels', 1, (bytes) => mpls(bytes, [100_000, 17, 3])],
    ['Ethernet with a check sequence behind it', 1, (bytes) => Buffer.concat([ethernet(bytes), Buffer.alloc(4, 0xa5)])],
    ['Linux cooked', 113, (bytes) => cooked(bytes, 1)],
    ['Linux cooked with a VLAN', 113, (bytes) => cooked(bytes, 1, 100)],
    ['Linux cooked v2', 276, (bytes) => cooked(bytes, 2)],
    ['Linux cooked v2 with a VLAN', 276, (bytes) => cooked(bytes, 2, 100)],
    ['raw IP', 101, (bytes) => bytes],
    ['raw IPv4', 228, (bytes) => bytes],
    ['raw IP of old libpcap', 12, (bytes) => bytes],
    ['raw IP of OpenBSD', 14, (bytes) => bytes],
    ['null in the other byte order', 0, (bytes) => Buffer.concat([Buffer.from([0, 0, 0, 2]), bytes])],
    ['null', 0, (bytes) => Buffer.concat([Buffer.from([2, 0, 0, 0]), bytes])],
    ['loop', 108, (bytes) => Buffer.concat([Buffer.from([0, 0, 0, 2]), bytes])],
    ['PPP with HDLC framing', 9, (bytes) => Buffer.concat([Buffer.from([0xff, 0x03, 0x00, 0x21]), bytes])],
    ['PPP with a short protocol field', 9, (bytes) => Buffer.concat([Buffer.from([0x21]), bytes])],
  ])('%s gives its IP packet', (_, linkType, wrap) => {
    expect(packetsOf([1, 2, 3].map((sequence) => asFrame(linkType, wrap(packet(sequence)))))).toEqual(EXPECTED);
  });

  it.each<[string, number, (packet: Uint8Array) => Uint8Array]>([
    ['Ethernet', 1, (bytes) => ethernet(bytes)],
    ['QinQ', 1, (bytes) => ethernet(bytes, [100, 7])],
    ['Linux cooked', 113, (bytes) => cooked(bytes, 1)],
    ['Linux cooked v2', 276, (bytes) => cooked(bytes, 2)],
    ['raw IP', 101, (bytes) => bytes],
    ['raw IPv6', 229, (bytes) => bytes],
    // AF_INET6 is 10 on Linux, 24, 28 or 30 on BSD and macOS.
    ['null', 0, (bytes) => Buffer.concat([Buffer.from([30, 0, 0, 0]), bytes])],
  ])('%s gives IPv6, read through its extension headers', (_, linkType, wrap) => {
    const frames = [1, 2, 3].map((one) => asFrame(linkType, wrap(ipv6(...IPV6, 17, datagram(one)))));
    expect(packetsOf(frames)[2]).toBe('[2001:db8::1]:40000>[2001:db8::2]:20000/00000007 101 3');
  });

  it('gives nothing of a link type, an EtherType or tags that cannot be read', () => {
    const tags = ethernet(packet(1), [1, 2, 3, 4, 5]);
    const labels = mpls(packet(1), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const arp = Buffer.concat([Buffer.alloc(12), Buffer.from([0x08, 0x06]), Buffer.alloc(40)]);
    const capture = new Capture({ stream: () => () => {}, info: () => {} });
    for (const bytes of [tags, labels, arp]) capture.frame(asFrame(1, bytes));
    capture.frame(asFrame(147, packet(1)));
    expect(capture.finish()).toMatchObject({ frames: 4, notIp: 4 });
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

  it.each([[[0, 1, 2, 3]], [[3, 2, 1, 0]], [[1, 3, 3, 0, 2]]])('of IPv6 are put together in the order %j', (order) => {
    const frames = [1, 2, 3].flatMap((id) => {
      const parts = ipv6Fragments(...IPV6, { protocol: 17, id: 0x10000 + id }, datagram(id), 8);
      return order.map((at) => asFrame(101, parts[at] ?? new Uint8Array()));
    });
    expect(packetsOf(frames).map((line) => line.split(' ')[2])).toEqual(['1', '2', '3']);
  });

  it('of several packets are told apart by addresses, protocol and identification', () => {
    const streams = [1, 2, 3].flatMap((id) => [
      ipv4Fragments(CALLER, { protocol: 17, id }, datagram(id), 8),
      ipv4Fragments({ ...CALLER, source: '192.0.2.11' }, { protocol: 17, id }, datagram(id), 8),
      ipv4Fragments(CALLER, { protocol: 6, id }, datagram(id), 8),
    ]);
    const turns = [0, 1, 2].flatMap((at) => streams.map((parts) => asFrame(101, parts[at] ?? new Uint8Array())));
    const found = packetsOf(turns);
    expect(found.filter((line) => line.startsWith('192.0.2.10'))).toEqual(EXPECTED);
    expect(found.filter((line) => line.startsWith('192.0.2.11'))).toHaveLength(3);
  });

  it('of which the capture cut one give nothing', () => {
    const cutOff = (parts: readonly Uint8Array[], at: number): Frame[] =>
      parts.map((bytes, index) => asFrame(101, index === at ? bytes.subarray(0, bytes.length - 3) : bytes));
    for (const at of [0, 1, 2]) {
      const frames = [1, 2, 3].flatMap((id) =>
        cutOff(ipv4Fragments(CALLER, { protocol: 17, id }, datagram(id), 8), at),
      );
      expect(packetsOf(frames)).toEqual([]);
    }
  });

  it('that never become whole are forgotten, so that any number of them takes no more memory', () => {
    const reader = new IpReader();
    const first = (id: number) => ipv4Fragments(CALLER, { protocol: 17, id }, datagram(id), 8);
    const read = (bytes: Uint8Array | undefined) =>
      reader.read(bytes ?? new Uint8Array(), 0, bytes?.length ?? 0, 0) !== null;
    read(first(0)[0]);
    for (let id = 1; id <= REASSEMBLIES_MAX; id += 1) read(first(id)[0]);
    // The first gave way; the last is still awaited.
    expect([1, 2].map((at) => read(first(0)[at])).at(-1)).toBe(false);
    expect([1, 2].map((at) => read(first(REASSEMBLIES_MAX)[at])).at(-1)).toBe(true);
  });

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

describe('packets that the capture cut', () => {
  it('are left out and counted, but those are read of which only padding is missing', () => {
    const seen: number[] = [];
    const capture = new Capture({
      stream: () => (one) => seen.push(one.sequenceNumber),
      info: () => {},
    });
    const whole = [1, 2, 3, 4, 5, 6].map((one) => ethernet(packet(one)));
    for (const [index, bytes] of whole.entries()) {
      const isCut = index === 3;
      const padded = Buffer.concat([bytes, Buffer.alloc(6)]);
      const kept = isCut ? bytes.subarray(0, bytes.length - 1) : index === 4 ? bytes : padded;
      capture.frame({ ...asFrame(1, kept), cut: kept.length < padded.length });
    }
    expect(capture.finish()).toMatchObject({ frames: 6, cut: 2 });
    expect(seen).toEqual([1, 2, 3, 5, 6]);
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
