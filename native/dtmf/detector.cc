#include "dtmf/detector.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dtmf/correlate.h"

namespace hushtone {
namespace {

// RFC 4733 §3.2 table 3: which event stands at row × column.
constexpr uint8_t kEventAt[4][4] = {{1, 2, 3, 12}, {4, 5, 6, 13}, {7, 8, 9, 14}, {10, 0, 11, 15}};

// The largest sine in G.711 µ-law has amplitude 32,124 and +3.17 dBm0; its mean square is half the square.
constexpr float kFullScaleMeanSquare = 32124.0F * 32124.0F / 2.0F;
constexpr float kFullScaleDbm0 = 3.17F;

// Levels: Q.24 administrations accept down to -25 to -29 dBm0 per frequency; below -45 both together is refused.
constexpr float kLevelMinDbm0 = -42.0F;
// Share of a window's energy that row and column together must hold: 0.5 lets noise of 0 dB less than the tones in.
constexpr float kWindowToneShareMin = 0.50F;
// Or the same after x[n] - x[n-2], which takes a dial tone of one tone's level down to 0.09 of both tones.
constexpr float kWindowBandShareMin = 0.60F;
// Twist per window is wider than any administration's (Q.24: +4/-8 dB) because noise moves it.
constexpr float kTwistMaxDb = 12.0F;
// Over the press: 8 dB to either side must be heard (Q.24: AT&T's widest), music lies further out. 9 dB as log2 of powers.
constexpr float kPressTwistMax = 2.99F;
// Strongest row above the other rows, strongest column above the other columns, at least.
constexpr float kDominance = 2.2F;
// Q.24: 1.5 % is operated, 3.5 % is refused. Halfway, measured over the press so far.
constexpr float kFrequencyOffMax = 2.55F;
// Where the window is tuned besides the nominal frequency, as a share of it.
constexpr double kDetune = 0.014;
// Q.24: 40 ms is operated, 23 to 25 ms is refused. A 20 ms window is a candidate once more than half of it is tone, so
// a tone of L ms makes about (L - 2) / 5 of them.
constexpr uint32_t kHopsMin = 6;
// What is not a press after 200 ms of candidates is music or a machine (the fit saw no longer ones).
constexpr uint32_t kHopsMax = 40;
// The fit (fit/README.md): the score that a press must have, by the windows heard: doubt costs 10 ms, and less is asked of
// what has lasted 80 ms, where speech has moved on.
constexpr float kScoreAtOnce = 4.5F, kScoreMin = 2.5F, kScoreLate = 1.9F;
constexpr uint32_t kHopsDoubtful = 8, kHopsLate = 14;
// Q.24: an interruption of 10 ms is no new press. Real drop-outs reach 20 ms, a lost packet; a window hears the end of
// a gap two blocks late.
constexpr uint32_t kBridgeBlocks = 5;
// Three packets of 20 ms lost in a row are no longer than the pause between two presses, five where the phase says that one
// tone goes on. A lost packet and a bridged gap are already as long as the shortest pause (40 ms), so phase is asked first.
constexpr uint32_t kUnheardBlocksBlind = 12, kUnheardBlocksMax = 20;
static_assert(kUnheardBlocksMax < kUnheardMax);
// Of a candidate window behind a gap, so many blocks lie behind it before it says whose tone it is.
constexpr uint64_t kBlocksBehindGap = 3;
// Energy before the tone is taken over 15 ms: pauses are 30 ms and longer.
constexpr size_t kBlocksBefore = 3;

// After Forget: the jitter buffer was emptied too, so up to 60 ms of quiet are ours and not the caller's.
constexpr uint32_t kDeafBlocks = 16;

// Turned by these, blocks -1.5, -0.5, 0.5 and 1.5 hops from the middle of a window tune it to kDetune beside the tone.
struct Detune {
  std::array<float, kTones> near_cos, near_sin, far_cos, far_sin;
};

const Detune kDetunes = [] {
  Detune made{};
  for (size_t tone = 0; tone < kTones; ++tone) {
    const double turn = 2.0 * std::numbers::pi * static_cast<double>(kFrequenciesHz[tone]) * kDetune * kBlockSamples / kDetectorSampleRate;
    made.near_cos[tone] = static_cast<float>(std::cos(0.5 * turn));
    made.near_sin[tone] = static_cast<float>(std::sin(0.5 * turn));
    made.far_cos[tone] = static_cast<float>(std::cos(1.5 * turn));
    made.far_sin[tone] = static_cast<float>(std::sin(1.5 * turn));
  }
  return made;
}();

}  // namespace

DtmfDetector::DtmfDetector(Cpu cpu) : take_block_(TakeBlockOn(cpu)) { Reset(); }

void DtmfDetector::Reset() {
  ResetSpectrum(spectrum_);
  pending_.fill(0);
  filled_ = 0;
  run_ = Run{};
  pressed_ = false;
  is_spoilt_ = false;
  since_candidate_ = unheard_ = 0;
  others_ = 0;
  deaf_ = false;
  quiet_blocks_ = 0;
}

void DtmfDetector::Forget() {
  const bool was_on = pressed_ || deaf_;
  const uint64_t now = Now();
  Reset();
  spectrum_.blocks = now;
  deaf_ = was_on;
  asm volatile("" : : "r"(&spectrum_), "r"(pending_.data()) : "memory");
}

// Whole blocks are taken where they lie; only what a packet leaves over is kept.
size_t DtmfDetector::Take(std::span<const int16_t> samples) {
  if (filled_ == 0 && samples.size() >= kBlockSamples) {   // And none of it is spoilt.
    take_block_(samples.data(), spectrum_);
    filled_ = kBlockSamples;
    return kBlockSamples;
  }
  const size_t taken = std::min(samples.size(), kBlockSamples - filled_);
  std::copy_n(samples.begin(), taken, pending_.begin() + static_cast<ptrdiff_t>(filled_));
  filled_ += taken;
  if (filled_ == kBlockSamples && !is_spoilt_) take_block_(pending_.data(), spectrum_);
  return taken;
}

// A tone 1.8 % off loses up to 5.7 dB in a 20 ms window, but only 0.3 dB in a block of 5 ms. Turning the blocks against
// each other tunes the window to three frequencies, nominal and 1.4 % to either side; the strongest is the tone's. The two
// sides have the same cosines and opposite sines.
[[gnu::always_inline]] inline DtmfDetector::Two DtmfDetector::BestPowers(size_t row, size_t column) const {
  const auto block = [&](size_t back) __attribute__((always_inline)) -> const Phasors& {
    return spectrum_.ring.tone[(spectrum_.blocks - back) % kRingBlocks];
  };
  const auto both = [&](const Lanes& lanes) __attribute__((always_inline)) { return Two{lanes[row], lanes[column]}; };
  const Phasors &last = block(1), &third = block(2), &second = block(3), &first = block(4);
  const Two near_cos = both(kDetunes.near_cos), near_sin = both(kDetunes.near_sin);
  const Two far_cos = both(kDetunes.far_cos), far_sin = both(kDetunes.far_sin);
  const Two even_re = near_cos * (both(second.re) + both(third.re)) + far_cos * (both(first.re) + both(last.re));
  const Two even_im = near_cos * (both(second.im) + both(third.im)) + far_cos * (both(first.im) + both(last.im));
  const Two odd_re = near_sin * (both(third.re) - both(second.re)) + far_sin * (both(last.re) - both(first.re));
  const Two odd_im = near_sin * (both(third.im) - both(second.im)) + far_sin * (both(last.im) - both(first.im));
  const Two squares = even_re * even_re + even_im * even_im + odd_re * odd_re + odd_im * odd_im;
  const Two cross = 2.0F * (even_re * odd_im - even_im * odd_re);
  return Two{std::max(spectrum_.power[row], squares[0] + std::fabs(cross[0])), std::max(spectrum_.power[column], squares[1] + std::fabs(cross[1]))};
}

[[gnu::always_inline]] inline DtmfDetector::Window DtmfDetector::MakeWindow() const {
  Window window{};
  window.energy = spectrum_.energy;
  // |sum| of a sine of amplitude A over N samples is A·N/2, so its energy A²·N/2 is 2·|sum|²/N.
  constexpr float kSamples = kWindowBlocks * kBlockSamples;
  constexpr float kLevelMin = kFullScaleMeanSquare * kSamples * 3.03e-5F;  // kLevelMinDbm0 against full scale.
  static_assert(kLevelMinDbm0 - kFullScaleDbm0 > -45.2F && kLevelMinDbm0 - kFullScaleDbm0 < -45.1F);
  // Silence: row and column measure at most all of the energy each, and noise has them far below.
  if (window.energy * 2.0F < kLevelMin) return window;

  const Strongest &row = spectrum_.row, &column = spectrum_.column;
  window.row = static_cast<uint8_t>(row.index);
  window.column = static_cast<uint8_t>(column.index);
  constexpr float kTwistMax = 15.85F;  // kTwistMaxDb as a ratio of powers.
  static_assert(kTwistMaxDb == 12.0F);
  // One jump for all: which of them fails changes from window to window of speech.
  const bool stands_out = bool(unsigned(row.power <= kTwistMax * column.power) & unsigned(column.power <= kTwistMax * row.power) &
                               unsigned(row.other * kDominance <= row.power) & unsigned(column.other * kDominance <= column.power));
  if (!stands_out) return window;
  window.other_row = row.other / row.power;
  window.other_column = column.other / column.power;
  const Two energies = BestPowers(row.index, size_t{4} + column.index) * (2.0F / kSamples);
  const float row_energy = energies[0], column_energy = energies[1];
  window.tone_energy = row_energy + column_energy;
  if (window.tone_energy < kLevelMin) return window;
  const float band_tones = row_energy * kBandGain[row.index] + column_energy * kBandGain[size_t{4} + column.index];
  if (window.tone_energy < kWindowToneShareMin * window.energy && band_tones < kWindowBandShareMin * spectrum_.band_energy) return window;
  window.is_candidate = true;
  return window;
}

[[gnu::always_inline]] inline void DtmfDetector::Extend(const Window& window) {
  run_.tone_energy += window.tone_energy;
  run_.total_energy += window.energy;
  run_.least_share = std::min(run_.least_share, window.tone_energy / (window.energy + 1.0F));
  run_.other_rows += window.other_row;
  run_.other_columns += window.other_column;
  run_.last_block = spectrum_.blocks;
  run_.last_at = Now();
  ++run_.hops;
}

void DtmfDetector::Begin(const Window& window) {
  run_ = Run{};
  run_.row = window.row;
  run_.column = window.column;
  run_.first_block = spectrum_.blocks;
  run_.first_at = Now();
  run_.least_share = 1.0F;
  // The window is at least half tone, so the tone began in its second or third block: the three before those.
  float row_re = 0, row_im = 0, column_re = 0, column_im = 0;
  for (size_t back = kWindowBlocks; back < kWindowBlocks + kBlocksBefore; ++back) {
    // What was heard before a gap is not what was there before the tone.
    if (spectrum_.ring.unheard[(spectrum_.blocks - back + 1) % kRingBlocks] > 0) break;
    const size_t block = (spectrum_.blocks - back) % kRingBlocks;
    const Phasors& tone = spectrum_.ring.tone[block];
    run_.energy_before += spectrum_.ring.energy[block] / static_cast<float>(kBlocksBefore);
    row_re += tone.re[run_.row];
    row_im += tone.im[run_.row];
    column_re += tone.re[size_t{4} + run_.column];
    column_im += tone.im[size_t{4} + run_.column];
  }
  constexpr float kPerBlock = 2.0F / static_cast<float>(kBlockSamples * kBlocksBefore * kBlocksBefore);
  run_.row_before = (row_re * row_re + row_im * row_im) * kPerBlock;
  run_.column_before = (column_re * column_re + column_im * column_im) * kPerBlock;
  Extend(window);
}

void DtmfDetector::StayDeaf(bool is_candidate) {
  quiet_blocks_ = is_candidate ? 0 : quiet_blocks_ + 1;
  deaf_ = quiet_blocks_ < kDeafBlocks;
}

size_t DtmfDetector::EndBlock(InbandPress* out) {
  const Window window = MakeWindow();
  if (deaf_) {
    StayDeaf(window.is_candidate);
    return 0;
  }
  size_t count = 0;
  if (unheard_ > 0 && window.is_candidate && spectrum_.blocks >= gap_block_ + kBlocksBehindGap) [[unlikely]] {
    if (!GoesOnBehindGap()) count += EndRun(out);
    unheard_ = 0;
  }
  const bool is_same = window.is_candidate && run_.hops > 0 && window.row == run_.row && window.column == run_.column;
  if (is_same) {
    others_ = 0;
    since_candidate_ = 0;
    Extend(window);
  } else if (window.is_candidate && (!pressed_ || ++others_ >= 2)) {
    // While a press is on, one window of another key may be a click; two in a row are the next key.
    if (pressed_) out[count++] = Describe(false, true);
    pressed_ = false;
    others_ = 0;
    since_candidate_ = unheard_ = 0;
    Begin(window);
  } else if (run_.hops > 0 && ++since_candidate_ > kBridgeBlocks) {
    count += EndRun(out);
  }
  if (is_same && !pressed_ && Passes()) {
    pressed_ = true;
    out[count++] = Describe(true, false);
  }
  return count;
}

size_t DtmfDetector::EndRun(InbandPress* out) {
  const size_t count = pressed_ ? 1 : 0;
  if (pressed_) *out = Describe(false, true);
  pressed_ = false;
  others_ = 0;
  unheard_ = 0;
  run_ = Run{};
  return count;
}

[[gnu::noinline, gnu::cold]] bool DtmfDetector::GoesOnBehindGap() const {
  const Continuity continuity = AcrossGap(spectrum_, run_, gap_block_);
  return continuity == Continuity::kGoesOn || (continuity == Continuity::kUnknown && unheard_ <= kUnheardBlocksBlind);
}

// A gap that nobody heard neither lengthens a press nor ends it, until it is longer than any loss that a press outlasts.
[[gnu::cold]] size_t DtmfDetector::EndUnheardBlock(InbandPress* out) {
  PassBlock(spectrum_);
  // Then what was heard before it has nothing to do with what comes after.
  if (spectrum_.ring.unheard[spectrum_.blocks % kRingBlocks] == kUnheardBlocksMax + 1) ForgetSound(spectrum_);
  if (deaf_) StayDeaf(false);       // The jitter buffer was emptied: these are the blocks that are ours.
  if (run_.hops == 0) return 0;
  if (unheard_ == 0) gap_block_ = spectrum_.blocks;
  return ++unheard_ > kUnheardBlocksMax ? EndRun(out) : 0;
}

bool DtmfDetector::Passes() const {
  if (run_.hops < kHopsMin || run_.hops > kHopsMax) return false;
  const Evidence evidence = Weigh(spectrum_, run_);
  if (evidence[kRowOff] > kFrequencyOffMax || evidence[kColumnOff] > kFrequencyOffMax) return false;
  if (std::fabs(evidence[kTwist]) > kPressTwistMax) return false;
  return Score(evidence, run_.hops) >= (run_.hops < kHopsDoubtful ? kScoreAtOnce : run_.hops < kHopsLate ? kScoreMin : kScoreLate);
}

InbandPress DtmfDetector::Describe(bool begins, bool ended) const {
  // The first candidate window has a little more than half of itself in the tone, and so has the last.
  constexpr uint64_t kHalfWindow = kWindowBlocks * kBlockSamples / 2;
  const uint64_t first_end = run_.first_at * kBlockSamples;
  const uint64_t last_end = run_.last_at * kBlockSamples;
  const uint64_t onset = first_end > kHalfWindow ? first_end - kHalfWindow : 0;
  const uint64_t end = last_end > kHalfWindow ? last_end - kHalfWindow : 0;
  const float windows = static_cast<float>(run_.hops) * kWindowBlocks * kBlockSamples;
  const float level = 10.0F * std::log10(run_.tone_energy / windows / kFullScaleMeanSquare) + kFullScaleDbm0;
  return InbandPress{begins, ended, kEventAt[run_.row][run_.column], onset, static_cast<uint32_t>(end - onset), level};
}

bool DtmfDetector::Finish(InbandPress* press) {
  if (!pressed_) return false;
  *press = Describe(false, true);
  pressed_ = false;
  run_ = Run{};
  return true;
}

}  // namespace hushtone
