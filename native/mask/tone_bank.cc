#include "mask/tone_bank.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

// Functions that take or return vectors are inlined, so it does not matter how a call would pass them.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace hushtone {
namespace {

typedef float Vector __attribute__((vector_size(32)));
constexpr size_t kLanes = 8;

constexpr size_t kTaps = 48;
constexpr size_t kDecimation = 4;
constexpr double kRate = 8000;
constexpr double kCentreHz = 1200;
// Half of the band: 5 % under 697 Hz and 5 % over 1,633 Hz pass with less than 1 dB, dial tone at 440 Hz loses 20 dB.
constexpr double kHalfBandHz = 620;
constexpr double kKaiserBeta = 1.6;
constexpr uint32_t kTurnsExact = 64;     // Blocks after which rounding is taken out of the turns.

double Bessel0(double x) {
  double sum = 1;
  double term = 1;
  for (int k = 1; k < 20; ++k) {
    term *= x / (2 * k);
    sum += term * term;
  }
  return sum;
}

struct Tables {
  float hann[kBankWindowBlocks];
  float window_scale;
  float tap_re[kTaps];
  float tap_im[kTaps];
  alignas(32) float wave_re[kBandPerBlock][kBankTones];
  alignas(32) float wave_im[kBandPerBlock][kBankTones];
  alignas(32) float advance_re[kBankTones];
  alignas(32) float advance_im[kBankTones];
};

Tables MakeTables() {
  Tables made{};
  double sum = 0;
  double taps[kTaps];
  for (size_t k = 0; k < kTaps; ++k) {
    const double t = static_cast<double>(k) - (kTaps - 1) / 2.0;
    const double x = 2 * t / kTaps;
    const double sinc = std::sin(2 * std::numbers::pi * kHalfBandHz / kRate * t) / t;   // t is never 0: kTaps is even.
    taps[k] = sinc * Bessel0(kKaiserBeta * std::sqrt(1 - x * x)) / Bessel0(kKaiserBeta);
    sum += taps[k];
  }
  for (size_t k = 0; k < kTaps; ++k) {
    const double turn = 2 * std::numbers::pi * kCentreHz / kRate * static_cast<double>(k);
    // Twice: of a real sine only half is at its positive frequency.
    made.tap_re[k] = static_cast<float>(2 * taps[k] / sum * std::cos(turn));
    made.tap_im[k] = static_cast<float>(2 * taps[k] / sum * std::sin(turn));
  }
  for (size_t tone = 0; tone < kBankTones; ++tone) {
    const double step = 2 * std::numbers::pi * static_cast<double>(kBankHz[tone]) * kDecimation / kRate;
    for (size_t n = 0; n < kBandPerBlock; ++n) {
      made.wave_re[n][tone] = static_cast<float>(std::cos(step * static_cast<double>(n)));
      made.wave_im[n][tone] = static_cast<float>(-std::sin(step * static_cast<double>(n)));
    }
    made.advance_re[tone] = static_cast<float>(std::cos(step * kBandPerBlock));
    made.advance_im[tone] = static_cast<float>(-std::sin(step * kBandPerBlock));
  }
  float weights = 0;
  float squares = 0;
  for (size_t i = 0; i < kBankWindowBlocks; ++i) {
    const double turn = std::sin(std::numbers::pi * (static_cast<double>(i) + 0.5) / kBankWindowBlocks);
    made.hann[i] = static_cast<float>(turn * turn);
    weights += made.hann[i];
    squares += made.hann[i] * made.hann[i];
  }
  // |sum| of a sine of amplitude A is A · kBandPerBlock · weights, its energy A² · kBandPerBlock · squares.
  made.window_scale = squares / (static_cast<float>(kBandPerBlock) * weights * weights);
  return made;
}

const Tables& TheTables() {
  static const Tables tables = MakeTables();
  return tables;
}

[[gnu::always_inline]] inline Vector Load(const float* at) {
  Vector vector;
  std::memcpy(&vector, at, sizeof vector);
  return vector;
}

[[gnu::always_inline]] inline void Store(float* at, const Vector& vector) { std::memcpy(at, &vector, sizeof vector); }

// z[m] = sum of tap[k] · x[4m + 3 - k]: the phases side by side, so that eight outputs are one vector.
template <size_t kHistory, size_t kOutputs>
[[gnu::always_inline]] inline void BandPass(const Tables& tables, const float (*phases)[kHistory + kOutputs], float* re,
                                            float* im) {
  for (size_t m = 0; m < kOutputs; m += kLanes) {
    Vector sum_re{};
    Vector sum_im{};
    for (size_t k = 0; k < kTaps; ++k) {
      const Vector x = Load(&phases[kDecimation - 1 - k % kDecimation][kHistory + m - k / kDecimation]);
      sum_re += x * tables.tap_re[k];
      sum_im += x * tables.tap_im[k];
    }
    Store(re + m, sum_re);
    Store(im + m, sum_im);
  }
}

[[gnu::always_inline]] inline void Correlate(const Tables& tables, const float* re, const float* im, float* turn_re, float* turn_im,
                                             BankBlock* out) {
  for (size_t v = 0; v < kBankTones; v += kLanes) {
    Vector sum_re{};
    Vector sum_im{};
    for (size_t n = 0; n < kBandPerBlock; ++n) {
      const Vector wave_re = Load(&tables.wave_re[n][v]);
      const Vector wave_im = Load(&tables.wave_im[n][v]);
      sum_re += wave_re * re[n] - wave_im * im[n];
      sum_im += wave_im * re[n] + wave_re * im[n];
    }
    const Vector t_re = Load(turn_re + v);
    const Vector t_im = Load(turn_im + v);
    Store(out->re + v, sum_re * t_re - sum_im * t_im);
    Store(out->im + v, sum_re * t_im + sum_im * t_re);
    const Vector a_re = Load(tables.advance_re + v);
    const Vector a_im = Load(tables.advance_im + v);
    Store(turn_re + v, t_re * a_re - t_im * a_im);
    Store(turn_im + v, t_re * a_im + t_im * a_re);
  }
}

template <size_t kHistory, size_t kOutputs>
[[gnu::always_inline]] inline void AnalyzeBody(const float (*phases)[kHistory + kOutputs], float* turn_re, float* turn_im,
                                               float* last_total, BankBlock* out) {
  const Tables& tables = TheTables();
  alignas(32) float squares[kOutputs];
  for (size_t m = 0; m < kOutputs; m += kLanes) {
    Vector sum{};
    for (size_t p = 0; p < kDecimation; ++p) {
      const Vector x = Load(&phases[p][kHistory + m]);
      sum += x * x;
    }
    Store(squares + m, sum);
  }
  alignas(32) float re[kOutputs];
  alignas(32) float im[kOutputs];
  BandPass<kHistory, kOutputs>(tables, phases, re, im);
  for (size_t block = 0; block < kBankBlocks; ++block) {
    const float* block_re = re + block * kBandPerBlock;
    const float* block_im = im + block * kBandPerBlock;
    Correlate(tables, block_re, block_im, turn_re, turn_im, &out[block]);
    float band = 0;
    float total = 0;
    for (size_t n = 0; n < kBandPerBlock; ++n) {
      band += block_re[n] * block_re[n] + block_im[n] * block_im[n];
      total += squares[block * kBandPerBlock + n];
    }
    out[block].band = band;
    // The band-pass is late by kBankDelaySamples, which is a block. The mean square of a sine is A²/2: A² · 10 in a block.
    out[block].total = *last_total;
    *last_total = total * (static_cast<float>(kBandPerBlock) * 2.0F / kBankBlockSamples);
  }
}

[[gnu::always_inline]] inline void WindowBody(const float* hann, float scale, const BankBlock* const* blocks, BankWindow* out) {
  for (size_t v = 0; v < kBankTones; v += kLanes) {
    Vector re{};
    Vector im{};
    for (size_t i = 0; i < kBankWindowBlocks; ++i) {
      re += Load(blocks[i]->re + v) * hann[i];
      im += Load(blocks[i]->im + v) * hann[i];
    }
    Store(out->re + v, re);
    Store(out->im + v, im);
    Store(out->power + v, (re * re + im * im) * scale);
  }
  out->band = out->total = 0;
  for (size_t i = 0; i < kBankWindowBlocks; ++i) {
    out->band += hann[i] * hann[i] * blocks[i]->band;
    out->total += hann[i] * hann[i] * blocks[i]->total;
  }
}

using Analyze = void (*)(const float (*phases)[52], float* turn_re, float* turn_im, float* last_total, BankBlock* out);

void AnalyzePortable(const float (*phases)[52], float* turn_re, float* turn_im, float* last_total, BankBlock* out) {
  AnalyzeBody<12, 40>(phases, turn_re, turn_im, last_total, out);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void AnalyzeAvx2(const float (*phases)[52], float* turn_re, float* turn_im, float* last_total,
                                         BankBlock* out) {
  AnalyzeBody<12, 40>(phases, turn_re, turn_im, last_total, out);
}
#endif

using Window = void (*)(const float* hann, float scale, const BankBlock* const* blocks, BankWindow* out);

void WindowPortable(const float* hann, float scale, const BankBlock* const* blocks, BankWindow* out) {
  WindowBody(hann, scale, blocks, out);
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void WindowAvx2(const float* hann, float scale, const BankBlock* const* blocks, BankWindow* out) {
  WindowBody(hann, scale, blocks, out);
}
#endif

struct Arithmetic {
  Analyze analyze = AnalyzePortable;
  Window window = WindowPortable;
};

const Arithmetic& The(BankPath path) {
  static const Arithmetic portable;
  static const Arithmetic fastest = [] {
    Arithmetic chosen;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) chosen = {AnalyzeAvx2, WindowAvx2};
#endif
    return chosen;
  }();
  return path == BankPath::kPortable ? portable : fastest;
}

}  // namespace

void MakeBankWindow(const BankBlock* const* blocks, BankWindow* out, BankPath path) {
  const Tables& tables = TheTables();
  The(path).window(tables.hann, tables.window_scale, blocks, out);
}

void ToneBank::Reset() {
  before_.fill(0);
  asm volatile("" : : "r"(before_.data()) : "memory");
  for (size_t tone = 0; tone < kBankTones; ++tone) turn_re_[tone] = 1, turn_im_[tone] = 0;
  last_total_ = 0;
  blocks_ = 0;
}

void ToneBank::Push(std::span<const int16_t, kBankFrameSamples> frame, BankBlock* blocks) {
  static_assert(kHistory == 12 && kOutputs == 40);
  // One row for each phase of the decimation.
  alignas(32) float phases[kDecimation][kHistory + kOutputs];
  for (size_t p = 0; p < kDecimation; ++p) {
    for (size_t m = 0; m < kHistory; ++m) phases[p][m] = static_cast<float>(before_[m * kDecimation + p]);
    for (size_t m = 0; m < kOutputs; ++m) phases[p][kHistory + m] = static_cast<float>(frame[m * kDecimation + p]);
  }
  std::copy(frame.end() - kTaps, frame.end(), before_.begin());
  The(path_).analyze(phases, turn_re_, turn_im_, &last_total_, blocks);
  blocks_ += kBankBlocks;
  if (blocks_ % kTurnsExact != 0) return;
  for (size_t tone = 0; tone < kBankTones; ++tone) {
    const float length = std::sqrt(turn_re_[tone] * turn_re_[tone] + turn_im_[tone] * turn_im_[tone]);
    turn_re_[tone] /= length;
    turn_im_[tone] /= length;
  }
}

}  // namespace hushtone
