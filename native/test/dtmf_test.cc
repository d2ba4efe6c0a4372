// The in-band detector on tones made here: what ITU-T Q.24 wants operated and refused.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "audio/g711.h"
#include "check.h"
#include "dtmf/correlate.h"
#include "dtmf/detector.h"

using namespace hushtone;

namespace {

constexpr char kKeys[] = "0123456789*#ABCD";
constexpr double kRows[] = {697, 770, 852, 941};
constexpr double kColumns[] = {1209, 1336, 1477, 1633};
constexpr const char* kPad = "123A456B789C*0#D";

struct Tone {
  double tone_ms = 60;
  double gap_ms = 60;
  double level_dbm0 = -13;          // Of each frequency before twist.
  double twist_db = 0;              // Column louder.
  double row_off = 0, column_off = 0;
  double noise_db = 200;            // Signal to noise.
  bool is_a_law = false;
};

std::vector<int16_t> Make(const std::string& keys, const Tone& tone, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  const double peak = 32124.0 * std::pow(10.0, (tone.level_dbm0 - 3.17) / 20.0);
  const double row_peak = peak * std::pow(10.0, -tone.twist_db / 40.0);
  const double column_peak = peak * std::pow(10.0, tone.twist_db / 40.0);
  const double noise = std::sqrt((row_peak * row_peak + column_peak * column_peak) / 2.0) * std::pow(10.0, -tone.noise_db / 20.0);
  std::vector<int16_t> out(800, 0);
  const auto put = [&](double value) {
    const double sum = value + noise * normal(random);
    const auto sample = static_cast<int16_t>(std::clamp(sum, -32768.0, 32767.0));
    const Law law = tone.is_a_law ? Law::kA : Law::kMu;
    out.push_back(DecodeSample(law, EncodeSample(law, sample)));
  };
  for (const char key : keys) {
    const size_t place = std::string(kPad).find(key);
    const double row = kRows[place / 4] * (1 + tone.row_off) * 2 * std::numbers::pi / 8000;
    const double column = kColumns[place % 4] * (1 + tone.column_off) * 2 * std::numbers::pi / 8000;
    for (int n = 0; n < static_cast<int>(tone.tone_ms * 8); ++n) put(row_peak * std::sin(row * n) + column_peak * std::sin(column * n));
    for (int n = 0; n < static_cast<int>(tone.gap_ms * 8); ++n) put(0);
  }
  for (int n = 0; n < 800; ++n) put(0);
  return out;
}

std::string Hear(const std::vector<int16_t>& samples, size_t frame = 160, std::vector<InbandPress>* ended = nullptr) {
  DtmfDetector detector;
  std::string keys;
  for (size_t at = 0; at < samples.size(); at += frame) {
    const size_t count = std::min(frame, samples.size() - at);
    detector.Feed(std::span(samples.data() + at, count), [&](const InbandPress& press) {
      if (press.begins) keys += kKeys[press.event];
      if (press.ended && ended != nullptr) ended->push_back(press);
    });
  }
  return keys;
}

struct Row {
  const char* name;
  Tone tone;
  bool is_heard;
};

const Row kRowsOfTest[] = {
    {"60 ms on, 60 ms off", {}, true},
    {"A-law", {.is_a_law = true}, true},
    {"40 ms on, 40 ms off (Q.24)", {.tone_ms = 40, .gap_ms = 40}, true},
    {"23 ms on (Q.24 refuses)", {.tone_ms = 23, .gap_ms = 100}, false},
    {"-25 dBm0", {.level_dbm0 = -25}, true},
    {"-60 dBm0", {.level_dbm0 = -60}, false},
    {"twist +6", {.twist_db = 6}, true},
    {"twist -8", {.twist_db = -8}, true},
    {"both 1.5 % off (Q.24)", {.row_off = 0.015, .column_off = 0.015}, true},
    {"row 3.5 % off (Q.24 refuses)", {.row_off = 0.035}, false},
    {"column 3.5 % off (Q.24 refuses)", {.column_off = 0.035}, false},
    {"noise 10 dB below", {.noise_db = 10}, true},
};

}  // namespace

int main() {
  const std::string keys = "1234567890*#ABCD0099887766554433221111";
  for (const Row& row : kRowsOfTest) {
    const std::string heard = Hear(Make(keys, row.tone, 1));
    CHECK(heard == (row.is_heard ? keys : ""));
    if (heard != (row.is_heard ? keys : "")) std::fprintf(stderr, "  in row '%s': %s\n", row.name, heard.c_str());
  }

  // The cutting of the stream into packets changes nothing.
  const auto samples = Make(keys, {}, 2);
  for (const size_t frame : {1u, 7u, 80u, 240u, 480u, 100000u}) CHECK(Hear(samples, frame) == keys);

  // A drop-out of 15 ms within a tone is no second press.
  auto broken = Make("5", {.tone_ms = 150}, 3);
  std::fill(broken.begin() + 800 + 480, broken.begin() + 800 + 600, int16_t{0});
  CHECK(Hear(broken) == "5");

  // Onset, duration and level of a press.
  std::vector<InbandPress> presses;
  Hear(Make("8", {.tone_ms = 100}, 4), 160, &presses);
  CHECK(presses.size() == 1);
  if (presses.size() == 1) {
    CHECK(std::abs(static_cast<double>(presses[0].onset_sample) / 8.0 - 100.0) <= 6.0);
    CHECK(std::abs(presses[0].duration_samples / 8.0 - 100.0) <= 10.0);
    CHECK(std::fabs(presses[0].level_dbm0 - -10.0F) <= 1.5F);   // Two tones of -13 dBm0 are -10 together.
  }

  // Every CPU comes to the same bits, whatever the cutting.
  std::mt19937 bits(6);
  std::vector<int16_t> any(kBlockSamples);
  Wave waves[kBlockSamples];
  for (auto& wave : waves) {
    for (float& value : wave) value = static_cast<float>(bits()) / 4294967296.0F - 0.5F;
  }
  for (size_t count = 0; count <= kBlockSamples; ++count) {
    for (int16_t& sample : any) sample = static_cast<int16_t>(bits() >> 16);
    any[0] = -32768;
    float portable[16], fastest[16];
    for (size_t k = 0; k < 16; ++k) portable[k] = fastest[k] = static_cast<float>(k);
    int64_t portable_energy = 0, fastest_energy = 0;
    CorrelatePortable(any.data(), count, waves, portable, &portable_energy);
    FastestCorrelate()(any.data(), count, waves, fastest, &fastest_energy);
    CHECK(std::memcmp(portable, fastest, sizeof portable) == 0);
    CHECK(portable_energy == fastest_energy);
    if (count == 1) CHECK(portable_energy == int64_t{32768} * 32768);
  }

  // Noise alone says nothing for a minute.
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 3000);
  std::vector<int16_t> noise(8000 * 60);
  for (int16_t& sample : noise) sample = static_cast<int16_t>(std::clamp(normal(random), -32768.0, 32767.0));
  CHECK(Hear(noise).empty());
  return test::Finish();
}
