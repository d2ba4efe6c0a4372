#include "mask/mask_line.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <span>

namespace hushtone {
namespace {

constexpr uint32_t kSpliceEveryFrames = 2;
// 500 Hz is 197 Hz from the nearest key and no country's dial tone; -24 dBm0 is quieter than a voice.
constexpr double kToneHz = 500;
constexpr size_t kTonePeriod = 16;
constexpr double kTonePeak = 22827.0 * 0.063;                   // 0 dBm0 is a sine of peak 22,827 (G.711); -24 dB.
constexpr uint32_t kBackgroundFrames = 25;
// The quietest frame of a second in which nobody paused is voice: noise louder than -45 dBm0 is not made.
constexpr float kNoiseRmsMax = 91;
constexpr float kUnknown = 1e12F;

struct Tables {
  float tone[kTonePeriod];
};

const Tables& TheTables() {
  static const Tables tables = [] {
    Tables made{};
    for (size_t n = 0; n < kTonePeriod; ++n) {
      made.tone[n] = static_cast<float>(kTonePeak * std::sin(2 * std::numbers::pi * kToneHz / 8000 * static_cast<double>(n)));
    }
    return made;
  }();
  return tables;
}

}  // namespace

void MaskLine::Reset(MaskFill fill) {
  state_ = MaskState::kOpen;
  fill_ = fill;
  ring_.fill(0);
  marks_.fill(0);
  asm volatile("" : : "r"(ring_.data()) : "memory");
  written_ = kRingSamples;
  marked_until_ = closed_until_ = 0;
  delay_ = 0;
  frames_to_splice_ = 0;
  gain_ = kRampSamples;
  bank_.Reset();
  finder_.Reset();
  random_ = 1;
  noise_ = noise_rms_ = 0;
  quietest_.fill(kUnknown);
  background_frames_ = 0;
  unsaid_frames_ = 0;
  tone_at_ = 0;
  counters_ = MaskCounters{};
  stretch_samples_ = 0;
}

void MaskLine::ArmSilent() {
  delay_ = kMaskDelaySamples;
  unsaid_frames_ = kMaskDelaySamples / kMaskFrameSamples;
  state_ = MaskState::kArmed;
}

void MaskLine::WipeMarked() {
  for (uint64_t at = written_ - kRingSamples; at < written_; ++at) {
    if (IsMarked(at)) ring_[at % kRingSamples] = 0;
  }
  asm volatile("" : : "r"(ring_.data()) : "memory");
}

void MaskLine::SetMarks(uint64_t from, uint64_t to, bool marked) {
  for (uint64_t at = from; at < to;) {
    const uint64_t end = std::min(to, (at / 64 + 1) * 64);
    const uint64_t bits = (end - at == 64 ? ~uint64_t{0} : (uint64_t{1} << (end - at)) - 1) << (at % 64);
    uint64_t& word = marks_[at % kRingSamples / 64];
    word = marked ? word | bits : word & ~bits;
    at = end;
  }
}

void MaskLine::Write(const int16_t* in) {
  // The ring is whole frames long.
  std::memcpy(&ring_[written_ % kRingSamples], in, kMaskFrameSamples * sizeof(int16_t));
  const uint64_t end = written_ + kMaskFrameSamples;
  SetMarks(written_, end, false);
  if (marked_until_ > written_) SetMarks(written_, std::min(marked_until_, end), true);
  written_ = end;
}

void MaskLine::Mark(uint64_t from, uint64_t to) {
  marked_until_ = std::max(marked_until_, to);
  const uint64_t oldest = written_ - kRingSamples;
  SetMarks(std::max(from, oldest), std::min(to, written_), true);
}

// How far back (or on) the audio is most like what comes at `at`. What is left of the way is never shorter than a step.
size_t MaskLine::BestSplice(uint64_t at, bool back) const {
  const size_t left = back ? kMaskDelaySamples - delay_ : delay_;
  if (left < kSpliceSamplesMin) return left;
  size_t best = std::min(left, kSpliceSamplesMin);
  float best_score = -2;
  for (size_t step = kSpliceSamplesMin; step <= std::min(left, kSpliceSamplesMax); ++step) {
    if (left - step > 0 && left - step < kSpliceSamplesMin) continue;
    int64_t product = 0;
    int64_t here = 1;
    int64_t there = 1;
    for (size_t i = 0; i < kSpliceTemplate; ++i) {
      const int64_t a = At(at + i);
      const int64_t b = At(back ? at + i - step : at + i + step);
      product += a * b;
      here += a * a;
      there += b * b;
    }
    const float score = static_cast<float>(product) / std::sqrt(static_cast<float>(here) * static_cast<float>(there));
    if (score > best_score) best_score = score, best = step;
  }
  return best;
}

void MaskLine::Process(const int16_t* in, int16_t* out) {
  if (state_ == MaskState::kOpen) {
    // The ring goes on, so that arming has something to put in.
    Write(in);
    std::memmove(out, in, kMaskFrameSamples * sizeof(int16_t));
    return;
  }
  Write(in);
  BankBlock blocks[kBankBlocks];
  bank_.Push(std::span<const int16_t, kBankFrameSamples>(in, kBankFrameSamples), blocks);
  Stretch found[kHopsPerFrame];
  const size_t count = finder_.Push(blocks, found);
  const auto now = static_cast<int64_t>(written_);
  for (size_t i = 0; i < count; ++i) Mark(static_cast<uint64_t>(now - found[i].from), static_cast<uint64_t>(now - found[i].to));

  const uint64_t from = written_ - kMaskFrameSamples - delay_;
  uint64_t to = from;
  const bool moves = state_ == MaskState::kArming || state_ == MaskState::kDisarming;
  if (moves && frames_to_splice_-- == 0) {
    frames_to_splice_ = kSpliceEveryFrames - 1;
    const bool back = state_ == MaskState::kArming;
    const size_t step = BestSplice(from, back);
    to = back ? from - step : from + step;
    delay_ = back ? delay_ + step : delay_ - step;
    if (back && delay_ == kMaskDelaySamples) state_ = MaskState::kArmed;
    if (!back && delay_ == 0) state_ = MaskState::kOpen;
  }

  int16_t frame[kMaskFrameSamples];
  uint32_t masked = 0;
  if (to == from && IsClear(to)) {
    const size_t first = to % kRingSamples;
    const size_t until_end = std::min(kMaskFrameSamples, kRingSamples - first);
    std::memcpy(frame, &ring_[first], until_end * sizeof(int16_t));
    std::memcpy(frame + until_end, ring_.data(), (kMaskFrameSamples - until_end) * sizeof(int16_t));
  } else {
    masked = Mix(from, to, frame);
  }
  std::memcpy(out, frame, sizeof frame);
  if (masked == 0) HearBackground(frame);
  if (state_ == MaskState::kArmed) Count(masked, gain_ != kRampSamples);
}

// Nothing is masked in the frame that begins at `at`, and no ramp begins or ends in it.
bool MaskLine::IsClear(uint64_t at) const {
  const uint64_t end = at + kMaskFrameSamples + kRampSamples;
  if (gain_ != kRampSamples || closed_until_ > at || (end > written_ && marked_until_ > written_)) return false;
  for (uint64_t word = at / 64; word <= (end - 1) / 64; ++word) {
    if (marks_[word % marks_.size()] != 0) return false;
  }
  return true;
}

// The frame at `to`, faded from the one at `from` where they differ, with what must not be heard replaced. Returns how
// many samples were.
uint32_t MaskLine::Mix(uint64_t from, uint64_t to, int16_t* frame) {
  uint32_t masked = 0;
  for (size_t i = 0; i < kMaskFrameSamples; ++i) {
    const uint64_t at = to + i;
    int32_t sample = At(at);
    bool marked = IsMarked(at);
    if (to != from && i < kSpliceFade) {
      const auto share = static_cast<int32_t>(i);
      constexpr auto kAll = static_cast<int32_t>(kSpliceFade);
      sample = (sample * share + At(from + i) * (kAll - share)) / kAll;
      marked = marked || IsMarked(from + i);
    }
    const uint64_t ahead = at + kRampSamples;
    if (ahead < written_ ? IsMarked(ahead) : ahead < marked_until_) closed_until_ = ahead + 1;
    if (marked) {
      gain_ = 0;   // Never audible, whatever the ramp had time for.
    } else {
      gain_ = std::clamp(gain_ + (at < closed_until_ ? -1 : 1), 0, kRampSamples);
    }
    if (gain_ != kRampSamples) {
      ++masked;
      sample = (sample * gain_ + Replacement() * (kRampSamples - gain_)) / kRampSamples;
    }
    frame[i] = static_cast<int16_t>(std::clamp(sample, -32768, 32767));
  }
  return masked;
}

int32_t MaskLine::Replacement() {
  switch (fill_) {
    case MaskFill::kSilence:
      return 0;
    case MaskFill::kTone:
      tone_at_ = (tone_at_ + 1) % kTonePeriod;
      return static_cast<int32_t>(TheTables().tone[tone_at_]);
    case MaskFill::kNoise: {
      random_ = random_ * 1664525U + 1013904223U;
      // Uniform in ±1, then one pole at 1/2: a third of it is left, and high frequencies least, as in rooms.
      const float white = static_cast<float>(static_cast<int32_t>(random_)) / 2147483648.0F;
      noise_ = 0.5F * noise_ + 0.5F * white;
      return static_cast<int32_t>(noise_ * 3.0F * noise_rms_);
    }
  }
  return 0;
}

void MaskLine::HearBackground(const int16_t* frame) {
  if (unsaid_frames_ > 0) {
    --unsaid_frames_;
    return;
  }
  int64_t energy = 0;
  for (size_t i = 0; i < kMaskFrameSamples; ++i) energy += int32_t{frame[i]} * frame[i];
  quietest_[0] = std::min(quietest_[0], static_cast<float>(energy) / kMaskFrameSamples);
  const float quietest = std::min(quietest_[0], quietest_[1]);
  noise_rms_ = std::min(kNoiseRmsMax, std::sqrt(quietest));
  if (++background_frames_ < kBackgroundFrames) return;
  background_frames_ = 0;
  quietest_[1] = quietest_[0];
  quietest_[0] = kUnknown;
}

void MaskLine::Count(uint32_t masked_samples, bool masked_at_end) {
  ++counters_.frames;
  if (masked_samples > 0) ++counters_.frames_masked;
  if (masked_samples > 0 && stretch_samples_ == 0) ++counters_.stretches;
  stretch_samples_ += masked_samples;
  counters_.longest_ms = std::max(counters_.longest_ms, stretch_samples_ / 8);
  if (!masked_at_end) stretch_samples_ = 0;
}

}  // namespace hushtone
