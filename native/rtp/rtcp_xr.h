// RTCP XR: what is said of a stream beside its reports. RFC 3611 §4.4 (receiver reference time), §4.5 (DLRR), §4.7 (VoIP metrics).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "rtp/burst_gap.h"

namespace hushtone {

constexpr uint8_t kRtcpXr = 207;             // §2.
constexpr uint8_t kNotMeasured = 127;        // §4.7.4 and §4.7.5; 0 in §4.7.3, where a delay is not known.
constexpr size_t kXrBytesMax = 72;           // With one block of each kind.

// §4.7. Fractions are in 1/256, rounded down, at most 255.
struct VoipMetrics {
  uint32_t ssrc = 0;                         // Of the stream that was heard.
  uint8_t loss_rate = 0, discard_rate = 0, burst_density = 0, gap_density = 0;
  uint16_t burst_ms = 0, gap_ms = 0;         // Mean lengths.
  uint16_t round_trip_ms = 0, end_system_delay_ms = 0;
  uint8_t signal_level_dbm0 = kNotMeasured, noise_level_dbm0 = kNotMeasured, echo_return_loss_db = kNotMeasured;
  uint8_t gmin = kGmin;
  uint8_t r_factor = kNotMeasured, external_r_factor = kNotMeasured;
  uint8_t mos_lq = kNotMeasured, mos_cq = kNotMeasured;   // Times ten.
  uint8_t receiver = 0;                      // §4.7.6: concealment, jitter buffer, how fast it adapts.
  uint16_t buffer_nominal_ms = 0, buffer_max_ms = 0, buffer_limit_ms = 0;
};

// §4.5: answers the reference time of one who only listens, so that he learns the round trip.
struct ReferenceAnswer {
  uint32_t ssrc = 0;                         // Whose reference time it was.
  uint32_t last_reference = 0;               // Middle 32 bits of its NTP time.
  uint32_t delay = 0;                        // Since it came, in 1/65536 s.
};

// What is null is left out.
struct XrToSend {
  const VoipMetrics* metrics = nullptr;
  const uint64_t* reference_ntp = nullptr;
  const ReferenceAnswer* answer = nullptr;
  bool IsEmpty() const { return metrics == nullptr && reference_ntp == nullptr && answer == nullptr; }
};

// `out` has room for kXrBytesMax.
size_t WriteXr(uint32_t ssrc, const XrToSend& blocks, uint8_t* out);

struct XrSeen {
  bool has_metrics = false;                  // Of what `our_ssrc` sends.
  VoipMetrics metrics;
  bool has_reference = false;
  uint32_t reference_ssrc = 0;
  uint64_t reference_ntp = 0;
  bool has_answer = false;                   // To a reference time of `our_ssrc`.
  ReferenceAnswer answer;
};

// One whole packet of type kRtcpXr, its length proven. Adds to `seen`; false where its blocks are not framed. Blocks of other
// types, and of these in another length, are passed over.
bool ParseXr(std::span<const uint8_t> packet, uint32_t our_ssrc, XrSeen* seen);

}  // namespace hushtone
