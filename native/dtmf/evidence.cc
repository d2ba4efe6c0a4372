#include "dtmf/evidence.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#include "dtmf/points.h"

namespace hushtone {
namespace {

// Row and column side by side, or one of them.
typedef float Two __attribute__((vector_size(8)));
template <typename Number>
struct ComplexOf {
  Number re{}, im{};
};
using Complex = ComplexOf<float>;
using ComplexTwo = ComplexOf<Two>;

template <typename Number>
ComplexOf<Number> operator+(const ComplexOf<Number>& a, const ComplexOf<Number>& b) {
  return {a.re + b.re, a.im + b.im};
}
template <typename Number>
ComplexOf<Number> operator-(const ComplexOf<Number>& a, const ComplexOf<Number>& b) {
  return {a.re - b.re, a.im - b.im};
}
template <typename Number>
ComplexOf<Number> Times(const ComplexOf<Number>& a, const ComplexOf<Number>& b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <typename Number>
ComplexOf<Number> TimesConjugate(const ComplexOf<Number>& a, const ComplexOf<Number>& b) {
  return {a.re * b.re + a.im * b.im, a.im * b.re - a.re * b.im};
}
template <typename Number>
Number Square(const ComplexOf<Number>& a) {
  return a.re * a.re + a.im * a.im;
}
Complex Of(const ComplexTwo& a, size_t which) { return {a.re[which], a.im[which]}; }

// To length 1; a phasor of nothing points ahead.
Complex Unit(Complex a) {
  const float square = Square(a);
  if (!(square > 1e-20F)) return {1.0F, 0.0F};
  const float scale = 1.0F / std::sqrt(square);
  return {a.re * scale, a.im * scale};
}

// Base 2, to 0.00001; of what is not positive, that of the smallest number.
float Log2(float value) {
  if (!(value > 1e-30F)) value = 1e-30F;
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto exponent = static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
  const float x = std::bit_cast<float>((bits & 0x007FFFFFU) | 0x3F800000U) - 1.0F;   // 0 to 1.
  return exponent + x * (1.44254494F + x * (-0.71814523F + x * (0.45754907F + x * (-0.27790512F + x * (0.12179772F - x * 0.02584139F)))));
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

  size_t place(size_t i) const { return (first + i) % kRingBlocks; }
  const Phasors& tone(size_t i) const { return spectrum.ring.tone[place(i)]; }
  // Blocks that were not heard between this one and the one before.
  size_t unheard(size_t i) const { return i == 0 ? 0 : spectrum.ring.unheard[place(i)]; }
  bool IsWhole() const { return spectrum.ring.unheard == decltype(spectrum.ring.unheard){}; }
  ComplexTwo tones(size_t i, size_t row, size_t column) const {
    const Phasors& block = tone(i);
    return {Two{block.re[row], block.re[column]}, Two{block.im[row], block.im[column]}};
  }
};

struct Tone {
  Complex last;               // In the last block, and how it turns from block to block.
  Complex step;
  float energy = 0;           // Of one sine through the stretch, per block.
  float wander = 0;           // 1 - coherent to all, 0 for a steady sine.
  float off = 0;              // % of the nominal frequency.
  float slope = 0;
  float bend = 0;
};

constexpr Two kNone = {0.0F, 0.0F};

// A step from block to block found twice: from neighbouring blocks, then from the stretch's halves turned back by that.
[[gnu::always_inline]] inline void MeasureTones(const Stretch& stretch, size_t row, size_t column, Tone* tones) {
  const size_t blocks = stretch.blocks;
  ComplexTwo heard[kRingBlocks], sums[kRingBlocks + 1];
  const bool is_whole = stretch.IsWhole();
  ComplexTwo steps{kNone, kNone};
  Two all = kNone;
  for (size_t i = 0; i < blocks; ++i) {
    heard[i] = stretch.tones(i, row, column);
    all += Square(heard[i]);
    if (i > 0 && (is_whole || stretch.unheard(i) == 0)) steps = steps + TimesConjugate(heard[i], heard[i - 1]);
  }
  const auto unit = [](const ComplexTwo& a) {
    const Complex first = Unit(Of(a, 0)), second = Unit(Of(a, 1));
    return ComplexTwo{Two{first.re, second.re}, Two{first.im, second.im}};
  };
  // sums[i]: of the blocks before i, turned back.
  ComplexTwo turned;          // By how much the last one was.
  const auto turn_back = [&](const ComplexTwo& by) {
    ComplexTwo turn{Two{1.0F, 1.0F}, kNone};
    sums[0] = ComplexTwo{kNone, kNone};
    for (size_t i = 0; i < blocks; ++i) {
      if (!is_whole) {
        for (size_t gap = stretch.unheard(i); gap > 0; --gap) turn = Times(turn, by);
      }
      sums[i + 1] = sums[i] + TimesConjugate(heard[i], turn);
      turned = turn;
      turn = Times(turn, by);
    }
  };
  ComplexTwo step = unit(steps);
  turn_back(step);
  const size_t half = blocks / 2, third = blocks / 3, middle = (blocks - third) / 2;
  const ComplexTwo lean = TimesConjugate(sums[blocks] - sums[blocks - half], sums[half]);
  // From the middle of the first half to that of the second, in blocks of time: half · (blocks - half) where all were heard.
  size_t way = half * (blocks - half);
  for (size_t i = 1; i < blocks && !is_whole; ++i) way += stretch.unheard(i) * std::min({i, blocks - i, half});
  const float apart = static_cast<float>(half) / static_cast<float>(way);
  step = unit(Times(step, ComplexTwo{Two{1.0F, 1.0F}, Two{Angle(Of(lean, 0)) * apart, Angle(Of(lean, 1)) * apart}}));
  turn_back(step);
  const ComplexTwo first_half = sums[half], second_half = sums[blocks] - sums[blocks - half];
  const ComplexTwo begin = sums[third], centre = sums[middle + third] - sums[middle], end = sums[blocks] - sums[blocks - third];
  const ComplexTwo bend = TimesConjugate(Times(begin, end), Times(centre, centre));
  constexpr float kBlockTurn = 2.0F * std::numbers::pi_v<float> * kBlockSamples / kDetectorSampleRate;
  constexpr auto kSamples = static_cast<float>(kBlockSamples);
  const auto count = static_cast<float>(blocks);
  for (size_t which = 0; which < 2; ++which) {
    Tone& tone = tones[which];
    const Complex sum = Of(sums[blocks], which);
    tone.step = Of(step, which);
    tone.last = Times(Of(turned, which), Complex{sum.re / count, sum.im / count});
    const float angle = Angle(tone.step);
    // A tone beside its nominal frequency fades within a block: sinc of half the step.
    const float fade = 1.0F + angle * angle / 12.0F;
    // |sum| of a sine of amplitude A over n samples is A·n/2, and its energy A²·n/2.
    tone.energy = 2.0F * Square(sum) / (count * count * kSamples) * fade;
    tone.wander = std::clamp(1.0F - Square(sum) / (count * (all[which] + 1.0F)), 0.001F, 1.0F);
    tone.off = 100.0F * angle / (kBlockTurn * kFrequenciesHz[which == 0 ? row : column]);
    tone.bend = std::fabs(Angle(Of(bend, which)));
    tone.slope = Log2((Square(Of(second_half, which)) + 1.0F) / (Square(Of(first_half, which)) + 1.0F));
  }
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

typedef float Four __attribute__((vector_size(16)));

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
  const bool is_whole = stretch.IsWhole();
  const auto at = [](const Phasors& phasors, size_t tone) { return Complex{phasors.re[tone], phasors.im[tone]}; };
  const Complex row_step = at(Advance(), row), column_step = at(Advance(), column);
  Lanes beside;
  // Rows, then columns: four lanes are what every CPU of this kind has.
  for (size_t side = 0; side < kTones; side += 4) {
    const auto load = [side](const Lanes& lanes) {
      Four four;
      std::memcpy(&four, lanes.data() + side, sizeof four);
      return four;
    };
    const Four step_re = load(Advance().re), step_im = load(Advance().im);
    const Four low_re = load(low_leak.re), low_im = load(low_leak.im), high_re = load(high_leak.re), high_im = load(high_leak.im);
    Four turn_re = load(stretch.spectrum.rotation.re), turn_im = load(stretch.spectrum.rotation.im);
    Complex row_turn = at(stretch.spectrum.rotation, row), column_turn = at(stretch.spectrum.rotation, column);
    Complex low_now = low.last, high_now = high.last;
    Four energies = {0.0F, 0.0F, 0.0F, 0.0F};
    const auto go_back = [&] {
      const Four back_re = turn_re * step_re + turn_im * step_im;
      turn_im = turn_im * step_re - turn_re * step_im;
      turn_re = back_re;
      row_turn = TimesConjugate(row_turn, row_step);
      column_turn = TimesConjugate(column_turn, column_step);
    };
    // Backwards, from the rotation of the block to come.
    for (size_t i = stretch.blocks; i-- > 0;) {
      const Phasors& block = stretch.tone(i);
      const Four block_re = load(block.re), block_im = load(block.im);
      go_back();
      const Complex l = TimesConjugate(low_now, row_turn), h = TimesConjugate(high_now, column_turn);
      const Four re = block_re * turn_re + block_im * turn_im - (l.re * low_re - l.im * low_im) - (h.re * high_re - h.im * high_im);
      const Four im = block_im * turn_re - block_re * turn_im - (l.re * low_im + l.im * low_re) - (h.re * high_im + h.im * high_re);
      energies += re * re + im * im;
      low_now = TimesConjugate(low_now, low.step);
      high_now = TimesConjugate(high_now, high.step);
      for (size_t gap = is_whole ? 0 : stretch.unheard(i); gap > 0; --gap) {
        go_back();
        low_now = TimesConjugate(low_now, low.step);
        high_now = TimesConjugate(high_now, high.step);
      }
    }
    std::memcpy(beside.data() + side, &energies, sizeof energies);
  }
  float sum = 0;
  for (const float energy : beside) sum += energy;
  return sum / (static_cast<float>(stretch.blocks) * (Square(low.last) + Square(high.last)) + 1.0F);
}

// log2(share / rest), kept within what 20 dB to either side mean.
float LogOdds(float part, float whole) {
  const float share = std::clamp(part / (whole + 1.0F), 0.01F, 0.99F);
  return Log2(share / (1.0F - share));
}

float Ratio(float part, float whole) { return std::clamp(Log2((part + 1.0F) / (whole + 1.0F)), -10.0F, 10.0F); }

}  // namespace

[[gnu::cold]] Continuity AcrossGap(const Spectrum& spectrum, const Run& run, uint64_t before) {
  constexpr float kPhaseApartMax = std::numbers::pi_v<float> / 4;
  // Less of a tone has no frequency that could be carried on over 100 ms; what wanders more is not one tone.
  constexpr uint64_t kBlocksMin = 5;
  constexpr float kWanderMax = 0.1F;
  constexpr uint64_t kBehind = 3;
  const uint64_t oldest = spectrum.blocks > kRingBlocks ? spectrum.blocks - kRingBlocks : 0;
  const uint64_t first = std::max(run.first_block > 2 ? run.first_block - 2 : 0, oldest);
  // The last candidate window may end in a block of which half is silence.
  const uint64_t end = std::min(run.last_block - 1, before);
  if (end < first + kBlocksMin) return Continuity::kUnknown;
  const Stretch stretch{spectrum, first, static_cast<size_t>(end - first)};
  const size_t column = size_t{4} + run.column;
  Tone tones[2];
  MeasureTones(stretch, run.row, column, tones);
  if (std::max(tones[0].wander, tones[1].wander) > kWanderMax) return Continuity::kUnknown;
  for (size_t which = 0; which < 2; ++which) {
    Complex carried = tones[which].last, sum{0.0F, 0.0F};
    for (uint64_t block = end; block < spectrum.blocks; ++block) {
      for (size_t steps = size_t{1} + spectrum.ring.unheard[block % kRingBlocks]; steps > 0; --steps) carried = Times(carried, tones[which].step);
      const Phasors& heard = spectrum.ring.tone[block % kRingBlocks];
      const size_t tone = which == 0 ? run.row : column;
      if (block + kBehind >= spectrum.blocks) sum = sum + TimesConjugate(Complex{heard.re[tone], heard.im[tone]}, carried);
    }
    if (std::fabs(Angle(sum)) > kPhaseApartMax) return Continuity::kBroken;
  }
  return Continuity::kGoesOn;
}

Evidence Weigh(const Spectrum& spectrum, const Run& run) {
  // The first candidate window is at least half tone: its last two blocks.
  const uint64_t begin = run.first_block > 2 ? run.first_block - 2 : 0;
  const uint64_t blocks = std::min<uint64_t>(spectrum.blocks - begin, kRingBlocks);
  const Stretch stretch{spectrum, spectrum.blocks - blocks, static_cast<size_t>(blocks)};
  const size_t column = size_t{4} + run.column;
  Tone tones_heard[2];
  MeasureTones(stretch, run.row, column, tones_heard);
  const Tone &low = tones_heard[0], &high = tones_heard[1];
  float energy = 0, band_energy = 0;
  for (size_t i = 0; i < stretch.blocks; ++i) {
    energy += spectrum.ring.energy[stretch.place(i)];
    band_energy += spectrum.ring.band_energy[stretch.place(i)];
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
  const float row_before = evidence[kRowBefore], column_before = evidence[kColumnBefore];
  evidence[kBeganApart] = std::max(std::min(std::fabs(row_before - column_before), std::max(row_before, column_before) + 3.0F), 0.0F);
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
