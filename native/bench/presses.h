// Makes presses that no phone should send and a mask must not let through: half-keyed, clipped, bouncing, staggered,
// fading, echoed, single tones, under speech. µ-law there and back. Every key equally often, in an order that the seed
// draws: the attacker who always says "1" is right in 6.25 %.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "audio/g711.h"
#include "bench/attacker.h"

namespace hushtone::bench {

constexpr double kRate = 8000;
constexpr double kRowHz[4] = {697, 770, 852, 941};              // ITU-T Q.23.
constexpr double kColumnHz[4] = {1209, 1336, 1477, 1633};
constexpr char kKeys[] = "123A456B789C*0#D";
constexpr double kFullScalePeak = 32768.0 / 1.4355;             // Of 0 dBm0: 3.14 dB under the largest sine, G.711.

struct PressCondition {
  const char* name;
  double on_ms = 60, off_ms = 70, level_dbm0 = -10;
  double row_db = 0, column_db = 0;      // Against the level; -99 is none.
  double column_late_ms = 0;             // The column begins and ends so much later than the row.
  double rise_ms = 0, fall_ms = 0;       // Of the envelope, within the press.
  double clip_db = 0;                    // Driven so much into a hard limit at the level's peak.
  double bounce_ms = 0;                  // Silence in the middle.
  double echo_db = -99, echo_ms = 0;     // A copy of the press, so much later.
  double conceal = 0;                    // 1: the last 20 ms again at two thirds, then one third.
  double snr_db = 99;                    // Both tones over white noise.
  double tones_over_speech_db = 99;      // Both tones over the speech's active level.
  double offset = 0;                     // Both frequencies, either way.
};

// The end of the press as a listener could hear it.
inline double TailMs(const PressCondition& c) {
  return std::max({c.column_late_ms, c.echo_db > -90 ? c.echo_ms : 0.0, c.conceal > 0 ? 40.0 : 0.0});
}

// Of the frames in which somebody speaks; 0 where that is less than a fifth of them.
inline double ActiveRms(std::span<const int16_t> speech) {
  constexpr double kActive = 1e4;                               // Mean square of a frame that counts, as corpus.c has it.
  double sum = 0;
  double count = 0;
  for (size_t n = 0; n + 160 <= speech.size(); n += 160) {
    double power = 0;
    for (size_t i = 0; i < 160; ++i) power += static_cast<double>(speech[n + i]) * speech[n + i];
    if (power / 160 > kActive) sum += power, count += 160;
  }
  return count * 5 >= static_cast<double>(speech.size()) ? std::sqrt(sum / count) : 0;
}

struct Presses {
  std::vector<int16_t> samples;
  std::vector<AttackedPress> truth;
};

class PressMaker {
 public:
  // `speech`: 20 s at least, where a condition has speech.
  PressMaker(uint64_t seed, std::span<const int16_t> speech) : random_(seed), speech_(speech) {}

  Presses Make(const PressCondition& c, size_t count) {
    std::vector<int> keys(count);
    for (size_t i = 0; i < count; ++i) keys[i] = static_cast<int>(i % 16);
    std::shuffle(keys.begin(), keys.end(), random_);
    std::vector<double> x(At(static_cast<double>(count) * (c.on_ms + c.off_ms + 30) + 1000));
    Presses made;
    double at_ms = 500;
    for (const int key : keys) {
      at_ms += Uniform() * 10;
      Press(c, key, At(at_ms), &x);
      const size_t offset = At(at_ms + c.on_ms + TailMs(c));
      made.truth.push_back({static_cast<double>(At(at_ms)) / 8, static_cast<double>(offset) / 8, kKeys[key]});
      at_ms += c.on_ms + c.off_ms + Uniform() * 20;
    }
    x.resize(At(at_ms + 500));
    AddNoise(c, &x);
    for (const double value : x) {
      const auto sample = static_cast<int16_t>(std::lrint(std::clamp(value, -32768.0, 32767.0)));
      made.samples.push_back(DecodeSample(Law::kMu, EncodeSample(Law::kMu, sample)));
    }
    return made;
  }

 private:
  static size_t At(double ms) { return static_cast<size_t>(ms * kRate / 1000); }
  double Uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  void Press(const PressCondition& c, int key, size_t at, std::vector<double>* x) {
    const double peak = kFullScalePeak * std::pow(10, c.level_dbm0 / 20);
    const double row = c.row_db <= -90 ? 0 : peak * std::pow(10, c.row_db / 20);
    const double column = c.column_db <= -90 ? 0 : peak * std::pow(10, c.column_db / 20);
    const double off = Uniform() < 0.5 ? c.offset : -c.offset;
    const double row_step = 2 * std::numbers::pi * kRowHz[key / 4] * (1 + off) / kRate;
    const double column_step = 2 * std::numbers::pi * kColumnHz[key % 4] * (1 + off) / kRate;
    const double row_phase = Uniform() * 2 * std::numbers::pi;
    const double column_phase = Uniform() * 2 * std::numbers::pi;
    const size_t late = At(c.column_late_ms);
    std::vector<double> press(At(c.on_ms) + late);
    for (size_t n = 0; n < press.size(); ++n) {
      const auto t = static_cast<double>(n);
      double value = 0;
      if (n < At(c.on_ms)) value += row * std::sin(row_step * t + row_phase);
      if (n >= late) value += column * std::sin(column_step * t + column_phase);
      const auto left = static_cast<double>(press.size() - n);
      double gain = 1;
      if (c.rise_ms > 0) gain = std::min(gain, t / (c.rise_ms * 8));
      if (c.fall_ms > 0) gain = std::min(gain, left / (c.fall_ms * 8));
      value *= gain * std::pow(10, c.clip_db / 20);
      const double limit = c.clip_db > 0 ? 2 * peak : 1e9;
      value = std::clamp(value, -limit, limit);
      const double middle = static_cast<double>(press.size()) / 2;
      if (c.bounce_ms > 0 && std::fabs(t - middle) < c.bounce_ms * 4) value = 0;
      press[n] = value;
    }
    for (size_t n = 0; n < press.size(); ++n) {
      (*x)[at + n] += press[n];
      if (c.echo_db > -90) (*x)[at + At(c.echo_ms) + n] += press[n] * std::pow(10, c.echo_db / 20);
    }
    // As our jitter buffer does: the last 20 ms again, whatever of them was the press.
    for (size_t n = 0; c.conceal > 0 && n < 320; ++n) {
      const size_t from = press.size() + n % 160;
      if (from >= 160) (*x)[at + press.size() + n] += press[from - 160] * (n < 160 ? 2.0 / 3 : 1.0 / 3);
    }
  }

  void AddNoise(const PressCondition& c, std::vector<double>* x) {
    const double peak = kFullScalePeak * std::pow(10, c.level_dbm0 / 20);
    const double rms = peak;                                    // Two sines of this peak have this root mean square.
    std::normal_distribution<double> gauss(0, rms / std::pow(10, c.snr_db / 20));
    if (c.snr_db < 90) for (double& value : *x) value += gauss(random_);
    if (c.tones_over_speech_db > 90) return;
    // Ten seconds each from anywhere, at one active level: many voices, none louder than was asked for.
    constexpr size_t kPiece = 80000;
    for (size_t n = 0; n < x->size(); n += kPiece) {
      std::span<const int16_t> piece;
      double active = 0;
      for (int tries = 0; active == 0 && tries < 1000; ++tries) {
        piece = speech_.subspan(static_cast<size_t>(Uniform() * static_cast<double>(speech_.size() - kPiece)), kPiece);
        active = ActiveRms(piece);
      }
      if (active == 0) continue;                                // Nobody speaks anywhere.
      const double gain = rms / std::pow(10, c.tones_over_speech_db / 20) / active;
      for (size_t i = 0; i < kPiece && n + i < x->size(); ++i) (*x)[n + i] += gain * piece[i];
    }
  }

  std::mt19937_64 random_;
  std::span<const int16_t> speech_;
};

inline const PressCondition kPressConditions[] = {
    {.name = "half-5ms", .on_ms = 5},
    {.name = "half-8ms", .on_ms = 8},
    {.name = "half-12ms", .on_ms = 12},
    {.name = "half-10ms-40dBm0", .on_ms = 10, .level_dbm0 = -40},
    {.name = "bounce-15ms", .on_ms = 45, .bounce_ms = 15},
    {.name = "staggered-15ms", .on_ms = 50, .column_late_ms = 15},
    {.name = "row-only", .on_ms = 60, .column_db = -99},
    {.name = "column-only", .on_ms = 60, .row_db = -99},
    {.name = "clipped-6dB", .level_dbm0 = -9, .clip_db = 6},
    {.name = "clipped-20dB", .level_dbm0 = -9, .clip_db = 20},
    {.name = "fading-20ms", .on_ms = 80, .rise_ms = 20, .fall_ms = 20},
    {.name = "decay-60ms", .on_ms = 100, .fall_ms = 60},
    {.name = "echo-30dB-40ms", .off_ms = 140, .echo_db = -30, .echo_ms = 40},
    {.name = "concealed-tail", .off_ms = 110, .conceal = 1},
    {.name = "half-5ms-concealed", .on_ms = 5, .off_ms = 110, .conceal = 1},
    {.name = "half-12ms-concealed", .on_ms = 12, .off_ms = 110, .conceal = 1},
    {.name = "level-45", .level_dbm0 = -45},
    {.name = "level-55-noise-20dB", .level_dbm0 = -55, .snr_db = 20},
    {.name = "off-2.5pc-noise-10dB", .snr_db = 10, .offset = 0.025},
    {.name = "off-5pc-noise-10dB", .snr_db = 10, .offset = 0.05},
    {.name = "noise-10dB-20ms", .on_ms = 20, .snr_db = 10},
    {.name = "noise-6dB-40ms", .on_ms = 40, .snr_db = 6},
    {.name = "speech-12dB", .on_ms = 80, .tones_over_speech_db = 12},
    {.name = "speech-6dB", .on_ms = 80, .tones_over_speech_db = 6},
    {.name = "speech-3dB", .on_ms = 80, .tones_over_speech_db = 3},
    {.name = "speech-0dB", .on_ms = 80, .tones_over_speech_db = 0},
    {.name = "speech-12dB-23ms", .on_ms = 23, .tones_over_speech_db = 12},
};

}  // namespace hushtone::bench
