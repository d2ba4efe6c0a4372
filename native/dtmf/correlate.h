// The arithmetic of the in-band detector: samples times sixteen waves (cosine and sine of eight frequencies), and their
// energy. Sixteen sums side by side fit vectors of any width, none is added up across one, and no product is fused with
// its sum (-ffp-contract=off): so every CPU comes to the same bits, and decides the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hushtone {

using Wave = float[16];
// Adds to `sums` (sixteen) and `energy`.
using Correlate = void (*)(const int16_t* samples, size_t count, const Wave* waves, float* sums, int64_t* energy);

void CorrelatePortable(const int16_t* samples, size_t count, const Wave* waves, float* sums, int64_t* energy);
// The one for this CPU, AVX2 where it has it.
Correlate FastestCorrelate();

}  // namespace hushtone
