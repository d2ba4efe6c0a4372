// What a leg counts. Written by the media thread alone, read by any: each figure by itself is right, two of them may be a
// packet apart.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/endpoint.h"
#include "rtp/rtcp_xr.h"

namespace hushtone {

// How a stream is heard, as of its last report; two words, each written whole. RFC 3611 §4.7 has the units.
struct HeardQuality {
  uint8_t loss_rate = 0, discard_rate = 0, burst_density = 0, gap_density = 0;
  uint16_t burst_ms = 0, gap_ms = 0;
};
struct RatedQuality {
  uint8_t is_known = 0;
  uint8_t r_factor = kNotMeasured, mos_lq = kNotMeasured, mos_cq = kNotMeasured;
  uint8_t loss_rate = 0, discard_rate = 0;
  uint16_t end_system_delay_ms = 0;
};

// A value of eight bytes that one thread writes and others read whole.
template <typename Value>
class Published {
 public:
  static_assert(sizeof(Value) == sizeof(uint64_t));
  void Set(const Value& value) { word_.store(std::bit_cast<uint64_t>(value), std::memory_order_relaxed); }
  Value Get() const { return std::bit_cast<Value>(word_.load(std::memory_order_relaxed)); }

 private:
  std::atomic<uint64_t> word_{std::bit_cast<uint64_t>(Value{})};
};

// Where a peer is. It changes a few times in a call; a reader who meets a change looks again.
class PublishedEndpoint {
 public:
  void Set(const Endpoint& endpoint) {
    const auto words = std::bit_cast<std::array<uint64_t, 2>>(endpoint.address);
    const uint32_t head = head_.load(std::memory_order_relaxed);
    head_.store(head | 0xffU, std::memory_order_relaxed);                  // Being changed: a family that is none.
    // Whoever reads one of these reads, behind it, that the head is being changed, or has been.
    low_.store(words[0], std::memory_order_release);
    high_.store(words[1], std::memory_order_release);
    const uint32_t change = ((head >> 8) + 1) & 0xff;
    head_.store(uint32_t{endpoint.port} << 16 | change << 8 | endpoint.family, std::memory_order_release);
  }
  // Unknown where it was being changed each time it was looked at.
  Endpoint Get() const {
    constexpr int kTriesMax = 8;
    for (int tries = 0; tries < kTriesMax; ++tries) {
      const uint32_t head = head_.load(std::memory_order_acquire);
      const std::array<uint64_t, 2> words{low_.load(std::memory_order_acquire), high_.load(std::memory_order_acquire)};
      if ((head & 0xff) == 0xff || head_.load(std::memory_order_relaxed) != head) continue;
      Endpoint endpoint;
      endpoint.family = static_cast<uint8_t>(head & 0xff);
      endpoint.port = static_cast<uint16_t>(head >> 16);
      endpoint.address = std::bit_cast<std::array<uint8_t, 16>>(words);
      return endpoint;
    }
    return Endpoint{};
  }

 private:
  std::atomic<uint32_t> head_{0};              // Port, a count of changes, family.
  std::atomic<uint64_t> low_{0}, high_{0};
};

struct LegCounters {
  std::atomic<uint64_t> packets_received{0}, packets_sent{0}, packets_late{0}, packets_duplicate{0};
  std::atomic<uint64_t> packets_from_elsewhere{0}, packets_malformed{0}, packets_unknown_type{0}, frames_concealed{0};
  // SRTP: what no key of ours opens, what came before, and what could not be protected and was not sent.
  std::atomic<uint64_t> packets_unauthentic{0}, packets_replayed{0}, packets_unprotected{0};
  std::atomic<uint64_t> keys_by_event{0}, keys_inband{0}, keys_ignored{0};
  std::atomic<int64_t> packets_lost{0};        // Below 0 never for long: what came twice makes up for nothing.
  std::atomic<uint32_t> jitter_us{0}, round_trip_us{0}, playout_delay_ms{0};
  std::atomic<uint32_t> peer_jitter_us{0};     // Of our stream, by its report.
  PublishedEndpoint remote;
  // What we hear, and what the peer says of what it hears of us: by SR or RR (§6.4.1 of RFC 3550), and by XR.
  Published<HeardQuality> heard;
  Published<RatedQuality> rated, rated_by_peer;
  struct PeerReport {
    int32_t packets_lost = 0;
    uint16_t fraction_lost = 0;                // In 1/256.
    uint16_t is_known = 0;
  };
  Published<PeerReport> peer_report;
};

// One thread writes, so that no bus needs to be locked for it: that would be most of what counting a packet costs.
inline void Add(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace hushtone
