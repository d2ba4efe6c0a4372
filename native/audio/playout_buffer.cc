#include "audio/playout_buffer.h"

#include <algorithm>
#include <bit>
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

uint64_t PlayoutBuffer::Written(uint32_t timestamp, uint32_t count) const {
  const uint32_t granule = (timestamp - grid_) / kGranule % kGranules;
  const uint32_t word = granule / 64;
  const uint32_t shift = granule % 64;
  uint64_t bits = written_[word] >> shift;
  if (shift + count > 64) bits |= written_[(word + 1) % written_.size()] << (64 - shift);
  return bits & ((uint64_t{1} << count) - 1);
}

void PlayoutBuffer::SetWritten(uint32_t timestamp, uint32_t count, bool written) {
  const uint32_t granule = (timestamp - grid_) / kGranule % kGranules;
  const uint64_t run = (uint64_t{1} << count) - 1;
  const uint32_t shift = granule % 64;
  const auto change = [&](uint64_t& word, uint64_t bits) { word = written ? word | bits : word & ~bits; };
  change(written_[granule / 64], run << shift);
  if (shift + count > 64) change(written_[(granule / 64 + 1) % written_.size()], run >> (64 - shift));
}

void PlayoutBuffer::DecodeFrom(uint32_t timestamp, uint32_t count, int16_t* out) const {
  const uint32_t first = timestamp % kRingCodes;
  const uint32_t whole = std::min(count, kRingCodes - first);
  Decode(law_, std::span(codes_.data() + first, whole), out);
  if (whole < count) Decode(law_, std::span(codes_.data(), count - whole), out + whole);
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
      SetWritten(play_at_, kStepCodes / kGranule, false);
    }
    if (late_in_a_row_ != 0) return;
  } else {
    late_in_a_row_ = 0;
  }
  Open(timestamp);
  Open(timestamp + count - 1);
  const uint32_t first = timestamp % kRingCodes;
  const uint32_t whole = std::min(count, kRingCodes - first);
  std::memcpy(codes_.data() + first, codes.data(), whole);
  std::memcpy(codes_.data(), codes.data() + whole, count - whole);
  for (uint32_t i = 0; i < count; i += kRunMax * kGranule) {
    SetWritten(timestamp + i, std::min(kRunMax, (count - i + kGranule - 1) / kGranule), true);
  }
  if (IsNewer32(timestamp + count, newest_)) newest_ = timestamp + count;
}

// A packet may cover a part of its first and last millisecond only. What stood there is half a second old.
void PlayoutBuffer::Open(uint32_t timestamp) {
  if (IsWritten(timestamp)) return;
  const uint32_t first = timestamp - (timestamp - grid_) % kGranule;
  for (uint32_t i = 0; i < kGranule; ++i) codes_[(first + i) % kRingCodes] = law_ == Law::kA ? kASilence : kMuSilence;
  SetWritten(timestamp, 1, true);
}

// What was written of the frame, and for the rest the last frame again, fading.
void PlayoutBuffer::Conceal(uint64_t written, int16_t* out) const {
  const uint32_t share = empty_frames_ < kFadeFrames ? kFadeFrames - empty_frames_ : 0;
  for (uint32_t i = 0; i < kFrameSamples; i += kGranule, written >>= 1) {
    if ((written & 1) != 0) {
      DecodeFrom(play_at_ + i, kGranule, out + i);
      continue;
    }
    for (uint32_t n = i; n < i + kGranule; ++n) {
      out[n] = static_cast<int16_t>(last_[n] * static_cast<int32_t>(share) / static_cast<int32_t>(kFadeFrames));
    }
  }
}

bool PlayoutBuffer::Take(int16_t* out) {
  if (!playing_) {
    std::memset(out, 0, kFrameSamples * sizeof(int16_t));
    return false;
  }
  const auto waiting = static_cast<int32_t>(newest_ - play_at_);
  deep_frames_ = waiting > static_cast<int32_t>(target_codes_ + kSlackCodes) ? deep_frames_ + 1 : 0;
  if (deep_frames_ > kDeepFramesMax) {
    SetWritten(play_at_, kStepCodes / kGranule, false);
    play_at_ += kStepCodes;
    deep_frames_ = 0;
  }

  // The playing point is always at a granule's beginning: it starts there and moves by whole ones.
  constexpr uint32_t kFrameGranules = kFrameSamples / kGranule;
  constexpr uint64_t kAll = (uint64_t{1} << kFrameGranules) - 1;
  const uint64_t written = Written(play_at_, kFrameGranules);
  uint32_t missing = 0;
  if (written == kAll) {
    DecodeFrom(play_at_, kFrameSamples, out);
  } else {
    missing = (kFrameGranules - static_cast<uint32_t>(std::popcount(written))) * kGranule;
    Conceal(written, out);
  }
  SetWritten(play_at_, kFrameGranules, false);
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
