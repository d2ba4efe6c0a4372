#include "rtp/burst_gap.h"

namespace hushtone {

void BurstGap::Miss(uint32_t count) {
  if (run_ >= kGmin) Close();
  open_packets_ += count + (open_missing_ > 0 ? run_ : 0);
  open_missing_ += count;
  if (run_ > 0) ++runs_;
  received_ += run_;
  run_ = 0;
}

// One packet missing by itself is no burst.
void BurstGap::Close() {
  if (open_missing_ > 1) {
    ++bursts_;
    burst_packets_ += open_packets_;
    burst_missing_ += open_missing_;
  }
  open_packets_ = open_missing_ = 0;
}

BurstGap::Figures BurstGap::Measure() const {
  BurstGap closed = *this;
  closed.Close();
  Figures figures;
  figures.lost = lost_;
  figures.discarded = discarded_;
  figures.runs = runs_;
  figures.expected = received_ + run_ + lost_ + discarded_;
  figures.bursts = closed.bursts_;
  figures.burst_packets = closed.burst_packets_;
  figures.burst_missing = closed.burst_missing_;
  figures.gap_packets = figures.expected - figures.burst_packets;
  figures.gap_missing = lost_ + discarded_ - figures.burst_missing;
  // Before each burst (a stream begins with a packet that was received), and behind the last unless it goes on.
  const bool ends_in_burst = closed.bursts_ > bursts_ && run_ == 0;
  if (figures.expected > 0) figures.gaps = figures.bursts + (ends_in_burst ? 0 : 1);
  return figures;
}

}  // namespace hushtone
