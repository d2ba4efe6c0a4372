/** A whole IP payload, put together from fragments where there were any. */
export interface IpPacket {
  readonly protocol: number;
  readonly source: string;
  readonly destination: string;
  readonly payload: Uint8Array;
}

export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Packets whose fragments are awaited at once; the oldest gives way. */
export const REASSEMBLIES_MAX = 256;
export const FRAGMENTS_MAX = 128;
/** RFC 791 §3.2 suggests 15 s as a lower bound, Linux waits 30 s. */
export const REASSEMBLY_MS_MAX = 30_000;
const IP_PAYLOAD_BYTES_MAX = 65_535;
const EXTENSION_HEADERS_MAX = 16;

/** IPv6 extension headers: hop-by-hop, routing, fragment, authentication, destination options, mobility. */
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const AUTHENTICATION = 51;
const DESTINATION = 60;
const MOBILITY = 135;

interface Piece extends IpPacket {
  readonly id: number;
  readonly offset: number;
  readonly more: boolean;
}

interface Reassembly {
  readonly beganAtMs: number;
  readonly pieces: Map<number, Uint8Array>;
  totalBytes: number | null;
}

export class IpReader {
  readonly #reassemblies = new Map<string, Reassembly>();

  /** Null for what is damaged, incomplete or not IP. */
  read(bytes: Uint8Array, atMs: number): IpPacket | null {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const piece = (bytes[0] ?? 0) >> 4 === 4 ? readIpv4(view) : readIpv6(view);
    if (piece === null) return null;
    return piece.offset === 0 && !piece.more ? piece : this.#collect(piece, atMs);
  }

  #collect(piece: Piece, atMs: number): IpPacket | null {
    if (piece.offset + piece.payload.length > IP_PAYLOAD_BYTES_MAX) return null;
    const key = `${piece.source}>${piece.destination}/${piece.protocol}/${piece.id}`;
    let reassembly = this.#reassemblies.get(key);
    if (reassembly === undefined || atMs - reassembly.beganAtMs > REASSEMBLY_MS_MAX) {
      const oldest = this.#reassemblies.keys().next();
      if (this.#reassemblies.size >= REASSEMBLIES_MAX && oldest.done !== true) this.#reassemblies.delete(oldest.value);
      reassembly = { beganAtMs: atMs, pieces: new Map(), totalBytes: null };
      this.#reassemblies.set(key, reassembly);
    }
    reassembly.pieces.set(piece.offset, piece.payload);
    if (!piece.more) reassembly.totalBytes = piece.offset + piece.payload.length;
    if (reassembly.pieces.size > FRAGMENTS_MAX) {
      this.#reassemblies.delete(key);
      return null;
    }
    const payload = wholeOf(reassembly);
    if (payload === null) return null;
    this.#reassemblies.delete(key);
    return { protocol: piece.protocol, source: piece.source, destination: piece.destination, payload };
  }
}

/** Null while there are holes. Overlapping fragments are refused, as RFC 5722 §4 asks for IPv6. */
function wholeOf({ pieces, totalBytes }: Reassembly): Uint8Array | null {
  if (totalBytes === null) return null;
  const whole = new Uint8Array(totalBytes);
  let reached = 0;
  for (const [offset, bytes] of [...pieces].sort(([a], [b]) => a - b)) {
    if (offset !== reached || reached + bytes.length > totalBytes) return null;
    whole.set(bytes, offset);
    reached += bytes.length;
  }
  return reached === totalBytes ? whole : null;
}

/** RFC 791 §3.1. What the capture cut off is missing from the payload; the transport sees that by its own length. */
function readIpv4(packet: Buffer): Piece | null {
  if (packet.length < 20) return null;
  const headerBytes = (packet.readUInt8(0) & 0x0f) * 4;
  const stated = packet.readUInt16BE(2);
  // Zero: written by a network card that fills the length in later.
  const totalBytes = stated === 0 ? packet.length : Math.min(stated, packet.length);
  if (headerBytes < 20 || headerBytes > totalBytes) return null;
  const fragment = packet.readUInt16BE(6);
  return {
    protocol: packet.readUInt8(9),
    source: ipv4Text(packet, 12),
    destination: ipv4Text(packet, 16),
    payload: packet.subarray(headerBytes, totalBytes),
    id: packet.readUInt16BE(4),
    offset: (fragment & 0x1fff) * 8,
    more: (fragment & 0x2000) !== 0,
  };
}

/** RFC 8200 §4: extension headers are walked until the transport. */
function readIpv6(packet: Buffer): Piece | null {
  if (packet.length < 40) return null;
  const stated = packet.readUInt16BE(4);
  const end = stated === 0 ? packet.length : Math.min(40 + stated, packet.length);
  const addresses = { source: ipv6Text(packet, 8), destination: ipv6Text(packet, 24) };
  let protocol = packet.readUInt8(6);
  let at = 40;
  let fragment = { id: 0, offset: 0, more: false };
  for (let count = 0; count < EXTENSION_HEADERS_MAX; count += 1) {
    if (at + 8 > end) break;
    if (protocol === FRAGMENT) {
      const field = packet.readUInt16BE(at + 2);
      fragment = { id: packet.readUInt32BE(at + 4), offset: field & 0xfff8, more: (field & 1) !== 0 };
      protocol = packet.readUInt8(at);
      at += 8;
      // Only the first fragment has the headers that follow.
      if (fragment.offset > 0) break;
    } else if (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION || protocol === MOBILITY) {
      protocol = packet.readUInt8(at);
      at += (packet.readUInt8(at + 1) + 1) * 8;
    } else if (protocol === AUTHENTICATION) {
      protocol = packet.readUInt8(at);
      at += (packet.readUInt8(at + 1) + 2) * 4;
    } else {
      break;
    }
  }
  return at > end ? null : { protocol, ...addresses, payload: packet.subarray(at, end), ...fragment };
}

function ipv4Text(bytes: Buffer, at: number): string {
  return `${bytes.readUInt8(at)}.${bytes.readUInt8(at + 1)}.${bytes.readUInt8(at + 2)}.${bytes.readUInt8(at + 3)}`;
}

/** RFC 5952 §4: no leading zeros, the longest run of two or more zero groups as `::`. */
export function ipv6Text(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + index * 2));
  let best = { from: -1, length: 1 };
  for (let from = 0; from < 8; from += 1) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === 0) length += 1;
    if (length > best.length) best = { from, length };
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.from < 0) return text(groups);
  return `${text(groups.slice(0, best.from))}::${text(groups.slice(best.from + best.length))}`;
}
