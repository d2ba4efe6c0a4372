// Sums of voices, 20 ms at a time: in 32 bits, and clipped once, when all of them are in. Integers, so that the order of
// adding and taking away changes nothing: a sum less one voice is the sum of the others to the bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "audio/playout_buffer.h"

namespace hushtone {

using VoiceSum = std::array<int32_t, kFrameSamples>;
using VoiceFrame = std::array<int16_t, kFrameSamples>;

// 5 ms, as recordings fade: a voice that comes into a mix or goes out of it makes no click.
constexpr size_t kMixFadeSamples = 40;

inline void AddVoice(const int16_t* voice, VoiceSum* sum) {
  for (size_t n = 0; n < kFrameSamples; ++n) (*sum)[n] += voice[n];
}

inline void TakeVoice(const int16_t* voice, VoiceSum* sum) {
  for (size_t n = 0; n < kFrameSamples; ++n) (*sum)[n] -= voice[n];
}

// A voice that was not in the mix before.
inline void AddFreshVoice(const int16_t* voice, VoiceSum* sum) {
  for (size_t n = 0; n < kMixFadeSamples; ++n) {
    (*sum)[n] += voice[n] * static_cast<int32_t>(n + 1) / static_cast<int32_t>(kMixFadeSamples);
  }
  for (size_t n = kMixFadeSamples; n < kFrameSamples; ++n) (*sum)[n] += voice[n];
}

// What was heard broke off at `level`. From there to nothing; what would have been said next is not in it.
inline void AddTail(int32_t level, VoiceSum* sum) {
  for (size_t n = 0; n < kMixFadeSamples; ++n) {
    (*sum)[n] += level * static_cast<int32_t>(kMixFadeSamples - 1 - n) / static_cast<int32_t>(kMixFadeSamples);
  }
}

inline int16_t Clip(int32_t sample) { return static_cast<int16_t>(std::clamp(sample, -32768, 32767)); }

inline void ClipSum(const VoiceSum& sum, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; ++n) frame[n] = Clip(sum[n]);
}

inline void MixTwo(const int16_t* one, const int16_t* other, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; ++n) frame[n] = Clip(one[n] + other[n]);
}

}  // namespace hushtone
