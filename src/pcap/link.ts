/**
 * From a link-layer frame to the IP packet in it. Numbers: the LINKTYPE_ registry of tcpdump.org; EtherTypes: IEEE 802.
 */
const LINK_NULL = 0;
const LINK_ETHERNET = 1;
const LINK_PPP = 9;
const LINK_RAW_OLD = 12;
const LINK_RAW_OPENBSD = 14;
const LINK_RAW = 101;
const LINK_LOOP = 108;
const LINK_LINUX_SLL = 113;
const LINK_IPV4 = 228;
const LINK_IPV6 = 229;
const LINK_LINUX_SLL2 = 276;

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_PPPOE = 0x8864;
const VLAN_TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100, 0x9200]);
/** A frame nests at most this many VLAN tags. */
const VLAN_DEPTH_MAX = 4;
const PPP_IPV4 = 0x0021;
const PPP_IPV6 = 0x0057;

/** The bytes of an IP packet, or null where the frame holds none; its first four bits tell the version. */
export function ipPacketOf(linkType: number, frame: Uint8Array): Uint8Array | null {
  switch (linkType) {
    case LINK_ETHERNET:
      return byEtherType(frame, 12);
    case LINK_LINUX_SLL:
      return byEtherType(frame, 14);
    case LINK_LINUX_SLL2: {
      const type = half(frame, 0);
      return type === null ? null : payloadOf(type, frame, 20);
    }
    // The address family's number differs by system, so the IP version decides.
    case LINK_NULL:
    case LINK_LOOP:
      return ipAt(frame, 4);
    case LINK_RAW:
    case LINK_RAW_OLD:
    case LINK_RAW_OPENBSD:
    case LINK_IPV4:
    case LINK_IPV6:
      return ipAt(frame, 0);
    case LINK_PPP:
      // RFC 1662 §3.1: an HDLC frame begins with address 0xff and control 0x03; both may be left out.
      return byPpp(frame, frame[0] === 0xff && frame[1] === 0x03 ? 2 : 0);
    default:
      return null;
  }
}

function byEtherType(frame: Uint8Array, at: number): Uint8Array | null {
  let offset = at;
  for (let depth = 0; depth <= VLAN_DEPTH_MAX; depth += 1) {
    const type = half(frame, offset);
    if (type === null) return null;
    if (!VLAN_TAGS.has(type)) return payloadOf(type, frame, offset + 2);
    offset += 4;
  }
  return null;
}

function payloadOf(type: number, frame: Uint8Array, at: number): Uint8Array | null {
  if (VLAN_TAGS.has(type)) return byEtherType(frame, at + 2);
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return ipAt(frame, at);
  // RFC 2516 §4: version and code, session, length; then PPP.
  return type === ETHERTYPE_PPPOE ? byPpp(frame, at + 6) : null;
}

function byPpp(frame: Uint8Array, at: number): Uint8Array | null {
  // RFC 1661 §6.5: an odd first byte is a compressed protocol field of one byte.
  const isShort = ((frame[at] ?? 0) & 1) === 1;
  const protocol = isShort ? (frame[at] ?? null) : half(frame, at);
  return protocol === PPP_IPV4 || protocol === PPP_IPV6 ? ipAt(frame, at + (isShort ? 1 : 2)) : null;
}

function ipAt(frame: Uint8Array, at: number): Uint8Array | null {
  const version = (frame[at] ?? 0) >> 4;
  return version === 4 || version === 6 ? frame.subarray(at) : null;
}

function half(bytes: Uint8Array, at: number): number | null {
  const high = bytes[at];
  const low = bytes[at + 1];
  return high === undefined || low === undefined ? null : (high << 8) | low;
}
