#include "audio/concealment.h"

#include <algorithm>

namespace hushtone {
namespace {

constexpr uint32_t kStageSamples = 80;                // 10 ms.
constexpr uint32_t kCompared = 160;                   // 20 ms are compared with themselves, as in the appendix.
constexpr uint32_t kStep = 2;                         // In the first, coarse search.

// Normalized by the energy at the lag alone: the energy of what is compared is the same for all.
float Likeness(const Before& before, uint32_t lag, uint32_t step) {
  const int16_t* now = before.data() + kBeforeSamples - kCompared;
  const int16_t* then = now - lag;
  float product = 0;
  float energy = 1;
  for (uint32_t i = 0; i < kCompared; i += step) {
    product += static_cast<float>(now[i]) * static_cast<float>(then[i]);
    energy += static_cast<float>(then[i]) * static_cast<float>(then[i]);
  }
  return product > 0 ? product * product / energy : 0;
}

// The last `cycle` samples again and again; the end of each time glides into what stood before its beginning.
float Repeated(const Before& before, uint32_t cycle, uint32_t glide, uint32_t at) {
  const uint32_t place = at % cycle;
  const auto sample = static_cast<float>(before[kBeforeSamples - cycle + place]);
  if (place < cycle - glide) return sample;
  const float share = static_cast<float>(place - (cycle - glide) + 1) / static_cast<float>(glide + 1);
  const auto earlier = static_cast<float>(before[kBeforeSamples - 2 * cycle + place]);
  return sample + share * (earlier - sample);
}

}  // namespace

uint32_t FindPitch(const Before& before) {
  uint32_t best = kPitchMax;
  float best_likeness = 0;
  const auto consider = [&](uint32_t lag, uint32_t step) {
    const float likeness = Likeness(before, lag, step);
    if (likeness <= best_likeness) return;
    best_likeness = likeness;
    best = lag;
  };
  for (uint32_t lag = kPitchMin; lag <= kPitchMax; lag += kStep) consider(lag, kStep);
  const uint32_t around = best;
  best_likeness = 0;
  for (uint32_t lag = std::max(kPitchMin, around - 1); lag <= std::min(kPitchMax, around + 1); ++lag) consider(lag, 1);
  return best;
}

void WriteConcealed(const Before& before, uint32_t pitch, uint32_t at, uint32_t count, int16_t* out) {
  const uint32_t glide = pitch / 4;
  const auto last = static_cast<float>(before[kBeforeSamples - 1]);
  const float step = last - static_cast<float>(before[kBeforeSamples - 1 - pitch]);
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t t = at + i;
    if (t >= kConcealedMax) {
      out[i] = 0;
      continue;
    }
    const uint32_t stage = std::min(t / kStageSamples, 2u);
    float sample = Repeated(before, pitch * (stage + 1), glide, t);
    const uint32_t in_stage = t - stage * kStageSamples;
    if (stage > 0 && in_stage < glide) {   // From fewer periods to more: the one glides into the other.
      const float earlier = Repeated(before, pitch * stage, glide, t);
      sample = earlier + (sample - earlier) * static_cast<float>(in_stage + 1) / static_cast<float>(glide + 1);
    }
    if (t < glide) sample += step * static_cast<float>(glide - t) / static_cast<float>(glide + 1);
    if (t > kStageSamples) sample *= static_cast<float>(kConcealedMax - t) / static_cast<float>(kConcealedMax - kStageSamples);
    out[i] = static_cast<int16_t>(std::clamp(sample, -32768.0F, 32767.0F));
  }
}

}  // namespace hushtone
