#include "audio/playout_buffer.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr uint32_t kTargetStartCodes = 40 * 8;
constexpr uint32_t kStepCodes = kFrameSamples;
constexpr uint32_t kSlackCodes = 60 * 8;
constexpr uint32_t kDeepFramesMax = 100;       // 2 s.
constexpr uint32_t kLateToGrow = 2;
constexpr uint32_t kLateToRestart = 10;
constexpr uint32_t kFadeFrames = 3;            // Repeat, 2/3, 1/3, then silence.

}  // namespace

PlayoutBuffer::PlayoutBuffer(uint32_t delay_ms_max)
    : target_codes_(kTargetStartCodes), delay_codes_max_(std::min(delay_ms_max * 8, kRingCodes / 4)) {}

bool PlayoutBuffer::IsWritten(uint32_t timestamp) const {
  const uint32_t granule = (timestamp - grid_) / kGranule % kGranules;
  return (written_[granule / 64] >> (granule % 64) & 1) != 0;
}

void PlayoutBuffer::SetWritten(uint32_t timestamp, bool written) {
  const uint32_t granule = (timestamp - grid_) / kGranule % kGranules;
  const uint64_t bit = uint64_t{1} << (granule % 64);
  if (written) {
    written_[granule / 64] |= bit;
  } else {
    written_[granule / 64] &= ~bit;
  }
}

void PlayoutBuffer::Start(uint32_t timestamp) {
  written_.fill(0);
  grid_ = timestamp % kGranule;
  playing_ = true;
  play_at_ = timestamp - target_codes_;
  newest_ = timestamp;
  late_in_a_row_ = 0;
  deep_frames_ = 0;
  empty_frames_ = kFadeFrames;
}

void PlayoutBuffer::Restart() { playing_ = false; }

void PlayoutBuffer::Wipe() {
  std::fill(codes_.begin(), codes_.end(), uint8_t{0});
  written_.fill(0);
  last_.fill(0);
  asm volatile("" : : "r"(codes_.data()), "r"(last_.data()) : "memory");
  playing_ = false;
}

void PlayoutBuffer::Put(uint32_t timestamp, std::span<const uint8_t> codes, Law law) {
  const auto count = static_cast<uint32_t>(codes.size());
  if (count == 0 || count > kRingCodes / 2) return;
  law_ = law;
  const auto ahead = static_cast<int32_t>(timestamp - play_at_);
  const bool is_far = ahead > static_cast<int32_t>(kRingCodes - count) || ahead < -static_cast<int32_t>(kRingCodes);
  if (!playing_ || is_far) {
    if (playing_) ++counters_.restarts;
    Start(timestamp);
  } else if (ahead + static_cast<int32_t>(count) <= 0) {
    ++counters_.late;
    ++late_in_a_row_;
    if (late_in_a_row_ >= kLateToRestart) {
      ++counters_.restarts;
      Start(timestamp);
    } else if (late_in_a_row_ % kLateToGrow == 0 && target_codes_ + kStepCodes <= delay_codes_max_) {
      // Playing stops for one step, so that the packets that come now are in time.
      target_codes_ += kStepCodes;
      play_at_ -= kStepCodes;
      for (uint32_t i = 0; i < kStepCodes; i += kGranule) SetWritten(play_at_ + i, false);
    }
    if (late_in_a_row_ != 0) return;
  } else {
    late_in_a_row_ = 0;
  }
  Open(timestamp);
  Open(timestamp + count - 1);
  for (uint32_t i = 0; i < count; ++i) codes_[(timestamp + i) % kRingCodes] = codes[i];
  for (uint32_t i = 0; i < count; i += kGranule) SetWritten(timestamp + i, true);
  if (IsNewer32(timestamp + count, newest_)) newest_ = timestamp + count;
}

// A packet may cover a part of its first and last millisecond only. What stood there is half a second old.
void PlayoutBuffer::Open(uint32_t timestamp) {
  if (IsWritten(timestamp)) return;
  const uint32_t first = timestamp - (timestamp - grid_) % kGranule;
  for (uint32_t i = 0; i < kGranule; ++i) codes_[(first + i) % kRingCodes] = law_ == Law::kA ? kASilence : kMuSilence;
  SetWritten(timestamp, true);
}

bool PlayoutBuffer::Take(int16_t* out) {
  if (!playing_) {
    std::memset(out, 0, kFrameSamples * sizeof(int16_t));
    return false;
  }
  const auto waiting = static_cast<int32_t>(newest_ - play_at_);
  deep_frames_ = waiting > static_cast<int32_t>(target_codes_ + kSlackCodes) ? deep_frames_ + 1 : 0;
  if (deep_frames_ > kDeepFramesMax) {
    for (uint32_t i = 0; i < kStepCodes; i += kGranule) SetWritten(play_at_ + i, false);
    play_at_ += kStepCodes;
    deep_frames_ = 0;
  }

  uint32_t missing = 0;
  const uint32_t share = empty_frames_ < kFadeFrames ? kFadeFrames - empty_frames_ : 0;
  // The playing point is always at a granule's beginning: it starts there and moves by whole ones.
  for (uint32_t i = 0; i < kFrameSamples; i += kGranule) {
    const uint32_t at = play_at_ + i;
    if (IsWritten(at)) {
      std::array<uint8_t, kGranule> codes;
      for (uint32_t n = 0; n < kGranule; ++n) codes[n] = codes_[(at + n) % kRingCodes];
      Decode(law_, codes, out + i);
      SetWritten(at, false);
      continue;
    }
    missing += kGranule;
    for (uint32_t n = i; n < i + kGranule; ++n) {
      out[n] = static_cast<int16_t>(last_[n] * static_cast<int32_t>(share) / static_cast<int32_t>(kFadeFrames));
    }
  }
  play_at_ += kFrameSamples;

  if (missing == kFrameSamples) {
    if (empty_frames_ < kFadeFrames) ++counters_.concealed_frames;
    if (empty_frames_ < kFadeFrames) ++empty_frames_;
  } else {
    if (missing > 0) ++counters_.concealed_frames;
    empty_frames_ = 0;
    std::memcpy(last_.data(), out, sizeof last_);
  }
  return true;
}

}  // namespace hushtone
