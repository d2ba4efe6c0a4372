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
const ETHERTYPE_MPLS = 0x8847;
/** RFC 3032 §2.1: four bytes a label; this bit says that it is the last. */
const MPLS_BOTTOM = 0x01;
const MPLS_LABELS_MAX = 8;
const VLAN_TAGS: ReadonlySet<number> = new Set([0x8100, 0x88a8, 0x9100, 0x9200]);
/** A frame nests at most this many VLAN tags. */
const VLAN_DEPTH_MAX = 4;
const PPP_IPV4 = 0x0021;
const PPP_IPV6 = 0x0057;
const NO_IP = -1;

/** Where an IP packet begins in a frame, or -1 where the frame holds none; its first four bits tell the version. */
export function ipPacketAt(linkType: number, bytes: Uint8Array, from: number, to: number): number {
  switch (linkType) {
    case LINK_ETHERNET:
      return byEtherType(bytes, from + 12, to);
    case LINK_LINUX_SLL:
      return byEtherType(bytes, from + 14, to);
    case LINK_LINUX_SLL2:
      return payloadOf(half(bytes, from, to), bytes, from + 20, to);
    // The address family's number differs by system, so the IP version decides.
    case LINK_NULL:
    case LINK_LOOP:
      return ipAt(bytes, from + 4, to);
    case LINK_RAW:
    case LINK_RAW_OLD:
    case LINK_RAW_OPENBSD:
    case LINK_IPV4:
    case LINK_IPV6:
      return ipAt(bytes, from, to);
    case LINK_PPP:
      // RFC 1662 §3.1: an HDLC frame begins with address 0xff and control 0x03; both may be left out.
      return byPpp(bytes, half(bytes, from, to) === 0xff03 ? from + 2 : from, to);
    default:
      return NO_IP;
  }
}

function byEtherType(bytes: Uint8Array, at: number, to: number): number {
  let offset = at;
  for (let depth = 0; depth <= VLAN_DEPTH_MAX; depth += 1) {
    const type = half(bytes, offset, to);
    if (!VLAN_TAGS.has(type)) return payloadOf(type, bytes, offset + 2, to);
    offset += 4;
  }
  return NO_IP;
}

function payloadOf(type: number, bytes: Uint8Array, at: number, to: number): number {
  if (type === ETHERTYPE_IPV4 || type === ETHERTYPE_IPV6) return ipAt(bytes, at, to);
  if (VLAN_TAGS.has(type)) return byEtherType(bytes, at + 2, to);
  if (type === ETHERTYPE_MPLS) return byMpls(bytes, at, to);
  // RFC 2516 §4: version and code, session, length; then PPP.
  return type === ETHERTYPE_PPPOE ? byPpp(bytes, at + 6, to) : NO_IP;
}

/** What lies below the labels is not said; a provider's voice is IP, and its version decides. */
function byMpls(bytes: Uint8Array, at: number, to: number): number {
  for (let label = 0; label < MPLS_LABELS_MAX && at + label * 4 + 4 <= to; label += 1) {
    if (((bytes[at + label * 4 + 2] ?? 0) & MPLS_BOTTOM) !== 0) return ipAt(bytes, at + (label + 1) * 4, to);
  }
  return NO_IP;
}

function byPpp(bytes: Uint8Array, at: number, to: number): number {
  if (at >= to) return NO_IP;
  // RFC 1661 §6.5: an odd first byte is a compressed protocol field of one byte.
  const isShort = ((bytes[at] ?? 0) & 1) === 1;
  const protocol = isShort ? (bytes[at] ?? 0) : half(bytes, at, to);
  return protocol === PPP_IPV4 || protocol === PPP_IPV6 ? ipAt(bytes, at + (isShort ? 1 : 2), to) : NO_IP;
}

function ipAt(bytes: Uint8Array, at: number, to: number): number {
  const version = at < to ? (bytes[at] ?? 0) >> 4 : 0;
  return version === 4 || version === 6 ? at : NO_IP;
}

/** -1 past the end, which is no type. */
function half(bytes: Uint8Array, at: number, to: number): number {
  return at + 2 > to ? -1 : ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
