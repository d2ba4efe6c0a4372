// RTP packets, RFC 3550 §5.1.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |V=2|P|X|  CC   |M|     PT      |       sequence number         |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                           timestamp                           |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |                             SSRC                              |
//   +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//   |                       CC CSRC identifiers                     |
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

constexpr size_t kRtpHeaderBytes = 12;
constexpr size_t kRtpPacketBytesMax = 1500;

struct RtpPacket {
  uint8_t payload_type = 0;
  bool marker = false;
  uint16_t sequence_number = 0;
  uint32_t timestamp = 0;
  uint32_t ssrc = 0;
  std::span<const uint8_t> payload;   // Into the bytes that were parsed; without padding.
};

enum class RtpFault : uint8_t {
  kNone = 0,
  kTooShort,        // Less than the fixed header.
  kNotVersion2,
  kIsRtcp,          // RFC 5761 §4: a second byte of 192 to 223 is RTCP on the same port.
  kCsrcCut,
  kExtensionCut,
  kPaddingWrong,
};

// Every byte belongs to a header part, the payload or the padding; anything else is a fault.
RtpFault ParseRtp(std::span<const uint8_t> bytes, RtpPacket* packet);

// Writes the fixed header; returns kRtpHeaderBytes. `out` has room for it.
size_t WriteRtpHeader(const RtpPacket& packet, uint8_t* out);

}  // namespace hushtone
