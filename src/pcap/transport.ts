import { type IpPacket, PROTOCOL_TCP, PROTOCOL_UDP } from './ip.ts';

export interface UdpDatagram {
  readonly kind: 'udp';
  /** `address:port`; an IPv6 address in brackets. */
  readonly source: string;
  readonly destination: string;
  readonly payload: Uint8Array;
  /** Fewer bytes than the header says. */
  readonly cut: boolean;
}

export interface TcpSegment {
  readonly kind: 'tcp';
  readonly source: string;
  readonly destination: string;
  readonly sequence: number;
  readonly isSyn: boolean;
  readonly isReset: boolean;
  readonly payload: Uint8Array;
}

/** RFC 768, RFC 9293 §3.1. Null for other protocols and for what is shorter than its header. */
export function transportOf(packet: IpPacket): UdpDatagram | TcpSegment | null {
  const { payload } = packet;
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.length < 8) return null;
  if (packet.protocol === PROTOCOL_UDP) {
    const stated = view.readUInt16BE(4);
    if (stated !== 0 && stated < 8) return null;
    const length = stated === 0 ? view.length : stated;
    const bytes = view.subarray(8, Math.min(length, view.length));
    return { kind: 'udp', ...endpoints(packet, view), payload: bytes, cut: length > view.length };
  }
  if (packet.protocol !== PROTOCOL_TCP || view.length < 20) return null;
  const headerBytes = (view.readUInt8(12) >> 4) * 4;
  if (headerBytes < 20 || headerBytes > view.length) return null;
  const flags = view.readUInt8(13);
  return {
    kind: 'tcp',
    ...endpoints(packet, view),
    sequence: view.readUInt32BE(4),
    isSyn: (flags & 0x02) !== 0,
    isReset: (flags & 0x04) !== 0,
    payload: view.subarray(headerBytes),
  };
}

function endpoints(packet: IpPacket, view: Buffer): { source: string; destination: string } {
  return {
    source: endpointText(packet.source, view.readUInt16BE(0)),
    destination: endpointText(packet.destination, view.readUInt16BE(2)),
  };
}

export function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
