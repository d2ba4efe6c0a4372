import { addressText, halfAt, type IpPacket, PROTOCOL_TCP, PROTOCOL_UDP } from './ip.ts';

/** A UDP datagram or a TCP segment: a place in bytes, good during the call that brings it. */
export interface Transport {
  kind: 'udp' | 'tcp';
  bytes: Uint8Array;
  /** As in IpPacket. */
  addressesAt: number;
  addressBytes: number;
  sourcePort: number;
  destinationPort: number;
  /** The payload. */
  from: number;
  to: number;
  /** UDP: fewer bytes than the header says. */
  cut: boolean;
  /** TCP only, as the three below. */
  sequence: number;
  isSyn: boolean;
  isReset: boolean;
}

/** `address:port`; an IPv6 address in brackets. */
export interface Ends {
  readonly source: string;
  readonly destination: string;
}

const UDP_HEADER_BYTES = 8;
const TCP_HEADER_BYTES = 20;

export function emptyTransport(): Transport {
  return {
    kind: 'udp',
    bytes: new Uint8Array(),
    addressesAt: 0,
    addressBytes: 4,
    sourcePort: 0,
    destinationPort: 0,
    from: 0,
    to: 0,
    cut: false,
    sequence: 0,
    isSyn: false,
    isReset: false,
  };
}

/** RFC 768, RFC 9293 §3.1. False for other protocols and for what is shorter than its header. */
export function readTransport(packet: IpPacket, into: Transport): boolean {
  const { bytes, from, to } = packet;
  if (to - from < UDP_HEADER_BYTES) return false;
  into.bytes = bytes;
  into.addressesAt = packet.addressesAt;
  into.addressBytes = packet.addressBytes;
  into.sourcePort = halfAt(bytes, from);
  into.destinationPort = halfAt(bytes, from + 2);
  if (packet.protocol === PROTOCOL_UDP) return readUdp(into, from, to);
  return packet.protocol === PROTOCOL_TCP && readTcp(into, from, to);
}

function readUdp(into: Transport, from: number, to: number): boolean {
  const stated = halfAt(into.bytes, from + 4);
  if (stated !== 0 && stated < UDP_HEADER_BYTES) return false;
  const length = stated === 0 ? to - from : stated;
  into.kind = 'udp';
  into.from = from + UDP_HEADER_BYTES;
  into.to = Math.min(from + length, to);
  into.cut = from + length > to;
  return true;
}

function readTcp(into: Transport, from: number, to: number): boolean {
  if (to - from < TCP_HEADER_BYTES) return false;
  const { bytes } = into;
  const headerBytes = ((bytes[from + 12] ?? 0) >> 4) * 4;
  if (headerBytes < TCP_HEADER_BYTES || from + headerBytes > to) return false;
  const flags = bytes[from + 13] ?? 0;
  into.kind = 'tcp';
  into.from = from + headerBytes;
  into.to = to;
  into.cut = false;
  into.sequence = halfAt(bytes, from + 4) * 0x10000 + halfAt(bytes, from + 6);
  into.isSyn = (flags & 0x02) !== 0;
  into.isReset = (flags & 0x04) !== 0;
  return true;
}

export function endsOf(packet: Transport): Ends {
  const { bytes, addressesAt, addressBytes } = packet;
  const source = addressText(bytes, addressesAt, addressBytes);
  const destination = addressText(bytes, addressesAt + addressBytes, addressBytes);
  return {
    source: endpointText(source, packet.sourcePort),
    destination: endpointText(destination, packet.destinationPort),
  };
}

function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
