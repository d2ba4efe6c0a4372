#include "audio/playout_buffer.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr uint32_t kTargetStartCodes = 40 * 8;
constexpr uint32_t kStepCodes = kFrameSamples;
constexpr uint32_t kSlackCodes = kSlackMs * 8;
constexpr uint32_t kDeepFramesMax = 100;       // 2 s.
constexpr uint32_t kLateToGrow = 2;
constexpr uint32_t kLateToRestart = 10;
constexpr uint32_t kHeardMin = 2 * kFrameSamples + kPitchMax;   // Less of it has no pitch that could be found.

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
  played_ = 0;
  lost_ = kConcealedMax;
  noise_.Stop();
}

void PlayoutBuffer::Restart() { playing_ = false; }

void PlayoutBuffer::Wipe() {
  std::fill(codes_.begin(), codes_.end(), uint8_t{0});
  written_.fill(0);
  asm volatile("" : : "r"(codes_.data()) : "memory");
  playing_ = false;
  played_ = 0;
  lost_ = kConcealedMax;
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
      played_ -= std::min(played_, kStepCodes);
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

void PlayoutBuffer::PutNoise(uint32_t timestamp, std::span<const uint8_t> payload) {
  if (playing_) noise_.Hear(timestamp, payload);
}

// False where what was heard is too short, or the newest codes stand already where it stood.
bool PlayoutBuffer::ReadBefore(uint32_t timestamp, Before* before) const {
  constexpr auto kBefore = static_cast<uint32_t>(kBeforeSamples);
  const uint32_t behind = lost_ + kBefore;
  const auto ahead = static_cast<int32_t>(newest_ - timestamp);
  if (played_ < kHeardMin || ahead > static_cast<int32_t>(kRingCodes - behind - kStepCodes)) return false;
  DecodeFrom(timestamp - behind, kBefore, before->data());
  return true;
}

// The frame's samples that came, and for the others what concealment.h says. What is played in a loss is written into
// the ring too: the next loss may come soon, and half a second ago something else stood there.
void PlayoutBuffer::Conceal(uint64_t written, int16_t* out) {
  Before before;
  bool has_before = false;
  uint32_t faded = 0;                                 // Of the fade-in after a loss, and what goes on under it.
  uint32_t fade = 0;
  uint32_t fade_at = 0;
  for (uint32_t i = 0; i < kFrameSamples; i += kGranule, written >>= 1) {
    const uint32_t timestamp = play_at_ + i;
    if ((written & 1) != 0) {
      DecodeFrom(timestamp, kGranule, out + i);
      noise_.StopAt(timestamp);
      if (lost_ != 0) {
        fade = pitch_ != 0 && (has_before || ReadBefore(timestamp, &before)) ? FadeInSamples(lost_) : 0;
        fade_at = lost_;
        faded = 0;
        lost_ = 0;
      }
      if (faded < fade) {
        is_altered_ = true;
        int16_t under[kGranule];
        WriteConcealed(before, pitch_, fade_at + faded, kGranule, under);
        for (uint32_t n = 0; n < kGranule; ++n, ++faded) {
          const auto share = static_cast<int32_t>(std::min(faded, fade));
          const auto whole = static_cast<int32_t>(fade);
          out[i + n] = static_cast<int16_t>((under[n] * (whole - share) + out[i + n] * share) / whole);
        }
      }
      continue;
    }
    if (noise_.CoversFrom(timestamp)) {
      noise_.Fill(out + i, kGranule);
      lost_ = kConcealedMax;
      pitch_ = 0;
    } else {
      is_altered_ = true;
      made_up_ = static_cast<uint8_t>(made_up_ | 1U << i / kSentSamples);
      if (lost_ == 0) {
        has_before = ReadBefore(timestamp, &before);
        pitch_ = has_before ? FindPitch(before) : 0;
        fade = 0;
      } else if (!has_before && pitch_ != 0 && lost_ < kConcealedMax) {
        has_before = ReadBefore(timestamp, &before);
      }
      if (has_before && pitch_ != 0) {
        WriteConcealed(before, pitch_, lost_, kGranule, out + i);
      } else {
        std::fill_n(out + i, kGranule, int16_t{0});
      }
      lost_ = std::min(lost_ + kGranule, kConcealedMax);
    }
    for (uint32_t n = 0; n < kGranule; ++n) codes_[(timestamp + n) % kRingCodes] = EncodeSample(law_, out[i + n]);
  }
}

bool PlayoutBuffer::Take(int16_t* out) {
  static_assert(kSentSamples % kGranule == 0 && kFrameSamples % kSentSamples == 0);
  is_altered_ = false;
  made_up_ = 0;
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
  if (written == kAll && lost_ == 0) {
    DecodeFrom(play_at_, kFrameSamples, out);
    noise_.StopAt(play_at_);
  } else {
    // What is heard as such is counted: not the silence that follows, and not noise that was announced.
    const uint64_t first_missing = static_cast<uint64_t>(std::countr_one(written)) * kGranule;
    const bool is_heard = written != kAll && (lost_ < kConcealedMax || first_missing > 0);
    if (is_heard && !noise_.CoversFrom(play_at_ + static_cast<uint32_t>(first_missing))) ++counters_.concealed_frames;
    Conceal(written, out);
  }
  SetWritten(play_at_, kFrameGranules, false);
  play_at_ += kFrameSamples;

  played_ = std::min(played_ + static_cast<uint32_t>(kFrameSamples), kRingCodes);
  return true;
}

}  // namespace hushtone
