// The in-band detector on tones made here: what ITU-T Q.24 wants operated and refused.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
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
  double dial_dbm0 = -200;          // 350 and 440 Hz, each.
  double prompt_db = 200;           // Both tones above the active level of one of our prompts.
  double hole_ms = 0;               // Silence in the middle of the tone.
  bool is_a_law = false;
};

// One of the repository's prompts, scaled to a mean square of 1 where it speaks.
std::vector<double> Prompt() {
  std::ifstream file(std::string(HUSHTONE_SOURCE_DIR) + "/../prompts/en-US/agent-will-check.wav", std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  CHECK(bytes.size() > 80000);      // 8 kHz, 16 bit, behind 44 bytes of head.
  std::vector<double> samples;
  for (size_t at = 44; at + 1 < bytes.size(); at += 2) {
    samples.push_back(static_cast<int16_t>(static_cast<uint8_t>(bytes[at]) | static_cast<uint8_t>(bytes[at + 1]) << 8));
  }
  double squares = 0, active = 0;
  for (size_t at = 0; at + 160 <= samples.size(); at += 160) {
    double frame = 0;
    for (size_t n = at; n < at + 160; ++n) frame += samples[n] * samples[n];
    if (frame / 160 <= 1e4) continue;
    squares += frame;
    active += 160;
  }
  for (double& sample : samples) sample /= std::sqrt(squares / active);
  return samples;
}

std::vector<int16_t> Make(const std::string& keys, const Tone& tone, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  const double peak = 32124.0 * std::pow(10.0, (tone.level_dbm0 - 3.17) / 20.0);
  const double row_peak = peak * std::pow(10.0, -tone.twist_db / 40.0);
  const double column_peak = peak * std::pow(10.0, tone.twist_db / 40.0);
  const double both = std::sqrt((row_peak * row_peak + column_peak * column_peak) / 2.0);
  const double noise = both * std::pow(10.0, -tone.noise_db / 20.0);
  const double dial = 32124.0 * std::pow(10.0, (tone.dial_dbm0 - 3.17) / 20.0);
  const double prompt_level = both * std::pow(10.0, -tone.prompt_db / 20.0);
  const std::vector<double> prompt = tone.prompt_db < 100 ? Prompt() : std::vector<double>{0.0};
  std::vector<int16_t> out(800, 0);
  const auto put = [&](double value) {
    const double time = 2 * std::numbers::pi * static_cast<double>(out.size()) / 8000;
    const double under = dial * (std::sin(350 * time) + std::sin(440 * time)) + prompt_level * prompt[out.size() % prompt.size()];
    const double sum = value + noise * normal(random) + under;
    const auto sample = static_cast<int16_t>(std::clamp(sum, -32768.0, 32767.0));
    const Law law = tone.is_a_law ? Law::kA : Law::kMu;
    out.push_back(DecodeSample(law, EncodeSample(law, sample)));
  };
  for (const char key : keys) {
    const size_t place = std::string(kPad).find(key);
    const double row = kRows[place / 4] * (1 + tone.row_off) * 2 * std::numbers::pi / 8000;
    const double column = kColumns[place % 4] * (1 + tone.column_off) * 2 * std::numbers::pi / 8000;
    for (int n = 0; n < static_cast<int>(tone.tone_ms * 8); ++n) {
      const bool is_hole = std::fabs(n - tone.tone_ms * 4) < tone.hole_ms * 4;
      put(is_hole ? 0 : row_peak * std::sin(row * n) + column_peak * std::sin(column * n));
    }
    for (int n = 0; n < static_cast<int>(tone.gap_ms * 8); ++n) put(0);
  }
  for (int n = 0; n < 800; ++n) put(0);
  return out;
}

std::string Hear(const std::vector<int16_t>& samples, size_t frame = 160, std::vector<InbandPress>* ended = nullptr,
                 Cpu cpu = FastestCpu()) {
  DtmfDetector detector(cpu);
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

// With these packets of 20 ms lost, each told in pieces of `piece` samples.
std::string HearWithout(const std::vector<int16_t>& samples, const std::vector<size_t>& lost, size_t piece = 160, Cpu cpu = FastestCpu()) {
  constexpr size_t kPacket = 160;
  DtmfDetector detector(cpu);
  std::string keys;
  size_t ended = 0;
  const auto hear = [&](const InbandPress& press) {
    if (press.begins) keys += kKeys[press.event];
    ended += press.ended ? 1u : 0u;
  };
  for (size_t at = 0; at + kPacket <= samples.size(); at += kPacket) {
    if (std::find(lost.begin(), lost.end(), at / kPacket) == lost.end()) {
      detector.Feed(std::span(samples.data() + at, kPacket), hear);
    } else {
      for (size_t missed = 0; missed < kPacket; missed += piece) detector.Miss(std::min(piece, kPacket - missed), hear);
    }
  }
  CHECK(ended == keys.size());      // All are followed by silence.
  CHECK(detector.samples_fed() == samples.size() / kPacket * kPacket);
  return keys;
}

// The tone begins with packet 5, the press before it ends with packet 4 at the latest.
void WhatDidNotComeIsNeitherToneNorEnd() {
  const auto tone = Make("5", {.tone_ms = 120}, 8);
  for (size_t first = 4; first < 12; ++first) {
    for (size_t count = 1; count <= 3; ++count) {
      std::vector<size_t> lost;
      for (size_t i = 0; i < count; ++i) lost.push_back(first + i);
      const std::string heard = HearWithout(tone, lost);
      CHECK(heard == "5");
      for (const size_t piece : {1u, 7u, 40u}) CHECK(HearWithout(tone, lost, piece) == heard);
      for (const Cpu cpu : {Cpu::kPortable, Cpu::kAvx2, Cpu::kAvx512}) CHECK(HearWithout(tone, lost, 160, cpu) == heard);
    }
  }
  // Both frequencies 1.5 % off turn by 40 degrees in a block: the gap's blocks count in the phase.
  const auto off = Make("5", {.tone_ms = 120, .row_off = 0.015, .column_off = -0.015}, 8);
  for (size_t first = 5; first < 10; ++first) CHECK(HearWithout(off, {first}) == "5");
  const auto too_far = Make("5", {.tone_ms = 120, .row_off = 0.035, .column_off = 0.035}, 8);
  for (size_t first = 5; first < 10; ++first) CHECK(HearWithout(too_far, {first}).empty());
  // No tone is longer for what did not come.
  const auto brief = Make("5", {.tone_ms = 23, .gap_ms = 100}, 9);
  for (size_t first = 3; first < 8; ++first) CHECK(HearWithout(brief, {first}).empty());
  // A pause of which something came ends a press; so does a loss that none outlasts.
  CHECK(HearWithout(Make("55", {.tone_ms = 60, .gap_ms = 100}, 10), {8, 9}) == "55");
  CHECK(HearWithout(Make("55", {.tone_ms = 60, .gap_ms = 100}, 10), {8, 9, 10, 11}) == "55");
  // An odd rest of a packet spoils the block that it is in and no more.
  DtmfDetector detector;
  std::string keys;
  const auto hear = [&](const InbandPress& press) { keys += press.begins ? std::string(1, kKeys[press.event]) : ""; };
  detector.Feed(std::span(tone).first(790), hear);
  detector.Miss(13, hear);
  detector.Feed(std::span(tone).subspan(803), hear);
  CHECK(keys == "5" && detector.samples_fed() == tone.size());
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
    {"45 ms on, 35 ms off", {.tone_ms = 45, .gap_ms = 35}, true},
    {"15 ms on (Q.24 refuses)", {.tone_ms = 15, .gap_ms = 80}, false},
    {"20 ms on (Q.24 refuses)", {.tone_ms = 20, .gap_ms = 80}, false},
    {"23 ms on (Q.24 refuses)", {.tone_ms = 23, .gap_ms = 100}, false},
    {"5 ms drop-out", {.tone_ms = 100, .hole_ms = 5}, true},
    {"10 ms drop-out (Q.24: one press)", {.tone_ms = 100, .hole_ms = 10}, true},
    {"20 ms drop-out, a lost packet", {.tone_ms = 100, .hole_ms = 20}, true},
    {"-25 dBm0", {.level_dbm0 = -25}, true},
    {"-60 dBm0", {.level_dbm0 = -60}, false},
    {"twist +6", {.twist_db = 6}, true},
    {"twist -8", {.twist_db = -8}, true},
    {"both 1.5 % off (Q.24)", {.row_off = 0.015, .column_off = 0.015}, true},
    {"both 1.8 % off", {.row_off = -0.018, .column_off = 0.018}, true},
    {"both 3.5 % off (Q.24 refuses)", {.row_off = 0.035, .column_off = -0.035}, false},
    {"both 5 % off", {.row_off = 0.05, .column_off = 0.05}, false},
    {"row 3.5 % off (Q.24 refuses)", {.row_off = 0.035}, false},
    {"column 3.5 % off (Q.24 refuses)", {.column_off = 0.035}, false},
    {"noise 10 dB below", {.noise_db = 10}, true},
    {"noise 6 dB below", {.noise_db = 6}, true},
    {"the legal worst together", {.tone_ms = 45, .gap_ms = 45, .level_dbm0 = -25, .twist_db = -6, .row_off = 0.012, .column_off = -0.012,
                                  .noise_db = 15}, true},
    {"dial tone at -13 dBm0 under it", {.tone_ms = 80, .level_dbm0 = -10, .dial_dbm0 = -13}, true},
    {"our prompt 12 dB under it", {.tone_ms = 80, .prompt_db = 12}, true},
    {"our prompt 8 dB under it", {.tone_ms = 80, .prompt_db = 8}, true},
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

  WhatDidNotComeIsNeitherToneNorEnd();

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

  // Every CPU comes to the same bits, at full scale too, and decides the same.
  std::mt19937 bits(6);
  for (const Cpu cpu : {Cpu::kAvx2, Cpu::kAvx512}) {
    Spectrum portable, other;
    ResetSpectrum(portable);
    ResetSpectrum(other);
    for (int block = 0; block < 2000; ++block) {
      int16_t any[kBlockSamples];
      for (int16_t& sample : any) sample = static_cast<int16_t>(bits() >> 16);
      if (block % 5 == 1) std::fill(any, any + kBlockSamples, int16_t{-32768});
      if (block % 5 == 2) for (size_t n = 0; n < kBlockSamples; ++n) any[n] = n / 2 % 2 == 0 ? 32767 : -32768;
      TakeBlockOn(Cpu::kPortable)(any, portable);
      TakeBlockOn(cpu)(any, other);
      const size_t last = (portable.blocks - 1) % kRingBlocks;
      CHECK(portable.ring.tone[last].re == other.ring.tone[last].re && portable.ring.tone[last].im == other.ring.tone[last].im);
      CHECK(portable.ring.energy[last] == other.ring.energy[last]);
      CHECK(portable.ring.band_energy[last] == other.ring.band_energy[last]);
      CHECK(portable.power == other.power && portable.energy == other.energy && portable.band_energy == other.band_energy);
      CHECK(portable.row.index == other.row.index && portable.row.other == other.row.other);
      CHECK(portable.column.index == other.column.index && portable.column.power == other.column.power);
      CHECK(portable.rotation.re == other.rotation.re && portable.rotation.im == other.rotation.im);
      if (block % 5 == 1) CHECK(portable.ring.energy[last] == 40.0F * 32768.0F * 32768.0F && portable.ring.band_energy[last] == 0.0F);
    }
    const auto noisy = Make(keys, {.noise_db = 5}, 7);
    CHECK(Hear(noisy, 160, nullptr, cpu) == Hear(noisy, 160, nullptr, Cpu::kPortable));
  }

  // Noise alone says nothing for a minute.
  std::mt19937 random(5);
  std::normal_distribution<double> normal(0, 3000);
  std::vector<int16_t> noise(8000 * 60);
  for (int16_t& sample : noise) sample = static_cast<int16_t>(std::clamp(normal(random), -32768.0, 32767.0));
  CHECK(Hear(noise).empty());
  return test::Finish();
}
