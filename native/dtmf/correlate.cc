#include "dtmf/correlate.h"

#include <cstring>

namespace hushtone {
namespace {

template <size_t kBytes>
[[gnu::always_inline]] inline void CorrelateBody(const int16_t* samples, size_t count, const Wave* waves, float* sums,
                                                 int64_t* energy) {
  typedef float Vector __attribute__((vector_size(kBytes)));
  constexpr size_t kLanes = kBytes / sizeof(float);
  constexpr size_t kVectors = 16 / kLanes;
  Vector even[kVectors];
  Vector odd[kVectors]{};   // Two sums in turn: an addition need not wait for the one before it.
  std::memcpy(even, sums, sizeof even);
  int64_t squares = 0;
  const auto add = [&](Vector* to, size_t i) __attribute__((always_inline)) {
    const int32_t sample = samples[i];
    squares += sample * sample;
    const auto factor = static_cast<float>(sample);
    for (size_t v = 0; v < kVectors; ++v) {
      Vector wave;
      std::memcpy(&wave, waves[i] + v * kLanes, sizeof wave);
      to[v] += wave * factor;
    }
  };
  size_t i = 0;
  for (; i + 1 < count; i += 2) {
    add(even, i);
    add(odd, i + 1);
  }
  if (i < count) add(even, i);
  for (size_t v = 0; v < kVectors; ++v) even[v] += odd[v];
  std::memcpy(sums, even, sizeof even);
  *energy += squares;
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void CorrelateAvx2(const int16_t* samples, size_t count, const Wave* waves, float* sums,
                                           int64_t* energy) {
  CorrelateBody<32>(samples, count, waves, sums, energy);
}
#endif

}  // namespace

void CorrelatePortable(const int16_t* samples, size_t count, const Wave* waves, float* sums, int64_t* energy) {
  CorrelateBody<16>(samples, count, waves, sums, energy);
}

Correlate FastestCorrelate() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return CorrelateAvx2;
#endif
  return CorrelatePortable;
}

}  // namespace hushtone
