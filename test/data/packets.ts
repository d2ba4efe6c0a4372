import { RtpPacket } from 'rtp.js/packets';

/** Packets and files that the project makes itself. Deterministic: no clock, no chance. */
export interface Ends {
  readonly source: string;
  readonly sourcePort: number;
  readonly destination: string;
  readonly destinationPort: number;
}

export interface Captured {
  /** Milliseconds since the capture began. */
  readonly atMs: number;
  readonly bytes: Uint8Array;
  readonly interfaceId?: number;
}

export interface RtpFields {
  readonly payloadType: number;
  readonly sequenceNumber: number;
  readonly timestamp: number;
  readonly ssrc: number;
  readonly marker?: boolean;
}

export function rtp(fields: RtpFields, payload: Uint8Array): Uint8Array {
  const packet = new RtpPacket();
  packet.setPayloadType(fields.payloadType);
  packet.setSequenceNumber(fields.sequenceNumber & 0xffff);
  packet.setTimestamp(fields.timestamp >>> 0);
  packet.setSsrc(fields.ssrc);
  packet.setMarker(fields.marker ?? false);
  packet.setPayload(new DataView(payload.buffer, payload.byteOffset, payload.byteLength));
  packet.serialize();
  const view = packet.getView();
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength).slice();
}

/** RFC 4733 §2.3. */
export function telephoneEvent(event: number, end: boolean, durationTs: number, volume = 10): Uint8Array {
  return Uint8Array.of(event, (end ? 0x80 : 0) | volume, durationTs >> 8, durationTs & 0xff);
}

export function udp(ends: Ends, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(ends.sourcePort, 0);
  header.writeUInt16BE(ends.destinationPort, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([header, payload]);
}

export function tcp(ends: Ends, sequence: number, payload: Uint8Array, flags = 0x18): Uint8Array {
  const header = Buffer.alloc(20);
  header.writeUInt16BE(ends.sourcePort, 0);
  header.writeUInt16BE(ends.destinationPort, 2);
  header.writeUInt32BE(sequence >>> 0, 4);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(flags, 13);
  return Buffer.concat([header, payload]);
}

const ipv4Bytes = (address: string): Buffer => Buffer.from(address.split('.').map(Number));

/** Offsets and sizes in bytes; `more` says that further fragments follow. */
export function ipv4(
  ends: Ends,
  protocol: number,
  payload: Uint8Array,
  fragment: { id: number; offset: number; more: boolean } = { id: 0, offset: 0, more: false },
): Uint8Array {
  const header = Buffer.alloc(20);
  header.writeUInt8(0x45, 0);
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(fragment.id, 4);
  header.writeUInt16BE((fragment.more ? 0x2000 : 0) | (fragment.offset / 8), 6);
  header.writeUInt8(64, 8);
  header.writeUInt8(protocol, 9);
  ipv4Bytes(ends.source).copy(header, 12);
  ipv4Bytes(ends.destination).copy(header, 16);
  return Buffer.concat([header, payload]);
}

/** Addresses as 32 hexadecimal digits; a destination-options header of 8 bytes before the transport. */
export function ipv6(source: string, destination: string, protocol: number, payload: Uint8Array): Uint8Array {
  const header = Buffer.alloc(48);
  header.writeUInt8(0x60, 0);
  header.writeUInt16BE(8 + payload.length, 4);
  header.writeUInt8(60, 6);
  header.writeUInt8(64, 7);
  header.write(source, 8, 'hex');
  header.write(destination, 24, 'hex');
  header.writeUInt8(protocol, 40);
  // PadN of four bytes.
  header.write('010400000000', 42, 'hex');
  return Buffer.concat([header, payload]);
}

/** As `ipv6`, in fragments of at most `bytesMax` (a multiple of 8); RFC 8200 §4.5. */
export function ipv6Fragments(
  source: string,
  destination: string,
  { protocol, id }: { protocol: number; id: number },
  payload: Uint8Array,
  bytesMax: number,
): Uint8Array[] {
  return Array.from({ length: Math.ceil(payload.length / bytesMax) }, (_, index) => {
    const part = payload.subarray(index * bytesMax, (index + 1) * bytesMax);
    const header = Buffer.alloc(48);
    header.writeUInt8(0x60, 0);
    header.writeUInt16BE(8 + part.length, 4);
    header.writeUInt8(44, 6);
    header.writeUInt8(64, 7);
    header.write(source, 8, 'hex');
    header.write(destination, 24, 'hex');
    header.writeUInt8(protocol, 40);
    const hasMore = (index + 1) * bytesMax < payload.length;
    header.writeUInt16BE((index * bytesMax) | (hasMore ? 1 : 0), 42);
    header.writeUInt32BE(id, 44);
    return Buffer.concat([header, part]);
  });
}

/** As `ipv4`, in fragments of at most `bytesMax` (a multiple of 8). */
export function ipv4Fragments(
  ends: Ends,
  { protocol, id }: { protocol: number; id: number },
  payload: Uint8Array,
  bytesMax: number,
): Uint8Array[] {
  return Array.from({ length: Math.ceil(payload.length / bytesMax) }, (_, index) => {
    const offset = index * bytesMax;
    const more = offset + bytesMax < payload.length;
    return ipv4(ends, protocol, payload.subarray(offset, offset + bytesMax), { id, offset, more });
  });
}

export function ethernet(packet: Uint8Array, vlans: readonly number[] = []): Uint8Array {
  const version = (packet[0] ?? 0) >> 4;
  const tags = vlans.map((vlan, index) =>
    Buffer.from([...(index === 0 && vlans.length > 1 ? [0x88, 0xa8] : [0x81, 0x00]), vlan >> 8, vlan & 0xff]),
  );
  const type = Buffer.from(version === 6 ? [0x86, 0xdd] : [0x08, 0x00]);
  return Buffer.concat([Buffer.alloc(12), ...tags, type, packet]);
}

/** Linux cooked capture, version 1 and 2; with a VLAN tag where one is given. */
export function cooked(packet: Uint8Array, version: 1 | 2, vlan: number | null = null): Uint8Array {
  const header = Buffer.alloc(version === 1 ? 16 : 20);
  const type = (packet[0] ?? 0) >> 4 === 6 ? 0x86dd : 0x0800;
  header.writeUInt16BE(vlan === null ? type : 0x8100, version === 1 ? 14 : 0);
  const tag = Buffer.from(vlan === null ? [] : [vlan >> 8, vlan & 0xff, type >> 8, type & 0xff]);
  return Buffer.concat([header, tag, packet]);
}

/** An Ethernet frame with a stack of MPLS labels, RFC 3032 §2.1. */
export function mpls(packet: Uint8Array, labels: readonly number[]): Uint8Array {
  const stack = labels.map((label, index) => {
    const entry = Buffer.alloc(4);
    entry.writeUInt32BE(((label << 12) | (index === labels.length - 1 ? 0x100 : 0) | 64) >>> 0);
    return entry;
  });
  return Buffer.concat([Buffer.alloc(12), Buffer.from([0x88, 0x47]), ...stack, packet]);
}

/** 1 January 2026; captures begin here. */
const EPOCH_SECONDS = 1_767_225_600;

export interface PcapOptions {
  readonly linkType?: number;
  readonly bigEndian?: boolean;
  readonly nanoseconds?: boolean;
  /** Of each packet so many bytes are kept. */
  readonly snapLength?: number;
  /** Records with eight more bytes of header, as a patched libpcap of the nineties wrote. */
  readonly patched?: boolean;
}

export function pcapFile(packets: readonly Captured[], options: PcapOptions = {}): Buffer {
  const word = (value: number): Buffer => wordOf(value, options.bigEndian === true);
  const half = (value: number): Buffer => halfOf(value, options.bigEndian === true);
  const perMs = options.nanoseconds === true ? 1_000_000 : 1_000;
  const snapLength = options.snapLength ?? 262_144;
  const magic = word(options.patched === true ? 0xa1b2cd34 : options.nanoseconds === true ? 0xa1b23c4d : 0xa1b2c3d4);
  const head = [magic, half(2), half(4), word(0), word(0), word(snapLength), word(options.linkType ?? 1)];
  const records = packets.flatMap(({ atMs, bytes }) => [
    word(EPOCH_SECONDS + Math.floor(atMs / 1000)),
    word(Math.round((atMs % 1000) * perMs)),
    word(Math.min(snapLength, bytes.length)),
    word(bytes.length),
    ...(options.patched === true ? [Buffer.alloc(8)] : []),
    bytes.subarray(0, snapLength),
  ]);
  return Buffer.concat([...head, ...records]);
}

export interface PcapngOptions {
  readonly bigEndian?: boolean;
  /** Link type, time resolution (if_tsresol), offset (if_tsoffset) and snap length (0: none) of each interface. */
  readonly interfaces: readonly {
    readonly linkType: number;
    readonly resolution: number;
    readonly offsetSeconds?: number;
    readonly snapLength?: number;
  }[];
  readonly block?: 'enhanced' | 'obsolete' | 'simple';
  /** A name resolution, an interface statistics, a custom and an unheard-of block before each packet. */
  readonly foreignBlocks?: boolean;
}

export function pcapngFile(packets: readonly Captured[], options: PcapngOptions): Buffer {
  const big = options.bigEndian === true;
  const word = (value: number): Buffer => wordOf(value, big);
  const half = (value: number): Buffer => halfOf(value, big);
  const block = (type: number, ...parts: readonly Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts);
    const padding = Buffer.alloc((4 - (body.length % 4)) % 4);
    const length = word(12 + body.length + padding.length);
    return Buffer.concat([word(type), length, body, padding, length]);
  };
  const section = block(0x0a0d0d0a, word(0x1a2b3c4d), half(1), half(0), word(0xffffffff), word(0xffffffff));
  const packetBlock = ({ atMs, bytes, interfaceId = 0 }: Captured): Buffer => {
    const of = options.interfaces[interfaceId];
    const kept = of?.snapLength ? bytes.subarray(0, of.snapLength) : bytes;
    if (options.block === 'simple') return block(3, word(bytes.length), kept);
    const resolution = of?.resolution ?? 6;
    const perSecond = (resolution & 0x80) !== 0 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    const seconds = BigInt(EPOCH_SECONDS - (of?.offsetSeconds ?? 0));
    const units = seconds * perSecond + (BigInt(Math.round(atMs * 1000)) * perSecond) / 1_000_000n;
    const time = [word(Number(units >> 32n)), word(Number(units & 0xffffffffn))];
    const sizes = [word(kept.length), word(bytes.length)];
    return options.block === 'obsolete'
      ? block(2, half(interfaceId), half(0), ...time, ...sizes, kept)
      : block(6, word(interfaceId), ...time, ...sizes, kept);
  };
  const interfaces = options.interfaces.map(({ linkType, resolution, offsetSeconds, snapLength }) => {
    const time = [half(9), half(1), Buffer.from([resolution, 0, 0, 0])];
    const offset = Buffer.alloc(8);
    if (big) offset.writeBigInt64BE(BigInt(offsetSeconds ?? 0));
    else offset.writeBigInt64LE(BigInt(offsetSeconds ?? 0));
    const shift = offsetSeconds === undefined ? [] : [half(14), half(8), offset];
    // An if_name of five bytes, so padded, stands before.
    const name = [half(2), half(5), Buffer.from('eth0\0\0\0\0')];
    return block(1, half(linkType), half(0), word(snapLength ?? 0), ...name, ...time, ...shift, half(0), half(0));
  });
  const foreign = [
    block(4, half(0), half(0)),
    block(5, word(0), word(0), word(0)),
    block(0x0bad, word(32_473), Buffer.alloc(13, 0x5a)),
    block(0x7777, Buffer.alloc(13, 0x5a)),
  ];
  const blocks = packets.flatMap((packet) => [
    ...(options.foreignBlocks === true ? foreign : []),
    packetBlock(packet),
  ]);
  return Buffer.concat([section, ...interfaces, ...blocks]);
}

function wordOf(value: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(4);
  if (bigEndian) bytes.writeUInt32BE(value);
  else bytes.writeUInt32LE(value);
  return bytes;
}

function halfOf(value: number, bigEndian: boolean): Buffer {
  const bytes = Buffer.alloc(2);
  if (bigEndian) bytes.writeUInt16BE(value);
  else bytes.writeUInt16LE(value);
  return bytes;
}
