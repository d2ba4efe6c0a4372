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

export function ethernet(packet: Uint8Array, vlans: readonly number[] = []): Uint8Array {
  const version = (packet[0] ?? 0) >> 4;
  const tags = vlans.map((vlan, index) =>
    Buffer.from([...(index === 0 && vlans.length > 1 ? [0x88, 0xa8] : [0x81, 0x00]), vlan >> 8, vlan & 0xff]),
  );
  const type = Buffer.from(version === 6 ? [0x86, 0xdd] : [0x08, 0x00]);
  return Buffer.concat([Buffer.alloc(12), ...tags, type, packet]);
}

/** Linux cooked capture, version 1 and 2. */
export function cooked(packet: Uint8Array, version: 1 | 2): Uint8Array {
  const header = Buffer.alloc(version === 1 ? 16 : 20);
  header.writeUInt16BE(0x0800, version === 1 ? 14 : 0);
  return Buffer.concat([header, packet]);
}

/** 1 January 2026; captures begin here. */
const EPOCH_SECONDS = 1_767_225_600;

export interface PcapOptions {
  readonly linkType?: number;
  readonly bigEndian?: boolean;
  readonly nanoseconds?: boolean;
}

export function pcapFile(packets: readonly Captured[], options: PcapOptions = {}): Buffer {
  const word = (value: number): Buffer => wordOf(value, options.bigEndian === true);
  const half = (value: number): Buffer => halfOf(value, options.bigEndian === true);
  const perMs = options.nanoseconds === true ? 1_000_000 : 1_000;
  const magic = word(options.nanoseconds === true ? 0xa1b23c4d : 0xa1b2c3d4);
  const head = [magic, half(2), half(4), word(0), word(0), word(262_144), word(options.linkType ?? 1)];
  const records = packets.flatMap(({ atMs, bytes }) => [
    word(EPOCH_SECONDS + Math.floor(atMs / 1000)),
    word(Math.round((atMs % 1000) * perMs)),
    word(bytes.length),
    word(bytes.length),
    bytes,
  ]);
  return Buffer.concat([...head, ...records]);
}

export interface PcapngOptions {
  readonly bigEndian?: boolean;
  /** Link type and time resolution (if_tsresol) of each interface. */
  readonly interfaces: readonly { readonly linkType: number; readonly resolution: number }[];
  readonly block?: 'enhanced' | 'obsolete' | 'simple';
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
  const interfaces = options.interfaces.map(({ linkType, resolution }) =>
    block(1, half(linkType), half(0), word(0), half(9), half(1), Buffer.from([resolution, 0, 0, 0]), half(0), half(0)),
  );
  const blocks = packets.map(({ atMs, bytes, interfaceId = 0 }) => {
    if (options.block === 'simple') return block(3, word(bytes.length), bytes);
    const resolution = options.interfaces[interfaceId]?.resolution ?? 6;
    const perSecond = (resolution & 0x80) !== 0 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
    const units = BigInt(EPOCH_SECONDS) * perSecond + (BigInt(Math.round(atMs * 1000)) * perSecond) / 1_000_000n;
    const time = [word(Number(units >> 32n)), word(Number(units & 0xffffffffn))];
    const sizes = [word(bytes.length), word(bytes.length)];
    return options.block === 'obsolete'
      ? block(2, half(interfaceId), half(0), ...time, ...sizes, bytes)
      : block(6, word(interfaceId), ...time, ...sizes, bytes);
  });
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
