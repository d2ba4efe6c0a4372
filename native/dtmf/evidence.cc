#include "dtmf/evidence.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "dtmf/points.h"

namespace hushtone {
namespace {

struct Complex {
  float re = 0, im = 0;
};

Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
Complex Times(Complex a, Complex b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
Complex TimesConjugate(Complex a, Complex b) { return {a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im}; }
float Square(Complex a) { return a.re * a.re + a.im * a.im; }

// To length 1; a phasor of nothing points ahead.
Complex Unit(Complex a) {
  const float square = Square(a);
  if (!(square > 1e-20F)) return {1.0F, 0.0F};
  const float scale = 1.0F / std::sqrt(square);
  return {a.re * scale, a.im * scale};
}

// The angle of a phasor to 0.00001, in radians.
float Angle(Complex a) {
  const float x = std::fabs(a.re), y = std::fabs(a.im);
  const float most = std::max(x, y);
  if (!(most > 0)) return 0;
  const float t = std::min(x, y) / most, s = t * t;
  float angle = t * (0.99998005F + s * (-0.33269399F + s * (0.19401696F + s * (-0.11768731F + s * (0.05407355F - s * 0.01229591F)))));
  if (y > x) angle = std::numbers::pi_v<float> / 2 - angle;
  if (a.re < 0) angle = std::numbers::pi_v<float> - angle;
  return a.im < 0 ? -angle : angle;
}

struct Stretch {
  const Spectrum& spectrum;
  uint64_t first;
  size_t blocks;

  const Block& at(size_t i) const { return spectrum.ring[(first + i) % kRingBlocks]; }
  Complex tone(size_t i, size_t tone) const { return {at(i).tone.re[tone], at(i).tone.im[tone]}; }
};

struct Tone {
  Complex first;              // In the first block, and how it turns from block to block.
  Complex step;
  float energy = 0;           // Of one sine through the stretch, per block.
  float wander = 0;           // 1 - coherent to all, 0 for a steady sine.
  float off = 0;              // % of the nominal frequency.
  float slope = 0;
  float bend = 0;
};

// A step from block to block found twice: from neighbouring blocks, then from the stretch's halves turned back by that.
Tone Measured(const Stretch& stretch, size_t index) {
  Complex steps;
  float all = 0;
  for (size_t i = 0; i < stretch.blocks; ++i) {
    const Complex now = stretch.tone(i, index);
    all += Square(now);
    if (i > 0) steps = steps + TimesConjugate(now, stretch.tone(i - 1, index));
  }
  Complex step = Unit(steps);
  const size_t half = stretch.blocks / 2;
  Complex halves[2], thirds[3];
  const size_t third = stretch.blocks / 3, middle = (stretch.blocks - third) / 2;
  for (int round = 0; round < 2; ++round) {
    halves[0] = halves[1] = Complex{};
    Complex turn{1.0F, 0.0F};
    for (size_t i = 0; i < stretch.blocks; ++i) {
      const Complex still = TimesConjugate(stretch.tone(i, index), turn);
      if (i < half) halves[0] = halves[0] + still;
      if (i >= stretch.blocks - half) halves[1] = halves[1] + still;
      if (round == 1) {
        if (i < third) thirds[0] = thirds[0] + still;
        if (i >= middle && i < middle + third) thirds[1] = thirds[1] + still;
        if (i >= stretch.blocks - third) thirds[2] = thirds[2] + still;
      }
      turn = Times(turn, step);
    }
    if (round == 1) break;
    const float more = Angle(TimesConjugate(halves[1], halves[0])) / static_cast<float>(stretch.blocks - half);
    step = Unit(Times(step, Complex{1.0F, more}));
  }
  constexpr float kBlockTurn = 2.0F * std::numbers::pi_v<float> * kBlockSamples / kDetectorSampleRate;
  Tone tone;
  tone.step = step;
  const float angle = Angle(step);
  // A tone beside its nominal frequency fades within a block: sinc of half the step.
  const float fade = 1.0F + angle * angle / 12.0F;
  const auto count = static_cast<float>(2 * half);
  const Complex sum = halves[0] + halves[1];
  tone.first = Complex{sum.re / count, sum.im / count};
  constexpr auto kSamples = static_cast<float>(kBlockSamples);
  // |sum| of a sine of amplitude A over n samples is A·n/2, and its energy A²·n/2.
  tone.energy = 2.0F * Square(sum) / (count * count * kSamples) * fade;
  const float coherent = Square(sum) / (count * (all + 1.0F));
  tone.wander = std::clamp(1.0F - coherent, 0.001F, 1.0F);
  tone.off = 100.0F * angle / (kBlockTurn * kFrequenciesHz[index]);
  tone.bend = std::fabs(Angle(TimesConjugate(Times(Unit(thirds[0]), Unit(thirds[2])), Times(Unit(thirds[1]), Unit(thirds[1])))));
  tone.slope = Log2((Square(halves[1]) + 1.0F) / (Square(halves[0]) + 1.0F));
  return tone;
}

// What a tone at `from` leaves at `to` in one block, to what it leaves at its own: turned by a phase that only the two
// nominal frequencies set, and sized by the sum of cos((n - 19.5)·δ), as its series around them.
struct Leaks {
  Phasors phase[kTones];
  Lanes size[kTones][4];
};

const Leaks kLeaks = [] {
  Leaks made{};
  for (size_t from = 0; from < kTones; ++from) {
    for (size_t to = 0; to < kTones; ++to) {
      const double step = 2.0 * std::numbers::pi * static_cast<double>(kFrequenciesHz[from] - kFrequenciesHz[to]) / kDetectorSampleRate;
      made.phase[from].re[to] = static_cast<float>(std::cos(step * 19.5));
      made.phase[from].im[to] = static_cast<float>(std::sin(step * 19.5));
      double series[4] = {};
      for (size_t n = 0; n < kBlockSamples; ++n) {
        const double m = static_cast<double>(n) - 19.5;
        series[0] += std::cos(m * step);
        series[1] -= m * std::sin(m * step);
        series[2] -= m * m * std::cos(m * step) / 2.0;
        series[3] += m * m * m * std::sin(m * step) / 6.0;
      }
      for (size_t power = 0; power < 4; ++power) made.size[from][power][to] = static_cast<float>(series[power]);
    }
  }
  return made;
}();

Phasors Leak(size_t from, float off) {
  const float shift = 2.0F * std::numbers::pi_v<float> * kFrequenciesHz[from] * off / 100.0F / kDetectorSampleRate;
  const auto& size = kLeaks.size[from];
  const auto at = [&](size_t to) { return size[0][to] + shift * (size[1][to] + shift * (size[2][to] + shift * size[3][to])); };
  const float own = 1.0F / at(from);
  Phasors leak;
  for (size_t to = 0; to < kTones; ++to) {
    leak.re[to] = kLeaks.phase[from].re[to] * at(to) * own;
    leak.im[to] = kLeaks.phase[from].im[to] * at(to) * own;
  }
  return leak;
}

// Energy at all eight frequencies that neither tone explains, to that of both tones: speech has harmonics there, what a
// caller's line adds (noise, a prompt, a dial tone) lies elsewhere or is spread wide.
float Beside(const Stretch& stretch, size_t row, const Tone& low, size_t column, const Tone& high) {
  const Phasors low_leak = Leak(row, low.off), high_leak = Leak(column, high.off);
  const Phasors& advance = Advance();
  Phasors turn = stretch.spectrum.rotation;
  for (size_t i = 0; i < stretch.blocks; ++i) {
    for (size_t k = 0; k < kTones; ++k) {
      const float re = turn.re[k] * advance.re[k] + turn.im[k] * advance.im[k];
      turn.im[k] = turn.im[k] * advance.re[k] - turn.re[k] * advance.im[k];
      turn.re[k] = re;
    }
  }
  Complex low_now = low.first, high_now = high.first;
  Lanes beside{};
  for (size_t i = 0; i < stretch.blocks; ++i) {
    const Phasors& block = stretch.at(i).tone;
    const Complex l = TimesConjugate(low_now, {turn.re[row], turn.im[row]});
    const Complex h = TimesConjugate(high_now, {turn.re[column], turn.im[column]});
    for (size_t k = 0; k < kTones; ++k) {
      const float re = block.re[k] * turn.re[k] + block.im[k] * turn.im[k] - (l.re * low_leak.re[k] - l.im * low_leak.im[k]) -
                       (h.re * high_leak.re[k] - h.im * high_leak.im[k]);
      const float im = block.im[k] * turn.re[k] - block.re[k] * turn.im[k] - (l.re * low_leak.im[k] + l.im * low_leak.re[k]) -
                       (h.re * high_leak.im[k] + h.im * high_leak.re[k]);
      beside[k] += re * re + im * im;
      const float turned = turn.re[k] * advance.re[k] - turn.im[k] * advance.im[k];
      turn.im[k] = turn.re[k] * advance.im[k] + turn.im[k] * advance.re[k];
      turn.re[k] = turned;
    }
    low_now = Times(low_now, low.step);
    high_now = Times(high_now, high.step);
  }
  float sum = 0;
  for (const float energy : beside) sum += energy;
  return sum / (static_cast<float>(stretch.blocks) * (Square(low.first) + Square(high.first)) + 1.0F);
}

// log2(share / rest), kept within what 20 dB to either side mean.
float LogOdds(float part, float whole) {
  const float share = std::clamp(part / (whole + 1.0F), 0.01F, 0.99F);
  return Log2(share / (1.0F - share));
}

float Ratio(float part, float whole) { return std::clamp(Log2((part + 1.0F) / (whole + 1.0F)), -10.0F, 10.0F); }

}  // namespace

float Log2(float value) {
  if (!(value > 1e-30F)) value = 1e-30F;
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
  const float x = std::bit_cast<float>((bits & 0x007FFFFFU) | 0x3F800000U) - 1.0F;   // 0 to 1.
  return exponent + x * (1.44254494F + x * (-0.71814523F + x * (0.45754907F + x * (-0.27790512F + x * (0.12179772F - x * 0.02584139F)))));
}

Evidence Weigh(const Spectrum& spectrum, const Run& run) {
  // The first candidate window is at least half tone: its last two blocks.
  const uint64_t begin = run.first_block > 2 ? run.first_block - 2 : 0;
  const uint64_t blocks = std::min<uint64_t>(spectrum.blocks - begin, kRingBlocks);
  const Stretch stretch{spectrum, spectrum.blocks - blocks, static_cast<size_t>(blocks)};
  const size_t column = size_t{4} + run.column;
  const Tone low = Measured(stretch, run.row);
  const Tone high = Measured(stretch, column);
  float energy = 0, band_energy = 0;
  for (size_t i = 0; i < stretch.blocks; ++i) {
    energy += stretch.at(i).energy;
    band_energy += stretch.at(i).band_energy;
  }
  const auto count = static_cast<float>(stretch.blocks);
  const auto hops = static_cast<float>(run.hops);
  const float tones = (low.energy + high.energy) * count;
  // Of 40 samples 38 have a partner two before.
  const float band_tones = (low.energy * kBandGain[run.row] + high.energy * kBandGain[column]) * count * 0.95F;
  const float mean_energy = energy / count;
  const float rest = std::max(energy - tones, 0.0F) / count;
  const float floor = 0.003F * mean_energy;     // Quantization is 0.0002 to 0.002 of a tone.
  Evidence evidence{};
  evidence[kShare] = LogOdds(tones, energy);
  evidence[kBandShare] = LogOdds(band_tones, band_energy);
  evidence[kBandLift] = evidence[kBandShare] - evidence[kShare];
  evidence[kWindowShare] = LogOdds(run.tone_energy, run.total_energy);
  evidence[kLeastShare] = LogOdds(run.least_share, 1.0F);
  evidence[kRowWander] = Log2(low.wander);
  evidence[kColumnWander] = Log2(high.wander);
  evidence[kRowOff] = std::fabs(low.off);
  evidence[kColumnOff] = std::fabs(high.off);
  evidence[kBeside] = std::clamp(Log2(Beside(stretch, run.row, low, column, high)), -8.0F, 3.0F);
  evidence[kTwist] = Ratio(high.energy, low.energy);
  evidence[kRowSlope] = std::fabs(low.slope);
  evidence[kColumnSlope] = std::fabs(high.slope);
  evidence[kSlopes] = std::fabs(low.slope - high.slope);
  evidence[kRowBend] = low.bend;
  evidence[kColumnBend] = high.bend;
  evidence[kBefore] = Ratio(run.energy_before, mean_energy);
  evidence[kRowBefore] = Ratio(run.row_before, low.energy);
  evidence[kColumnBefore] = Ratio(run.column_before, high.energy);
  evidence[kRestBefore] = Ratio(rest + floor, run.energy_before + floor);
  evidence[kExplained] = Ratio(tones / count + floor, std::max(rest - run.energy_before, 0.0F) + 3.0F * floor);
  evidence[kOtherRows] = Ratio(run.other_rows / hops * 1000.0F, 1000.0F);
  evidence[kOtherColumns] = Ratio(run.other_columns / hops * 1000.0F, 1000.0F);
  evidence[kLength] = Log2(hops);
  return evidence;
}

float Score(const Evidence& evidence, uint32_t hops) {
  const PointTable& table = hops < kHopsLong ? kPointsSoon : kPointsLong;
  Evidence points{};
  for (size_t i = 0; i < kSegments; ++i) {
    for (size_t measure = 0; measure < kMeasures; ++measure) {
      const float from = table.knots[i][measure], to = table.knots[i + 1][measure];
      points[measure] += table.gains[i][measure] * (std::clamp(evidence[measure], from, to) - from);
    }
  }
  float score = table.at_first_knots;
  for (const float one : points) score += one;
  return score;
}

}  // namespace hushtone
