// RTCP: what we send about a stream and read from the peer. RFC 3550 §6.4.1 (SR), §6.4.2 (RR), §6.5 (SDES), §6.6 (BYE).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rtp/rtcp_xr.h"

namespace hushtone {

// SR 52, SDES with the longest name 44, XR, and what SRTCP adds, 4 and a tag of at most 16.
constexpr size_t kRtcpBytesMax = 52 + 44 + kXrBytesMax + 20;

// One reception report block, §6.4.1.
struct ReceptionReport {
  uint32_t ssrc = 0;                  // Of the stream reported on.
  uint8_t fraction_lost = 0;
  int32_t packets_lost = 0;           // 24 bit, signed.
  uint32_t highest_sequence = 0;      // Extended.
  uint32_t jitter_ts = 0;
  uint32_t last_sr = 0;               // Middle 32 bits of the NTP time of the last SR, or 0.
  uint32_t delay_since_last_sr = 0;   // In 1/65536 s.
};

struct SenderInfo {
  uint64_t ntp = 0;
  uint32_t rtp_timestamp = 0;
  uint32_t packets = 0;
  uint32_t octets = 0;
};

// SR (with sender info) or RR, one report block where `report` is given, and an SDES CNAME. Returns the length.
size_t WriteReport(uint32_t ssrc, const SenderInfo* sender, const ReceptionReport* report, std::span<const char> cname,
                   uint8_t* out);
size_t WriteBye(uint32_t ssrc, uint8_t* out);

struct RtcpSeen {
  bool has_sender_report = false;
  uint64_t ntp = 0;
  bool has_report_on_us = false;      // A block about `our_ssrc`.
  ReceptionReport report;
  bool has_bye = false;
  XrSeen xr;
};

// Walks a compound packet. False where its framing is wrong; nothing of it counts then.
bool ParseRtcp(std::span<const uint8_t> bytes, uint32_t our_ssrc, RtcpSeen* seen);

}  // namespace hushtone
