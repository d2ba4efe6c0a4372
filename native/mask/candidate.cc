#include "mask/candidate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

namespace hushtone {
namespace {

// Each threshold is a choice between presses that go unmasked (native/bench/press_corpus and ../shared/tools/dtmf, seed
// 11) and speech that is lost (../shared/data/talkoff). docs/masking.md has the figures, from other seeds.

// Mean square in the band. -60 dBm0 a tone, 520, must be masked; a fiftieth of the smallest step of µ-law is nothing.
constexpr float kMeanSquareMin = 4.0F;
// Sources keep to 1.5 % (Q.24), up to 1.8 % is operated; the rest is the error of the estimate in noise.
constexpr float kNear = 0.022F;
constexpr float kNearLong = 0.020F;
constexpr float kNearShort = 0.030F;
// Twist: 8 dB (Q.24) and what noise moves.
constexpr float kTwist = 11.2F;                                 // 10.5 dB.
constexpr float kTwistAlone = 15.8F;                            // 12 dB, where nothing else sounds.
// Between the windows: 8 dB where a press may begin or end in one, 6 dB where the tone must be pure.
constexpr float kSpread = 6.3F;
constexpr float kSpreadPure = 4.0F;

// Shares of the band's energy and of all energy. Noise 4 dB under the tones leaves 0.86 and 0.70, speech less of both.
constexpr float kSteadyBand = 0.60F, kSteadyTotal = 0.58F, kSteadyCoherence = 0.95F;
constexpr float kSteadyBandAlone = 0.87F, kSteadyCoherenceAlone = 0.97F;
constexpr float kLongBand = 0.35F, kLongTotal = 0.20F, kLongBandAlone = 0.80F, kLongCoherence = 0.97F;
// exact: what a voice rarely does by chance and crystals always do.
constexpr float kExact = 0.006F, kExactTwist = 4.0F, kExactCoherence = 0.50F;                    // 0.6 %, 6 dB.
constexpr float kExactBand = 0.40F, kExactTotal = 0.35F, kExactBandAlone = 0.70F;
constexpr float kStillBand = 0.15F, kStillCoherence = 0.995F, kStillSpread = 1.6F;               // 2 dB.
constexpr float kPureBand = 0.94F, kPureTotal = 0.60F;
constexpr float kSingleShare = 0.96F, kSingleCoherence = 0.97F;
// 15 ms of tone hold 0.84 of a window.
constexpr float kShortBand = 0.80F, kShortTotal = 0.75F, kShortCoherence = 0.90F;
constexpr float kShortBandFar = 0.94F, kShortTotalFar = 0.85F, kShortCoherenceFar = 0.95F;
// 5 to 12 ms of tone have no frequency to speak of, but quiet around them and their energy where keys have it. Quiet is
// asked for 10 ms away and no further: a jitter buffer repeats the last 20 ms, and the fragment in them.
constexpr float kBurstTones = 0.45F, kBurstBand = 0.70F, kBurstQuiet = 0.015F;
constexpr size_t kBurstQuietFromHops = 2, kBurstQuietHops = 1;

constexpr int32_t kMs = 8;
// Before and after the middle. Before is what kMaskDelayMs allows; a tone that voice covers for a while goes on after.
constexpr int32_t kSteadyBefore = 37 * kMs, kLongBefore = 27 * kMs, kToneAfter = 45 * kMs;
constexpr int32_t kShortGuard = 35 * kMs;
constexpr int32_t kBurstGuard = 20 * kMs;

// How far behind the newest sample the middle of what a rule looks at lies.
constexpr int32_t kHop = static_cast<int32_t>(kHopSamples);
constexpr int32_t kWindowMiddle = static_cast<int32_t>(kBankDelaySamples + kBankWindowBlocks * kBankBlockSamples / 2);
constexpr size_t kWindowStep = 2;                               // 10 ms: tells frequencies up to 50 Hz beside.
constexpr size_t kSteadyWindows = 3, kLongWindows = 5;
constexpr int32_t kSteadyMiddle = kWindowMiddle + kHop * static_cast<int32_t>(kWindowStep);
constexpr int32_t kLongMiddle = kWindowMiddle + 2 * kHop * static_cast<int32_t>(kWindowStep);
constexpr int32_t kShortMiddle = kWindowMiddle + kHop;
constexpr size_t kBurstBlocks = 4;                              // 10 ms.
constexpr size_t kBurstBackHops = kBurstQuietFromHops + kBurstQuietHops - 1;
constexpr int32_t kBurstMiddle =
    static_cast<int32_t>(kBankDelaySamples + kBurstBlocks * kBankBlockSamples / 2 + kBurstBackHops * kHopSamples);

// The first hop of a frame ends a hop after its beginning.
static_assert(std::max({kSteadyMiddle + kSteadyBefore, kLongMiddle + kLongBefore, kShortMiddle + kShortGuard,
                        kBurstMiddle + kBurstGuard}) - kHop == kReachSamples);

constexpr size_t kBesideHzMax = 55;

struct Tables {
  float level = 0, burst_level = 0;           // Energy of mean square 1 in a window.
  float droop[kBesideHzMax + 1];              // What a window hears of a tone so many Hz beside.
  float exact_tangent[kBankKeyTones];         // Of the advance in a step of a tone that is just exact.
  float burst_window[kBurstBlocks];
  float burst_scale = 0;
};

Tables MakeTables() {
  Tables made{};
  const auto hann = [](size_t i, size_t size) {
    const double turn = std::sin(std::numbers::pi * (static_cast<double>(i) + 0.5) / static_cast<double>(size));
    return turn * turn;
  };
  // Mean square 1 is a sine of amplitude √2.
  for (size_t i = 0; i < kBankWindowBlocks; ++i) {
    const double weight = hann(i, kBankWindowBlocks);
    made.level += static_cast<float>(weight * weight * kBandPerBlock * 2);
  }
  for (size_t tone = 0; tone < kBankKeyTones; ++tone) {
    const double turns = static_cast<double>(kExact * kBankHz[tone]) * static_cast<double>(kWindowStep * kHopSamples) / 8000.0;
    made.exact_tangent[tone] = static_cast<float>(std::tan(2 * std::numbers::pi * turns));
  }
  float weights = 0;
  float squares = 0;
  for (size_t i = 0; i < kBurstBlocks; ++i) {
    made.burst_window[i] = static_cast<float>(hann(i, kBurstBlocks));
    weights += made.burst_window[i];
    squares += made.burst_window[i] * made.burst_window[i];
  }
  made.burst_level = squares * static_cast<float>(kBandPerBlock) * 2.0F;
  made.burst_scale = squares / (static_cast<float>(kBandPerBlock) * weights * weights);
  for (size_t hz = 0; hz <= kBesideHzMax; ++hz) {
    constexpr double kBandRate = 8000.0 * kBandPerBlock / kBankBlockSamples;
    double re = 0;
    double im = 0;
    double sum = 0;
    for (size_t n = 0; n < kBankWindowBlocks * kBandPerBlock; ++n) {
      const double turn = 2 * std::numbers::pi * static_cast<double>(hz) * static_cast<double>(n) / kBandRate;
      const double weight = hann(n / kBandPerBlock, kBankWindowBlocks);
      re += weight * std::cos(turn);
      im += weight * std::sin(turn);
      sum += weight;
    }
    made.droop[hz] = static_cast<float>((re * re + im * im) / (sum * sum));
  }
  return made;
}

const Tables& TheTables() {
  static const Tables tables = MakeTables();
  return tables;
}

// Share of the nearest key's frequency.
float OffKey(float hz) {
  float off = 1;
  for (size_t tone = 0; tone < kBankKeyTones; ++tone) off = std::min(off, std::fabs(hz / kBankHz[tone] - 1));
  return off;
}

bool IsWithin(float a, float b, float ratio) { return a <= ratio * b && b <= ratio * a; }

}  // namespace

void CandidateFinder::Reset() {
  blocks_.fill(BankBlock{});
  windows_.fill(BankWindow{});
  energies_.fill(0);
  hop_count_ = kEnergiesKept;
  newest_window_ = 0;
}

size_t CandidateFinder::Push(std::span<const BankBlock, kBankBlocks> blocks, Stretch* found) {
  const BankBlock* heard[kBlocksKept + kBankBlocks];            // Oldest first.
  for (size_t k = 0; k < kBlocksKept; ++k) heard[k] = &blocks_[k];
  for (size_t k = 0; k < kBankBlocks; ++k) heard[kBlocksKept + k] = &blocks[k];
  size_t count = 0;
  for (size_t i = 0; i < kHopsPerFrame; ++i) {
    newest_window_ = newest_window_ + 1 < kWindowsKept ? newest_window_ + 1 : 0;
    MakeBankWindow(heard + i * kHopBlocks, &windows_[newest_window_]);
    const BankBlock* const* ended = heard + i * kHopBlocks + kBankWindowBlocks;
    energies_[hop_count_ % kEnergiesKept] = ended[-1]->total + ended[-2]->total;
    ++hop_count_;

    Stretch stretch;
    bool any = false;
    const auto age = static_cast<int32_t>((kHopsPerFrame - 1 - i) * kHopSamples);
    const auto mask = [&](int32_t middle, int32_t before, int32_t after) {
      const Stretch more{age + middle + before, age + middle - after};
      stretch = any ? Stretch{std::max(stretch.from, more.from), std::min(stretch.to, more.to)} : more;
      any = true;
    };
    bool may_be_long = false;
    if (IsSteady(&may_be_long)) mask(kSteadyMiddle, kSteadyBefore, kToneAfter);
    if (may_be_long && IsLong()) mask(kLongMiddle, kLongBefore, kToneAfter);
    if (IsShort()) mask(kShortMiddle, kShortGuard, kShortGuard);
    if (IsBurst(ended)) mask(kBurstMiddle, kBurstGuard, kBurstGuard);
    if (any) found[count++] = stretch;
  }
  std::copy(blocks.end() - kBlocksKept, blocks.end(), blocks_.begin());
  return count;
}

// Energy of each tone in the newest `windows` windows, `step` hops apart.
void CandidateFinder::Sum(size_t step, size_t windows, float* sums) const {
  std::memcpy(sums, Window(0).power, sizeof Window(0).power);
  for (size_t w = 1; w < windows; ++w) {
    const float* power = Window(w * step).power;
    for (size_t tone = 0; tone < kBankTones; ++tone) sums[tone] += power[tone];
  }
}

// One tone through these windows. False: its phase is not steady enough; that is most of what is not a tone, so it is
// asked first.
bool CandidateFinder::Follow(size_t tone, float energy, size_t step, size_t windows, float coherence_min, Tone* found) const {
  float advance_re = 0;
  float advance_im = 0;
  float length = 0;
  float loudest = Window(0).power[tone];
  float quietest = loudest;
  for (size_t w = 1; w < windows; ++w) {
    const BankWindow& later = Window((w - 1) * step);
    const BankWindow& earlier = Window(w * step);
    const float re = later.re[tone] * earlier.re[tone] + later.im[tone] * earlier.im[tone];
    const float im = later.im[tone] * earlier.re[tone] - later.re[tone] * earlier.im[tone];
    advance_re += re;
    advance_im += im;
    length += std::sqrt(re * re + im * im);
    loudest = std::max(loudest, earlier.power[tone]);
    quietest = std::min(quietest, earlier.power[tone]);
  }
  found->coherence = std::sqrt(advance_re * advance_re + advance_im * advance_im) / std::max(length, 1e-9F);
  if (found->coherence < coherence_min) return false;
  const float seconds = static_cast<float>(step * kHopSamples) / 8000.0F;
  const float beside = std::atan2(advance_im, advance_re) / (2 * std::numbers::pi_v<float> * seconds);
  const float hz = std::min(std::fabs(beside), static_cast<float>(kBesideHzMax));
  found->power = energy / TheTables().droop[static_cast<size_t>(hz)];
  found->off = OffKey(kBankHz[tone] + beside);
  found->spread = loudest / std::max(quietest, 1e-9F);
  return true;
}

// The strongest of `tones`.
bool CandidateFinder::FollowStrongest(std::span<const uint8_t> tones, const float* sums, size_t step, size_t windows,
                                      float coherence_min, Tone* found) const {
  size_t best = tones[0];
  for (const uint8_t tone : tones) {
    if (sums[tone] > sums[best]) best = tone;
  }
  return Follow(best, sums[best], step, windows, coherence_min, found);
}

// The strongest of the keys' own four rows or columns that is exact; another tone beside it may be louder. How exact is asked
// first, by the tangent of the phase's advance: that is nearly never the case.
bool CandidateFinder::FollowExact(size_t first, const float* sums, Tone* found) const {
  const Tables& tables = TheTables();
  const BankWindow& late = Window(0);
  const BankWindow& middle = Window(kWindowStep);
  const BankWindow& early = Window(2 * kWindowStep);
  static_assert(kSteadyWindows == 3);
  found->power = 0;
  for (size_t tone = first; tone < first + kBankKeyTones / 2; ++tone) {
    const float re = late.re[tone] * middle.re[tone] + late.im[tone] * middle.im[tone] + middle.re[tone] * early.re[tone] +
                     middle.im[tone] * early.im[tone];
    const float im = late.im[tone] * middle.re[tone] - late.re[tone] * middle.im[tone] + middle.im[tone] * early.re[tone] -
                     middle.re[tone] * early.im[tone];
    if (std::fabs(im) > tables.exact_tangent[tone] * re) continue;
    Tone one;
    if (sums[tone] <= found->power || !Follow(tone, sums[tone], kWindowStep, kSteadyWindows, kExactCoherence, &one)) continue;
    if (one.off < kExact) *found = one;
  }
  return found->power > 0;
}

// Rules steady, pure, single and exact.
bool CandidateFinder::IsSteady(bool* may_be_long) const {
  *may_be_long = false;
  float band = 0;
  float total = 0;
  for (size_t w = 0; w < kSteadyWindows; ++w) band += Window(w * kWindowStep).band, total += Window(w * kWindowStep).total;
  if (band < kSteadyWindows * kMeanSquareMin * TheTables().level) return false;
  float sums[kBankTones];
  Sum(kWindowStep, kSteadyWindows, sums);
  Tone row;
  Tone column;
  const bool has_row = FollowStrongest(kBankRows, sums, kWindowStep, kSteadyWindows, kSteadyCoherence, &row);
  const bool has_column = FollowStrongest(kBankColumns, sums, kWindowStep, kSteadyWindows, kSteadyCoherence, &column);
  const auto is_single = [&](const Tone& tone) {
    return tone.off < kNear && tone.coherence > kSingleCoherence && tone.spread < kSpreadPure && tone.power > kSingleShare * total;
  };
  // Five windows cannot keep a phase that the newest three of them lose.
  *may_be_long = has_row && has_column;
  if ((has_row && is_single(row)) || (has_column && is_single(column))) return true;
  if (has_row && has_column && IsSteadyPair(row, column, band, total)) return true;
  return FollowExact(0, sums, &row) && FollowExact(kBankKeyTones / 2, sums, &column) && IsExactPair(row, column, band, total);
}

bool CandidateFinder::IsSteadyPair(const Tone& row, const Tone& column, float band, float total) {
  const float tones = row.power + column.power;
  const float coherence = std::min(row.coherence, column.coherence);
  const float spread = std::max(row.spread, column.spread);
  if (spread > kSpread || !IsWithin(row.power, column.power, kTwistAlone)) return false;
  if (tones > kPureBand * band && tones > kPureTotal * total && spread < kSpreadPure) return true;
  if (std::max(row.off, column.off) > kNear || !IsWithin(row.power, column.power, kTwist)) return false;
  if (tones > kSteadyBand * band && tones > kSteadyTotal * total) return true;
  return tones > kSteadyBandAlone * band && coherence > kSteadyCoherenceAlone;
}

bool CandidateFinder::IsExactPair(const Tone& row, const Tone& column, float band, float total) {
  if (!IsWithin(row.power, column.power, kExactTwist)) return false;
  const float tones = row.power + column.power;
  if (tones > kExactBand * band && tones > kExactTotal * total) return true;
  if (tones > kExactBandAlone * band) return true;
  return tones > kStillBand * band && std::min(row.coherence, column.coherence) > kStillCoherence &&
         std::max(row.spread, column.spread) < kStillSpread;
}

bool CandidateFinder::IsLong() const {
  float band = 0;
  float total = 0;
  for (size_t w = 0; w < kLongWindows; ++w) band += Window(w * kWindowStep).band, total += Window(w * kWindowStep).total;
  if (band < kLongWindows * kMeanSquareMin * TheTables().level) return false;
  float sums[kBankTones];
  Sum(kWindowStep, kLongWindows, sums);
  Tone row;
  Tone column;
  const auto follow = [&](std::span<const uint8_t> tones, Tone* found) {
    return FollowStrongest(tones, sums, kWindowStep, kLongWindows, kLongCoherence, found) && found->spread < kSpread &&
           found->off < kNearLong;
  };
  if (!follow(kBankRows, &row) || !follow(kBankColumns, &column)) return false;
  if (!IsWithin(row.power, column.power, kTwist)) return false;
  const float tones = row.power + column.power;
  return (tones > kLongBand * band && tones > kLongTotal * total) || tones > kLongBandAlone * band;
}

// The window before the newest; the two beside it give the frequency.
bool CandidateFinder::IsShort() const {
  const BankWindow& window = Window(1);
  if (window.band < kMeanSquareMin * TheTables().level) return false;
  float row_power = 0;
  float column_power = 0;
  for (const uint8_t tone : kBankRows) row_power = std::max(row_power, window.power[tone]);
  for (const uint8_t tone : kBankColumns) column_power = std::max(column_power, window.power[tone]);
  const float tones = row_power + column_power;
  if (tones < kShortBand * window.band || tones < kShortTotal * window.total) return false;
  if (!IsWithin(row_power, column_power, kTwistAlone)) return false;
  Tone row;
  Tone column;
  constexpr size_t kNeighbours = 3;
  float sums[kBankTones];
  Sum(1, kNeighbours, sums);
  if (!FollowStrongest(kBankRows, sums, 1, kNeighbours, kShortCoherence, &row)) return false;
  if (!FollowStrongest(kBankColumns, sums, 1, kNeighbours, kShortCoherence, &column)) return false;
  if (std::max(row.off, column.off) < kNearShort) return true;
  const float coherence = std::min(row.coherence, column.coherence);
  return tones > kShortBandFar * window.band && tones > kShortTotalFar * window.total && coherence > kShortCoherenceFar;
}

bool CandidateFinder::IsBurst(const BankBlock* const* ended) const {
  static_assert(kBurstBackHops + 1 + kBurstQuietFromHops + kBurstQuietHops <= kEnergiesKept);
  static_assert(kBurstBackHops * kHopBlocks + kBurstBlocks <= kBankWindowBlocks);
  const float loud = std::max(Energy(kBurstBackHops), Energy(kBurstBackHops + 1));
  for (size_t i = 0; i < kBurstQuietHops; ++i) {
    if (Energy(kBurstBackHops - kBurstQuietFromHops - i) > kBurstQuiet * loud) return false;
    if (Energy(kBurstBackHops + 1 + kBurstQuietFromHops + i) > kBurstQuiet * loud) return false;
  }
  const Tables& tables = TheTables();
  float re[kBankTones]{};
  float im[kBankTones]{};
  float band = 0;
  float total = 0;
  for (size_t i = 0; i < kBurstBlocks; ++i) {
    const BankBlock& block = *(ended - kBurstBackHops * kHopBlocks - kBurstBlocks)[i];
    const float weight = tables.burst_window[i];
    for (size_t tone = 0; tone < kBankTones; ++tone) re[tone] += weight * block.re[tone], im[tone] += weight * block.im[tone];
    band += weight * weight * block.band;
    total += weight * weight * block.total;
  }
  if (band < kMeanSquareMin * tables.burst_level || band < kBurstBand * total) return false;
  float row = 0;
  float column = 0;
  for (const uint8_t tone : kBankRows) row = std::max(row, re[tone] * re[tone] + im[tone] * im[tone]);
  for (const uint8_t tone : kBankColumns) column = std::max(column, re[tone] * re[tone] + im[tone] * im[tone]);
  return (row + column) * tables.burst_scale > kBurstTones * band && IsWithin(row, column, kTwistAlone);
}

}  // namespace hushtone
