/**
 * A whole IP payload, put together from fragments where there were any. Like a Frame it is a place in bytes, good during
 * the call that brings it.
 */
export interface IpPacket {
  protocol: number;
  bytes: Uint8Array;
  /** Source and destination stand one behind the other here, each of `addressBytes` (4 or 16). */
  addressesAt: number;
  addressBytes: number;
  from: number;
  to: number;
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

/** A packet as it was sent; whole where `offset` is 0 and no more follows. */
interface Piece extends IpPacket {
  id: number;
  offset: number;
  more: boolean;
}

interface Reassembly {
  readonly beganAtMs: number;
  readonly pieces: Map<number, Uint8Array>;
  totalBytes: number | null;
}

export class IpReader {
  readonly #reassemblies = new Map<string, Reassembly>();
  readonly #piece: Piece = {
    protocol: 0,
    bytes: new Uint8Array(),
    addressesAt: 0,
    addressBytes: 4,
    from: 0,
    to: 0,
    id: 0,
    offset: 0,
    more: false,
  };

  /** Null for what is damaged, incomplete or not IP. */
  read(bytes: Uint8Array, from: number, to: number, atMs: number): IpPacket | null {
    const piece = this.#piece;
    piece.bytes = bytes;
    const isRead = (bytes[from] ?? 0) >> 4 === 4 ? readIpv4(piece, from, to) : readIpv6(piece, from, to);
    if (!isRead) return null;
    return piece.offset === 0 && !piece.more ? piece : this.#collect(piece, atMs);
  }

  #collect(piece: Piece, atMs: number): IpPacket | null {
    const payload = piece.bytes.slice(piece.from, piece.to);
    if (piece.offset + payload.length > IP_PAYLOAD_BYTES_MAX) return null;
    const { addressesAt, addressBytes } = piece;
    const addresses = piece.bytes.slice(addressesAt, addressesAt + 2 * addressBytes);
    const key = `${Buffer.from(addresses).toString('latin1')}/${piece.protocol}/${piece.id}`;
    let reassembly = this.#reassemblies.get(key);
    if (reassembly === undefined || atMs - reassembly.beganAtMs > REASSEMBLY_MS_MAX) {
      const oldest = this.#reassemblies.keys().next();
      if (this.#reassemblies.size >= REASSEMBLIES_MAX && oldest.done !== true) this.#reassemblies.delete(oldest.value);
      reassembly = { beganAtMs: atMs, pieces: new Map(), totalBytes: null };
      this.#reassemblies.set(key, reassembly);
    }
    reassembly.pieces.set(piece.offset, payload);
    if (!piece.more) reassembly.totalBytes = piece.offset + payload.length;
    if (reassembly.pieces.size > FRAGMENTS_MAX) {
      this.#reassemblies.delete(key);
      return null;
    }
    const whole = wholeOf(addresses, reassembly);
    if (whole === null) return null;
    this.#reassemblies.delete(key);
    return {
      protocol: piece.protocol,
      bytes: whole,
      addressesAt: 0,
      addressBytes,
      from: addresses.length,
      to: whole.length,
    };
  }
}

/** Addresses and payload; null while there are holes. Overlaps are refused, as RFC 5722 §4 asks for IPv6. */
function wholeOf(addresses: Uint8Array, { pieces, totalBytes }: Reassembly): Uint8Array | null {
  if (totalBytes === null) return null;
  const whole = new Uint8Array(addresses.length + totalBytes);
  whole.set(addresses);
  let reached = 0;
  for (const [offset, bytes] of [...pieces].sort(([a], [b]) => a - b)) {
    if (offset !== reached || reached + bytes.length > totalBytes) return null;
    whole.set(bytes, addresses.length + offset);
    reached += bytes.length;
  }
  return reached === totalBytes ? whole : null;
}

/** RFC 791 §3.1. What the capture cut off is missing from the payload; the transport sees that by its own length. */
function readIpv4(piece: Piece, from: number, to: number): boolean {
  const { bytes } = piece;
  if (to - from < 20) return false;
  const headerBytes = ((bytes[from] ?? 0) & 0x0f) * 4;
  const stated = halfAt(bytes, from + 2);
  // Zero: written by a network card that fills the length in later.
  const totalBytes = stated === 0 ? to - from : Math.min(stated, to - from);
  if (headerBytes < 20 || headerBytes > totalBytes) return false;
  const fragment = halfAt(bytes, from + 6);
  piece.protocol = bytes[from + 9] ?? 0;
  piece.addressesAt = from + 12;
  piece.addressBytes = 4;
  piece.from = from + headerBytes;
  piece.to = from + totalBytes;
  piece.id = halfAt(bytes, from + 4);
  piece.offset = (fragment & 0x1fff) * 8;
  piece.more = (fragment & 0x2000) !== 0;
  return true;
}

/** RFC 8200 §4: extension headers are walked until the transport. */
function readIpv6(piece: Piece, from: number, to: number): boolean {
  const { bytes } = piece;
  if (to - from < 40) return false;
  const stated = halfAt(bytes, from + 4);
  const end = stated === 0 ? to : Math.min(from + 40 + stated, to);
  let protocol = bytes[from + 6] ?? 0;
  let at = from + 40;
  piece.id = 0;
  piece.offset = 0;
  piece.more = false;
  for (let count = 0; count < EXTENSION_HEADERS_MAX && at + 8 <= end; count += 1) {
    if (protocol === FRAGMENT) {
      const field = halfAt(bytes, at + 2);
      piece.id = halfAt(bytes, at + 4) * 0x10000 + halfAt(bytes, at + 6);
      piece.offset = field & 0xfff8;
      piece.more = (field & 1) !== 0;
      protocol = bytes[at] ?? 0;
      at += 8;
      // Only the first fragment has the headers that follow.
      if (piece.offset > 0) break;
    } else if (protocol === HOP_BY_HOP || protocol === ROUTING || protocol === DESTINATION || protocol === MOBILITY) {
      protocol = bytes[at] ?? 0;
      at += ((bytes[at + 1] ?? 0) + 1) * 8;
    } else if (protocol === AUTHENTICATION) {
      protocol = bytes[at] ?? 0;
      at += ((bytes[at + 1] ?? 0) + 2) * 4;
    } else {
      break;
    }
  }
  piece.protocol = protocol;
  piece.addressesAt = from + 8;
  piece.addressBytes = 16;
  piece.from = at;
  piece.to = end;
  return at <= end;
}

export function halfAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** An IPv4 or IPv6 address. */
export function addressText(bytes: Uint8Array, at: number, addressBytes: number): string {
  if (addressBytes === 4) return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
  return ipv6Text(bytes, at);
}

/** RFC 5952 §4: no leading zeros, the longest run of two or more zero groups as `::`. */
export function ipv6Text(bytes: Uint8Array, at: number): string {
  const groups = Array.from({ length: 8 }, (_, index) => halfAt(bytes, at + index * 2));
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
