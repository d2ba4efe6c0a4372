// The RTCP of a leg: reports when they are due, and what the peer's say. RFC 3550 §6.2 (when), §6.4 (SR and RR), RFC 3611
// §4.4, §4.5 and §4.7 (XR).
//
//   who           learns the round trip by
//   ------------  -----------------------------------------------------------------------------
//   who sends     his SR, of which a report of the other says when it was and how long ago it came
//   who listens   his reference time in an XR, of which the other's DLRR says the same
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "audio/codec.h"
#include "leg/leg_counters.h"
#include "leg/reception.h"
#include "rtp/rtcp.h"

namespace hushtone {

constexpr uint64_t kRtcpEveryMs = 5000;      // RFC 3550 §6.2: the minimum interval of two parties.

class Reports {
 public:
  // What is sent, as of now.
  struct Sending {
    uint32_t ssrc = 0;
    uint32_t timestamp = 0;
    uint32_t packets = 0, octets = 0;
    bool metrics = false;                    // The peer asked for VoIP metrics.
    bool reference_time = false;             // The peer answers reference times.
  };
  // Of the jitter buffer.
  struct Delays {
    uint32_t nominal_ms = 0, max_ms = 0, limit_ms = 0;
  };

  // A compound packet, open. False where it is malformed.
  bool OnPacket(std::span<const uint8_t> bytes, uint32_t our_ssrc, uint32_t clock_rate, uint64_t now_us, LegCounters& counters);

  // Once, when a report is due; Write writes it. Until then nothing of a report's is done.
  bool IsDue(uint64_t now_us, uint32_t spread);
  size_t Write(const Sending& sending, Reception& reception, const VoipMetrics& metrics, uint64_t now_us, uint8_t* out);

  // How the peer is heard, told to who reads the counters. `clock_rate`: of the audio that is heard.
  VoipMetrics Measure(const Reception& reception, Codec codec, uint32_t clock_rate, uint32_t packet_ms_sent, const Delays& delays,
                      LegCounters& counters) const;

 private:
  uint64_t next_us_ = 0;
  // Middle 32 bits of NTP times, so in 1/65536 s: of the peer's last SR and of its coming; of its last reference time likewise.
  uint32_t last_sr_ = 0, sr_came_ = 0;
  uint32_t reference_ = 0, reference_came_ = 0, reference_ssrc_ = 0;
  uint16_t peer_delay_ms_ = 0;               // Of its end system; 0: it has not said.
};

}  // namespace hushtone
