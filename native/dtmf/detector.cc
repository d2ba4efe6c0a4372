#include "dtmf/detector.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dtmf/correlate.h"

namespace hushtone {
namespace {

// ITU-T Q.23 §6 and §7: the frequencies, rows first.
constexpr float kFrequenciesHz[8] = {697, 770, 852, 941, 1209, 1336, 1477, 1633};
// RFC 4733 §3.2 table 3: which event stands at row × column.
constexpr uint8_t kEventAt[4][4] = {{1, 2, 3, 12}, {4, 5, 6, 13}, {7, 8, 9, 14}, {10, 0, 11, 15}};

// The largest sine in G.711 µ-law has amplitude 32,124 and +3.17 dBm0; its mean square is half the square.
constexpr float kFullScaleMeanSquare = 32124.0F * 32124.0F / 2.0F;
constexpr float kFullScaleDbm0 = 3.17F;

// Levels: Q.24 administrations accept down to -25 to -29 dBm0 per frequency; below -45 both together is refused.
constexpr float kLevelMinDbm0 = -42.0F;
// Share of a window's energy that row and column together must hold: 0.5 lets noise of 0 dB less than the tones in.
constexpr float kWindowToneShareMin = 0.50F;
// The same over the run, where chance has averaged out: noise at 4 dB leaves 0.71.
constexpr float kRunToneShareMin = 0.66F;
// Twist per window is wider than any administration's (Q.24: +4/-8 dB) because noise moves it.
constexpr float kTwistMaxDb = 12.0F;
// Strongest row above the other rows, strongest column above the other columns, at least.
constexpr float kDominance = 2.2F;
// Q.24: 1.5 % is operated, 3.5 % is refused. Halfway, measured over the run.
constexpr float kFrequencyErrorMax = 0.0255F;
// Where the window is tuned besides the nominal frequency, as a share of it.
constexpr double kDetune = 0.014;
// Length of the sum of phase steps by the sum of their lengths: 1 for a steady tone, speech wanders.
constexpr float kCoherenceMin = 0.90F;
// Q.24: 40 ms is operated, 23 to 25 ms is refused. A 20 ms window is a candidate once more than half of it is tone, so
// a tone of L ms makes about (L - 2) / 5 of them.
constexpr uint32_t kHopsMin = 6;
// Q.24: an interruption of 10 ms is no new press. Real drop-outs reach 20 ms, a lost packet; a window hears the end of
// a gap two blocks late.
constexpr uint32_t kBridgeBlocks = 5;

// After Forget: the jitter buffer was emptied too, so up to 60 ms of quiet are ours and not the caller's.
constexpr uint32_t kDeafBlocks = 16;

// Without the care for infinities that std::complex takes: there are none here.
std::complex<float> Times(std::complex<float> a, std::complex<float> b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

struct Tables {
  Correlate correlate;
  alignas(64) Wave wave[kBlockSamples];
  std::complex<float> advance[8];
  std::complex<float> detune[8][3];
};

const Tables& TheTables() {
  static const Tables tables = [] {
    Tables made{};
    made.correlate = FastestCorrelate();
    for (size_t tone = 0; tone < 8; ++tone) {
      const double step = 2.0 * std::numbers::pi * static_cast<double>(kFrequenciesHz[tone]) / kDetectorSampleRate;
      for (size_t n = 0; n < kBlockSamples; ++n) {
        made.wave[n][tone] = static_cast<float>(std::cos(step * static_cast<double>(n)));
        made.wave[n][8 + tone] = static_cast<float>(-std::sin(step * static_cast<double>(n)));
      }
      const double turn = step * static_cast<double>(kBlockSamples);
      for (size_t side = 0; side < 3; ++side) {
        const double off = turn * kDetune * (static_cast<double>(side) - 1.0);
        made.detune[tone][side] = {static_cast<float>(std::cos(off)), static_cast<float>(-std::sin(off))};
      }
      made.advance[tone] = {static_cast<float>(std::cos(turn)), static_cast<float>(-std::sin(turn))};
    }
    return made;
  }();
  return tables;
}

float Square(std::complex<float> value) { return value.real() * value.real() + value.imag() * value.imag(); }

}  // namespace

DtmfDetector::DtmfDetector() { Reset(); }

void DtmfDetector::Reset() {
  sums_.fill(0);
  block_energy_ = 0;
  filled_ = 0;
  blocks_ = 0;
  rotation_.fill(Complex(1, 0));
  ring_.fill(Block{});
  run_ = Run{};
  pressed_ = false;
  since_candidate_ = 0;
  others_ = 0;
  other_ = Window{};
  deaf_ = false;
  quiet_blocks_ = 0;
}

void DtmfDetector::Forget() {
  const bool was_on = pressed_ || deaf_;
  const uint64_t blocks = blocks_;
  Reset();
  blocks_ = blocks;
  deaf_ = was_on;
  asm volatile("" : : "r"(ring_.data()) : "memory");
}

size_t DtmfDetector::Take(std::span<const int16_t> samples) {
  const Tables& tables = TheTables();
  const size_t room = kBlockSamples - filled_;
  const size_t taken = samples.size() < room ? samples.size() : room;
  tables.correlate(samples.data(), taken, tables.wave + filled_, sums_.data(), &block_energy_);
  filled_ += taken;
  return taken;
}

size_t DtmfDetector::EndBlock(InbandPress* out) {
  const Tables& tables = TheTables();
  Block& block = ring_[blocks_ % kWindowBlocks];
  for (size_t tone = 0; tone < kTones; ++tone) {
    block.tone[tone] = Times(Complex(sums_[tone], sums_[kTones + tone]), rotation_[tone]);
    rotation_[tone] = Times(rotation_[tone], tables.advance[tone]);
  }
  block.energy = static_cast<float>(block_energy_);
  sums_.fill(0);
  block_energy_ = 0;
  // Rounding makes the unit vectors grow or shrink; 64 blocks are too few for it to show.
  if (blocks_ % 64 == 63) {
    for (Complex& turn : rotation_) turn /= std::abs(turn);
  }
  ++blocks_;

  const Window window = MakeWindow();
  if (deaf_) {
    quiet_blocks_ = window.is_candidate ? 0 : quiet_blocks_ + 1;
    deaf_ = quiet_blocks_ < kDeafBlocks;
    return 0;
  }
  size_t count = 0;
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
    since_candidate_ = 0;
    Begin(window);
  } else if (run_.hops > 0 && ++since_candidate_ > kBridgeBlocks) {
    if (pressed_) out[count++] = Describe(false, true);
    pressed_ = false;
    others_ = 0;
    run_ = Run{};
  }
  if (is_same && !pressed_ && Passes()) {
    pressed_ = true;
    out[count++] = Describe(true, false);
  }
  return count;
}

DtmfDetector::Window DtmfDetector::MakeWindow() const {
  Window window{};
  for (const Block& block : ring_) window.energy += block.energy;
  // |sum| of a sine of amplitude A over N samples is A·N/2, so its energy A²·N/2 is 2·|sum|²/N.
  constexpr float kSamples = kWindowBlocks * kBlockSamples;
  constexpr float kLevelMin = kFullScaleMeanSquare * kSamples * 3.03e-5F;  // kLevelMinDbm0 against full scale.
  static_assert(kLevelMinDbm0 - kFullScaleDbm0 > -45.2F && kLevelMinDbm0 - kFullScaleDbm0 < -45.1F);
  // Silence: row and column measure at most all of the energy each, and noise has them far below.
  if (window.energy * 2.0F < kLevelMin) return window;

  for (const Block& block : ring_) {
    for (size_t tone = 0; tone < kTones; ++tone) window.tone[tone] += block.tone[tone];
  }
  float power[kTones];
  for (size_t tone = 0; tone < kTones; ++tone) power[tone] = Square(window.tone[tone]);

  size_t row = 0;
  size_t column = 4;
  for (size_t i = 1; i < 4; ++i) {
    if (power[i] > power[row]) row = i;
    if (power[4 + i] > power[column]) column = 4 + i;
  }
  window.row = static_cast<uint8_t>(row);
  window.column = static_cast<uint8_t>(column - 4);

  constexpr float kTwistMax = 15.85F;  // kTwistMaxDb as a ratio of powers.
  static_assert(kTwistMaxDb == 12.0F);
  if (power[row] > kTwistMax * power[column] || power[column] > kTwistMax * power[row]) return window;
  for (size_t i = 0; i < 4; ++i) {
    if (i != row && power[i] * kDominance > power[row]) return window;
    if (4 + i != column && power[4 + i] * kDominance > power[column]) return window;
  }
  window.tone_energy = 2.0F * (BestPower(row) + BestPower(column)) / kSamples;
  if (window.tone_energy < kLevelMin) return window;
  if (window.tone_energy < kWindowToneShareMin * window.energy) return window;
  window.is_candidate = true;
  return window;
}

// A tone 1.8 % off loses up to 5.7 dB in a 20 ms window, but only 0.3 dB in a block of 5 ms. Turning the blocks against
// each other tunes the window to three frequencies, nominal and 1.4 % to either side; the strongest is the tone's.
float DtmfDetector::BestPower(size_t tone) const {
  const Tables& tables = TheTables();
  float best = 0;
  for (const Complex& detune : tables.detune[tone]) {
    Complex sum(0, 0);
    Complex turn(1, 0);
    for (size_t i = 0; i < kWindowBlocks; ++i) {
      sum += Times(ring_[(blocks_ + i) % kWindowBlocks].tone[tone], turn);  // Oldest first.
      turn = Times(turn, detune);
    }
    best = std::max(best, Square(sum));
  }
  return best;
}

void DtmfDetector::Begin(const Window& window) {
  run_ = Run{};
  run_.row = window.row;
  run_.column = window.column;
  run_.first_block = blocks_;
  Extend(window);
}

void DtmfDetector::Extend(const Window& window) {
  const Complex row = window.tone[window.row];
  const Complex column = window.tone[size_t{4} + window.column];
  if (run_.hops > 0 && run_.last_window + 1 == blocks_) {
    const Complex step_row = Times(row, std::conj(run_.last_row));
    const Complex step_column = Times(column, std::conj(run_.last_column));
    run_.advance_row += step_row;
    run_.advance_column += step_column;
    run_.step_row += std::abs(step_row);
    run_.step_column += std::abs(step_column);
  }
  run_.tone_energy += window.tone_energy;
  run_.total_energy += window.energy;
  run_.last_row = row;
  run_.last_column = column;
  run_.last_window = blocks_;
  run_.last_block = blocks_;
  ++run_.hops;
}

bool DtmfDetector::Passes() const {
  if (run_.hops < kHopsMin) return false;
  if (run_.tone_energy < kRunToneShareMin * run_.total_energy) return false;
  if (std::abs(run_.advance_row) < kCoherenceMin * run_.step_row) return false;
  if (std::abs(run_.advance_column) < kCoherenceMin * run_.step_column) return false;
  constexpr float kBlockSeconds = static_cast<float>(kBlockSamples) / kDetectorSampleRate;
  const float turn = 2.0F * std::numbers::pi_v<float> * kBlockSeconds;
  const float off_row = std::arg(run_.advance_row) / turn;
  const float off_column = std::arg(run_.advance_column) / turn;
  return std::fabs(off_row) <= kFrequencyErrorMax * kFrequenciesHz[run_.row] &&
         std::fabs(off_column) <= kFrequencyErrorMax * kFrequenciesHz[4 + run_.column];
}

InbandPress DtmfDetector::Describe(bool begins, bool ended) const {
  // The first candidate window has a little more than half of itself in the tone, and so has the last.
  constexpr uint64_t kHalfWindow = kWindowBlocks * kBlockSamples / 2;
  const uint64_t first_end = run_.first_block * kBlockSamples;
  const uint64_t last_end = run_.last_block * kBlockSamples;
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
