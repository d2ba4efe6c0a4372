#include "audio/narrow.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <numeric>

namespace hushtone {
namespace {

// A telephone ends at 3400 Hz (ITU-T G.712 §8.1), DTMF at 1633 Hz. Half of the amplitude is left at the cut-off.
constexpr double kCutoffHz = 3700.0;
// Where the input itself is narrow: near its own limit.
constexpr double kCutoffShareMax = 0.46;
// The filter's half, in periods of the lower of both rates; with a Blackman window it falls from 3 to 4.4 kHz.
constexpr size_t kHalfPeriods = 16;

// Sixteen sums side by side in vectors of any width, so that every CPU comes to the same bits (as in dtmf/correlate.h).
constexpr size_t kSums = 16;

template <size_t kBytes>
[[gnu::always_inline]] inline float DotBody(const float* a, const float* b, size_t count) {
  typedef float Vector __attribute__((vector_size(kBytes)));
  constexpr size_t kLanes = kBytes / sizeof(float);
  constexpr size_t kVectors = kSums / kLanes;
  Vector sums[kVectors]{};
  for (size_t i = 0; i < count; i += kSums) {
    for (size_t v = 0; v < kVectors; ++v) {
      Vector left;
      Vector right;
      std::memcpy(&left, a + i + v * kLanes, sizeof left);
      std::memcpy(&right, b + i + v * kLanes, sizeof right);
      sums[v] += left * right;
    }
  }
  float all[kSums];
  std::memcpy(all, sums, sizeof all);
  for (size_t width = kSums / 2; width > 0; width /= 2) {
    for (size_t i = 0; i < width; ++i) all[i] += all[i + width];
  }
  return all[0];
}

using Dot = float (*)(const float* a, const float* b, size_t count);

float DotPortable(const float* a, const float* b, size_t count) { return DotBody<16>(a, b, count); }

#if defined(__x86_64__)
[[gnu::target("avx2")]] float DotAvx2(const float* a, const float* b, size_t count) { return DotBody<32>(a, b, count); }
#endif

Dot FastestDot() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2")) return DotAvx2;
#endif
  return DotPortable;
}

double Tap(double at, double half, double cutoff) {
  if (std::fabs(at) >= half) return 0.0;
  const double phase = std::numbers::pi * at / half;
  const double window = 0.42 + 0.5 * std::cos(phase) + 0.08 * std::cos(2.0 * phase);
  const double angle = 2.0 * std::numbers::pi * cutoff * at;
  return (at == 0.0 ? 2.0 * cutoff : std::sin(angle) / (std::numbers::pi * at)) * window;
}

}  // namespace

Narrower::Narrower(uint32_t input_rate) {
  const uint64_t rate = std::clamp<uint64_t>(input_rate, 1, kNarrowInputRateMax);
  const uint64_t divisor = std::gcd(rate, uint64_t{kNarrowRate});
  step_numerator_ = rate / divisor;
  step_denominator_ = kNarrowRate / divisor;
  const double periods = std::max(1.0, static_cast<double>(rate) / kNarrowRate);
  const double half = kHalfPeriods * periods;
  half_ = static_cast<size_t>(std::ceil(half));
  taps_ = (2 * half_ + kSums - 1) / kSums * kSums;
  const double cutoff = std::min(kCutoffHz, static_cast<double>(rate) * kCutoffShareMax) / static_cast<double>(rate);
  bank_.assign(step_denominator_ * taps_, 0.0F);
  for (uint64_t phase = 0; phase < step_denominator_; ++phase) {
    const double fraction = static_cast<double>(phase) / static_cast<double>(step_denominator_);
    for (size_t tap = 0; tap < 2 * half_; ++tap) {
      // Tap 0 is the input sample half_ - 1 before the one that the output sample stands on or just behind.
      const double at = static_cast<double>(tap) - static_cast<double>(half_ - 1) - fraction;
      bank_[phase * taps_ + tap] = static_cast<float>(Tap(at, half, cutoff));
    }
  }
  history_.assign(half_, 0.0F);
}

void Narrower::Feed(std::span<const int16_t> samples, std::vector<int16_t>* out) {
  const size_t before = history_.size();
  history_.resize(before + samples.size());
  std::transform(samples.begin(), samples.end(), history_.begin() + static_cast<std::ptrdiff_t>(before),
                 [](int16_t sample) { return static_cast<float>(sample); });
  fed_ += samples.size();
  Drain(fed_, out);
}

void Narrower::Finish(std::vector<int16_t>* out) {
  history_.insert(history_.end(), half_, 0.0F);
  const uint64_t wanted = fed_ * step_denominator_ / step_numerator_;
  Drain(fed_ + half_, out);
  if (made_ > wanted) {
    out->resize(out->size() - std::min<size_t>(out->size(), static_cast<size_t>(made_ - wanted)));
    made_ = wanted;
  }
}

void Narrower::Drain(uint64_t input_end, std::vector<int16_t>* out) {
  // A filter's last vector may reach behind what there is: its taps there are zero.
  const Dot dot = FastestDot();
  const size_t there = history_.size();
  history_.resize(there + kSums, 0.0F);
  for (;;) {
    const uint64_t place = made_ * step_numerator_;
    const uint64_t on = place / step_denominator_;
    if (on + half_ >= input_end) break;
    // The filter begins half_ - 1 before `on`; history_[0] is the input sample half_ before history_begin_.
    const float* from = history_.data() + static_cast<size_t>(on + 1 - history_begin_);
    const float sum = dot(from, bank_.data() + (place % step_denominator_) * taps_, taps_);
    const float clipped = std::clamp(sum, -32768.0F, 32767.0F);
    out->push_back(static_cast<int16_t>(clipped < 0 ? clipped - 0.5F : clipped + 0.5F));
    ++made_;
  }
  history_.resize(there);
  const uint64_t next = made_ * step_numerator_ / step_denominator_;
  if (next > history_begin_) {
    const size_t done = std::min(static_cast<size_t>(next - history_begin_), history_.size());
    history_.erase(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(done));
    history_begin_ += done;
  }
}

}  // namespace hushtone
