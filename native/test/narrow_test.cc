// Any sample rate to 8 kHz: tones below the cut-off keep level and place, those above are gone, pieces change nothing.
#include "audio/narrow.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "check.h"

using namespace hushtone;

namespace {

constexpr double kAmplitude = 8000.0;

std::vector<int16_t> Sine(double hertz, uint32_t rate, size_t count) {
  std::vector<int16_t> samples(count);
  for (size_t i = 0; i < count; ++i) {
    const double angle = 2.0 * std::numbers::pi * hertz * static_cast<double>(i) / rate;
    samples[i] = static_cast<int16_t>(std::lround(kAmplitude * std::sin(angle)));
  }
  return samples;
}

std::vector<int16_t> Narrow(const std::vector<int16_t>& samples, uint32_t rate, size_t piece) {
  Narrower narrower(rate);
  std::vector<int16_t> out;
  for (size_t at = 0; at < samples.size(); at += piece) {
    const size_t count = std::min(piece, samples.size() - at);
    narrower.Feed({samples.data() + at, count}, &out);
  }
  narrower.Finish(&out);
  return out;
}

// The largest difference to the sine that should be there, away from both ends.
double Error(const std::vector<int16_t>& out, double hertz, double amplitude) {
  double worst = 0;
  for (size_t i = 200; i + 200 < out.size(); ++i) {
    const double angle = 2.0 * std::numbers::pi * hertz * static_cast<double>(i) / kNarrowRate;
    worst = std::max(worst, std::fabs(out[i] - amplitude * std::sin(angle)));
  }
  return worst;
}

}  // namespace

int main() {
  for (const uint32_t rate : {11'025U, 16'000U, 22'050U, 32'000U, 44'100U, 48'000U, 96'000U, 192'000U}) {
    for (const double hertz : {697.0, 941.0, 1209.0, 1633.0}) {
      const auto out = Narrow(Sine(hertz, rate, rate), rate, rate);
      CHECK(out.size() == kNarrowRate);
      CHECK(Error(out, hertz, kAmplitude) < 0.01 * kAmplitude);
    }
    // What would fold onto 1000 Hz is 50 dB down, where the rate has it at all.
    if (rate > 16'000) CHECK(Error(Narrow(Sine(7000.0, rate, rate), rate, rate), 0, 0) < kAmplitude / 316.0);
  }
  // Rates below 8 kHz, and one that shares no factor with it.
  CHECK(Error(Narrow(Sine(697.0, 4000, 4000), 4000, 4000), 697.0, kAmplitude) < 0.02 * kAmplitude);
  CHECK(Error(Narrow(Sine(1209.0, 47'999, 47'999), 47'999, 47'999), 1209.0, kAmplitude) < 0.01 * kAmplitude);

  // In pieces of any size it gives the same samples.
  const auto noise = [] {
    std::vector<int16_t> samples(20'000);
    uint32_t seed = 1;
    for (int16_t& sample : samples) sample = static_cast<int16_t>((seed = seed * 1'664'525U + 1'013'904'223U) >> 16);
    return samples;
  }();
  for (const uint32_t rate : {7'000U, 16'000U, 44'100U}) {
    const auto whole = Narrow(noise, rate, noise.size());
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{160}, size_t{4801}}) CHECK(Narrow(noise, rate, piece) == whole);
  }

  // Ends: nothing, one sample, and the loudest there is.
  CHECK(Narrow({}, 48'000, 1).empty());
  CHECK(Narrow({1000}, 8'001, 1).size() == 0);
  CHECK(Narrow({1000, 1000}, 8'001, 1).size() == 1);
  const auto loud = Narrow(std::vector<int16_t>(48'000, -32'768), 48'000, 999);
  CHECK(loud[4000] <= -32'700);
  return test::Finish();
}
