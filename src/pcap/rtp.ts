import { halfAt } from './ip.ts';
import type { RtpView } from './reorder.ts';

const HEADER_BYTES = 12;

/**
 * An RTP header, RFC 3550 §5.1, read in place. False where this is no RTP.
 *
 *    0                   1                   2                   3
 *    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
 *   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
 *   |                           timestamp                           |
 *   |                             SSRC                              |
 *   |          CSRC, CC of them; extension (§5.3.1) where X          |
 *   |          payload; padding where P, its last byte says its size |
 */
export function readRtp(bytes: Uint8Array, from: number, to: number, into: RtpView): boolean {
  const first = bytes[from] ?? 0;
  const second = bytes[from + 1] ?? 0;
  const payloadType = second & 0x7f;
  // RFC 3551 §6: 35-71 are unassigned and 72-76 collide with RTCP; RFC 5761 §4 keeps 64-95 free of RTP.
  if (to - from <= HEADER_BYTES || first >> 6 !== 2 || (payloadType > 34 && payloadType < 96)) return false;
  let at = from + HEADER_BYTES + (first & 0x0f) * 4;
  if ((first & 0x10) !== 0) {
    if (at + 4 > to) return false;
    at += 4 + halfAt(bytes, at + 2) * 4;
  }
  let end = to;
  if ((first & 0x20) !== 0) end -= bytes[to - 1] ?? 0;
  if (at > end) return false;
  into.payloadType = payloadType;
  into.marker = (second & 0x80) !== 0;
  into.sequenceNumber = halfAt(bytes, from + 2);
  into.timestamp = halfAt(bytes, from + 4) * 0x10000 + halfAt(bytes, from + 6);
  into.bytes = bytes;
  into.from = at;
  into.to = end;
  into.packetFrom = from;
  into.packetTo = to;
  return true;
}

export function ssrcAt(bytes: Uint8Array, packetFrom: number): number {
  return halfAt(bytes, packetFrom + 8) * 0x10000 + halfAt(bytes, packetFrom + 10);
}
