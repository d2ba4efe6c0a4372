// Sums of voices, 20 ms at a time: in 32 bits, and clipped once, when all of them are in. Integers, so that the order of
// adding and taking away changes nothing: a sum less one voice is the sum of the others to the bit.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

#ifdef __SSE2__

// Packing and adding with saturation are what clipping is; g++ 12 finds neither by itself.
inline __m128i LoadMix(const void* at) { return _mm_loadu_si128(static_cast<const __m128i*>(at)); }
inline void StoreMix(__m128i eight, int16_t* at) { _mm_storeu_si128(reinterpret_cast<__m128i*>(at), eight); }

inline void ClipSum(const VoiceSum& sum, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; n += 8) StoreMix(_mm_packs_epi32(LoadMix(&sum[n]), LoadMix(&sum[n + 4])), frame + n);
}

inline void MixTwo(const int16_t* one, const int16_t* other, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; n += 8) StoreMix(_mm_adds_epi16(LoadMix(one + n), LoadMix(other + n)), frame + n);
}

#else

inline int16_t Clip(int32_t sample) { return static_cast<int16_t>(std::clamp(sample, -32768, 32767)); }

inline void ClipSum(const VoiceSum& sum, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; ++n) frame[n] = Clip(sum[n]);
}

inline void MixTwo(const int16_t* one, const int16_t* other, int16_t* frame) {
  for (size_t n = 0; n < kFrameSamples; ++n) frame[n] = Clip(one[n] + other[n]);
}

#endif

}  // namespace hushtone
