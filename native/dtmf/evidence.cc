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
  float energy = 0;           // Of one sine through the stretch, per block.
  float wander = 0;           // 1 - coherent to all, 0 for a steady sine.
  float off = 0;              // % of the nominal frequency.
  float slope = 0;
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
  Complex halves[2];
  for (int round = 0; round < 2; ++round) {
    halves[0] = halves[1] = Complex{};
    Complex turn{1.0F, 0.0F};
    for (size_t i = 0; i < stretch.blocks; ++i) {
      if (i < half || i >= stretch.blocks - half) {
        Complex& sum = halves[i < half ? 0 : 1];
        sum = sum + TimesConjugate(stretch.tone(i, index), turn);
      }
      turn = Times(turn, step);
    }
    if (round == 1) break;
    const float more = Angle(TimesConjugate(halves[1], halves[0])) / static_cast<float>(stretch.blocks - half);
    step = Unit(Times(step, Complex{1.0F, more}));
  }
  constexpr float kBlockTurn = 2.0F * std::numbers::pi_v<float> * kBlockSamples / kDetectorSampleRate;
  Tone tone;
  const float angle = Angle(step);
  // A tone beside its nominal frequency fades within a block: sinc of half the step.
  const float fade = 1.0F + angle * angle / 12.0F;
  const auto count = static_cast<float>(2 * half);
  const Complex sum = halves[0] + halves[1];
  constexpr auto kSamples = static_cast<float>(kBlockSamples);
  // |sum| of a sine of amplitude A over n samples is A·n/2, and its energy A²·n/2.
  tone.energy = 2.0F * Square(sum) / (count * count * kSamples) * fade;
  const float coherent = Square(sum) / (count * (all + 1.0F));
  tone.wander = std::clamp(1.0F - coherent, 0.001F, 1.0F);
  tone.off = 100.0F * angle / (kBlockTurn * kFrequenciesHz[index]);
  tone.slope = Log2((Square(halves[1]) + 1.0F) / (Square(halves[0]) + 1.0F));
  return tone;
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
  evidence[kTwist] = Ratio(high.energy, low.energy);
  evidence[kRowSlope] = std::fabs(low.slope);
  evidence[kColumnSlope] = std::fabs(high.slope);
  evidence[kSlopes] = std::fabs(low.slope - high.slope);
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

float Score(const Evidence& evidence) {
  float score = kPointsAtFirstKnots;
  for (size_t measure = 0; measure < kMeasures; ++measure) {
    const Points& points = kPoints[measure];
    for (size_t i = 0; i < 4; ++i) {
      score += points.slope[i] * (std::clamp(evidence[measure], points.knot[i], points.knot[i + 1]) - points.knot[i]);
    }
  }
  return score;
}

}  // namespace hushtone
