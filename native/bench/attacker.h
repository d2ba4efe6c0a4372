// An attacker who knows when each key was pressed: ../shared/tools/leak/attack.py, window for window and sum for sum. For
// each press he looks at windows of 5, 10, 20 and 40 ms from 10 ms before its onset to 20 ms after its end, and takes the
// key of the one where one row and one column stand out most. Chance over 16 keys is 6.25 %.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>

namespace hushtone::bench {

struct AttackedPress {
  double onset_ms = 0, offset_ms = 0;
  char key = '?';
};

class Attacker {
 public:
  // The key he takes; '?' where the press reaches behind the end of what he heard.
  char Guess(std::span<const int16_t> heard, const AttackedPress& press, double latency_ms) {
    const double on = press.onset_ms + latency_ms;
    const double off = press.offset_ms + latency_ms;
    if (static_cast<int64_t>((off + 60) * 8) >= static_cast<int64_t>(heard.size())) return '?';
    double best = -1;
    char key = '?';
    for (const double width : {5.0, 10.0, 20.0, 40.0}) {
      const double step = std::max(2.5, width / 2);
      for (double t = on - 10; t < off + 20; t += step) {
        const auto from = static_cast<size_t>(std::max(0.0, t * 8));
        const auto count = static_cast<size_t>(width * 8);
        const std::array<double, 8> power = Powers(heard.subspan(from, count), count);
        size_t row = 0;
        size_t column = 4;
        double rows = 0;
        double columns = 0;
        for (size_t i = 0; i < 4; ++i) {
          if (power[i] > power[row]) row = i;
          if (power[4 + i] > power[column]) column = 4 + i;
          rows += power[i];
          columns += power[4 + i];
        }
        const double low = power[row];
        const double high = power[column];
        const double score = low * high / ((rows - low + 1e-9) * (columns - high + 1e-9)) * std::sqrt(low * high + 1e-12);
        if (score > best) best = score, key = "123A456B789C*0#D"[row * 4 + column - 4];
        loudest_ = std::max(loudest_, low + high);
      }
    }
    return key;
  }

  // The loudest row and column that any window held, as an amplitude against 32,768.
  double LoudestDbfs() const { return 10 * std::log10(std::max(loudest_, 1e-9) * 4) - 20 * std::log10(32768.0); }

 private:
  static std::array<double, 8> Powers(std::span<const int16_t> samples, size_t count) {
    constexpr std::array<double, 8> kHz = {697, 770, 852, 941, 1209, 1336, 1477, 1633};
    double w[8];
    double s1[8]{};
    double s2[8]{};
    for (size_t i = 0; i < 8; ++i) w[i] = 2 * std::cos(2 * std::numbers::pi * kHz[i] / 8000);
    for (const int16_t sample : samples) {
      for (size_t i = 0; i < 8; ++i) {
        const double next = sample + w[i] * s1[i] - s2[i];
        s2[i] = s1[i];
        s1[i] = next;
      }
    }
    std::array<double, 8> power;
    for (size_t i = 0; i < 8; ++i) {
      power[i] = (s1[i] * s1[i] + s2[i] * s2[i] - w[i] * s1[i] * s2[i]) / static_cast<double>(count) / static_cast<double>(count);
    }
    return power;
  }

  double loudest_ = 0;
};

}  // namespace hushtone::bench
