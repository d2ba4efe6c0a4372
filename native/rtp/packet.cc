#include "rtp/packet.h"

#include "base/bytes.h"

namespace hushtone {

RtpFault ParseRtp(std::span<const uint8_t> bytes, RtpPacket* packet) {
  if (bytes.size() < kRtpHeaderBytes) return RtpFault::kTooShort;
  if ((bytes[0] >> 6) != 2) return RtpFault::kNotVersion2;
  if (bytes[1] >= 192 && bytes[1] <= 223) return RtpFault::kIsRtcp;

  const bool has_padding = (bytes[0] & 0x20) != 0;
  const bool has_extension = (bytes[0] & 0x10) != 0;
  size_t at = kRtpHeaderBytes + size_t{4} * (bytes[0] & 0x0f);
  if (at > bytes.size()) return RtpFault::kCsrcCut;

  // RFC 3550 §5.3.1: 16 bits of profile, 16 bits of length in 32-bit words, then the words.
  if (has_extension) {
    if (at + 4 > bytes.size()) return RtpFault::kExtensionCut;
    at += 4 + size_t{4} * ReadU16(&bytes[at + 2]);
    if (at > bytes.size()) return RtpFault::kExtensionCut;
  }

  size_t end = bytes.size();
  if (has_padding) {
    const size_t padding = bytes[end - 1];
    if (padding == 0 || at + padding > end) return RtpFault::kPaddingWrong;
    end -= padding;
  }

  packet->payload_type = bytes[1] & 0x7f;
  packet->marker = (bytes[1] & 0x80) != 0;
  packet->sequence_number = ReadU16(&bytes[2]);
  packet->timestamp = ReadU32(&bytes[4]);
  packet->ssrc = ReadU32(&bytes[8]);
  packet->payload = bytes.subspan(at, end - at);
  return RtpFault::kNone;
}

size_t WriteRtpHeader(const RtpPacket& packet, uint8_t* out) {
  out[0] = 0x80;
  out[1] = static_cast<uint8_t>((packet.marker ? 0x80 : 0) | (packet.payload_type & 0x7f));
  WriteU16(out + 2, packet.sequence_number);
  WriteU32(out + 4, packet.timestamp);
  WriteU32(out + 8, packet.ssrc);
  return kRtpHeaderBytes;
}

}  // namespace hushtone
