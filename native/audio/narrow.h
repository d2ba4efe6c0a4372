// Audio of any sample rate to 8 kHz, for recordings: what is above 4 kHz must not be heard below it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace hushtone {

constexpr uint32_t kNarrowRate = 8000;
constexpr uint32_t kNarrowInputRateMax = 192'000;

// A windowed sinc as a bank of filters, one for each place that an output sample can have between two input samples.
// Allocates: for files, not for the media thread.
class Narrower {
 public:
  // `input_rate` from 1 to kNarrowInputRateMax.
  explicit Narrower(uint32_t input_rate);

  // Appends to `out` what these samples complete. The first output sample stands on the first input sample.
  void Feed(std::span<const int16_t> samples, std::vector<int16_t>* out);
  // Appends what silence behind the last sample completes: as many samples as the input lasts.
  void Finish(std::vector<int16_t>* out);

 private:
  void Drain(uint64_t input_end, std::vector<int16_t>* out);

  uint64_t step_numerator_;        // Input samples per output sample, as a fraction in lowest terms.
  uint64_t step_denominator_;
  size_t half_;                    // Taps to either side of an output sample's place.
  size_t taps_;                    // Of one filter: 2 · half, rounded up to whole vectors; those behind are zero.
  std::vector<float> bank_;        // step_denominator_ filters.
  std::vector<float> history_;     // Input from `history_begin_` on; `half_` zeros stand before the first sample.
  uint64_t history_begin_ = 0;     // Counted so that the first sample of all is at `half_`.
  uint64_t fed_ = 0;
  uint64_t made_ = 0;
};

}  // namespace hushtone
