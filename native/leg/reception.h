// What comes from the peer, by its numbers: loss (RFC 3550 appendix A.1 and A.3), jitter (A.8), and the fate of each packet
// (RFC 3611 §4.7). Without probation: a call has one peer, and its first packet may be a key.
//
//   sequence number, from the highest so far     is
//   -------------------------------------------  ---------------------------------------------------------------
//   the next, or up to kDropoutMax ahead         received; those between are lost until they come
//   up to kMisorderMax behind                    received late, or, where it was there before, a duplicate
//   elsewhere                                    nothing; and if the next one follows it, the peer has begun again
//
// A packet's fate is told (burst_gap.h) when kWindow others have followed: until then one that is missing may still come.
// Thread: the media thread's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "leg/leg_counters.h"
#include "rtp/burst_gap.h"
#include "rtp/packet.h"
#include "rtp/rtcp.h"

namespace hushtone {

class Reception {
 public:
  enum class Arrival : uint8_t { kCounted, kNewSource, kDuplicate, kOther };

  // `clock_rate`: of the audio.
  Arrival OnPacket(const RtpPacket& packet, bool is_audio, uint32_t clock_rate, uint64_t now_us, LegCounters& counters);
  // It came, and too late to be heard.
  void Discard(uint16_t sequence_number);

  bool has_source() const { return has_source_; }
  uint32_t ssrc() const { return ssrc_; }
  // The block of a report; the next counts from here. Without the times of the peer's last SR.
  ReceptionReport TakeReport();
  BurstGap::Figures Measure() const;
  // Of the peer's packets, as their timestamps have it; 0 before two followed each other.
  uint32_t packet_ts() const { return packet_ts_; }

 private:
  static constexpr uint32_t kWindow = 64;
  static constexpr uint32_t kDropoutMax = 3000;   // RFC 3550 A.1.
  static constexpr uint32_t kMisorderMax = 100;   // Likewise.
  static constexpr uint32_t kNowhere = 0x10000;

  void Begin(uint32_t ssrc, uint16_t sequence_number);
  void Advance(uint32_t ahead);
  void Shift();
  static void TellOldest(BurstGap& burst_gap, uint64_t seen, uint64_t late);
  void CountJitter(const RtpPacket& packet, uint32_t clock_rate, uint64_t now_us, LegCounters& counters);
  // A packet that came twice makes up for no other that is lost.
  int64_t Lost() const { return int64_t{extended_ - first_} + 1 + duplicates_ - received_; }

  uint64_t seen_ = 0;                     // Bit n: the packet n before the highest has come.
  uint64_t late_ = 0;                     // Bit n: too late to be heard.
  BurstGap burst_gap_;
  uint32_t ssrc_ = 0;
  uint32_t extended_ = 0;                 // The highest sequence number; above its 16 bits, how often they wrapped.
  uint32_t first_ = 0;
  uint32_t received_ = 0, duplicates_ = 0;
  uint32_t expected_prior_ = 0, received_prior_ = 0;
  uint32_t lost_before_ = 0;              // Under an SSRC of before, or before the peer began again.
  uint32_t begins_again_at_ = kNowhere;
  uint32_t transit_ts_ = 0;
  uint32_t jitter_16th_ts_ = 0;
  uint32_t last_ts_ = 0;
  uint16_t packet_ts_ = 0;
  bool has_source_ = false;
  bool has_transit_ = false;
  bool follows_audio_ = false;            // The packet before was audio, and the next one by number is due.
};

}  // namespace hushtone
