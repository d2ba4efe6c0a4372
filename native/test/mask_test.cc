// The mask on its own: what the attacker, the decoder and a person on the line make of it. Seeds are fixed; the shares
// that decide are those of native/bench/mask on all conditions (docs/masking.md), of which this is a small cut.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "bench/attacker.h"
#include "bench/presses.h"
#include "check.h"
#include "dtmf/detector.h"
#include "mask/mask_line.h"
#include "mask/proof.h"

using namespace hushtone;
using namespace hushtone::bench;

namespace {

using Samples = std::vector<int16_t>;

// Our own recordings, one after the other, through µ-law.
Samples Speech(size_t seconds) {
  std::vector<std::filesystem::path> files;
  const std::filesystem::path prompts = HUSHTONE_SOURCE_DIR "/../prompts/en-US";
  for (const auto& entry : std::filesystem::directory_iterator(prompts)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  Samples speech;
  for (const auto& path : files) {
    if (path.extension() != ".wav" || speech.size() > seconds * 8000) continue;
    std::ifstream file(path, std::ios::binary);
    const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    const size_t data = bytes.find("data");
    if (data == std::string::npos) continue;
    for (size_t at = data + 8; at + 1 < bytes.size(); at += 2) {
      const auto sample = static_cast<int16_t>(static_cast<uint8_t>(bytes[at]) | static_cast<uint8_t>(bytes[at + 1]) << 8);
      speech.push_back(DecodeSample(Law::kMu, EncodeSample(Law::kMu, sample)));
    }
  }
  return speech;
}

Samples Masked(const Samples& said, MaskFill fill) {
  MaskLine line;
  line.Reset(fill);
  line.ArmSilent();
  Samples heard(said);
  heard.resize((said.size() + kMaskDelaySamples + kMaskFrameSamples) / kMaskFrameSamples * kMaskFrameSamples);
  for (size_t at = 0; at < heard.size(); at += kMaskFrameSamples) line.Process(&heard[at], &heard[at]);
  return heard;
}

size_t KeysHeard(const Samples& samples) {
  DtmfDetector detector;
  size_t keys = 0;
  detector.Feed(samples, [&](const InbandPress& press) { keys += press.begins ? 1u : 0u; });
  return keys;
}

void AttackerDoesNoBetterThanChance(const Samples& speech) {
  const PressCondition rows[] = {
      {.name = "60 ms"},
      {.name = "15 ms", .on_ms = 15},
      {.name = "-60 dBm0", .level_dbm0 = -60},
      {.name = "3.5 % off", .offset = 0.035},
      {.name = "noise 4 dB under", .snr_db = 4},
      {.name = "speech 6 dB under", .on_ms = 80, .tones_over_speech_db = 6},
      {.name = "clipped", .clip_db = 20},
      {.name = "bouncing", .on_ms = 45, .bounce_ms = 15},
      {.name = "row only", .column_db = -99},
      {.name = "concealed after its end", .off_ms = 110, .conceal = 1},
  };
  constexpr size_t kPresses = 96;
  size_t count = 0;
  size_t masked = 0;
  size_t open = 0;
  PressMaker maker(4, speech);
  for (const PressCondition& row : rows) {
    const Presses presses = maker.Make(row, kPresses);
    const MaskFill fill = static_cast<MaskFill>(count / kPresses % 3);
    const Samples heard = Masked(presses.samples, fill);
    Attacker attacker;
    size_t recovered = 0;
    for (const AttackedPress& press : presses.truth) {
      recovered += attacker.Guess(heard, press, kMaskDelayMs) == press.key ? 1u : 0u;
      if (row.column_db > -90) open += attacker.Guess(presses.samples, press, 0) == press.key ? 1u : 0u;
    }
    const size_t keys = KeysHeard(heard);
    std::printf("%-24s attacker %zu of %zu, decoder %zu\n", row.name, recovered, presses.truth.size(), keys);
    CHECK(keys == 0);
    masked += recovered;
    count += presses.truth.size();
  }
  const double share = static_cast<double>(masked) / static_cast<double>(count);
  const double limit = 0.0625 + 3 * std::sqrt(0.0625 * 0.9375 / static_cast<double>(count));
  std::printf("attacker %.2f %% of %zu, limit %.2f %%; without the mask %zu\n", 100 * share, count, 100 * limit, open);
  CHECK(share <= limit);
  CHECK(open > count * 8 / 10);   // Or the attacker is no attacker.
}

void SpeechComesThroughAsItWas(const Samples& speech) {
  const Samples heard = Masked(speech, MaskFill::kNoise);
  size_t frames = 0;
  size_t altered = 0;
  for (size_t at = 0; at + kMaskFrameSamples <= speech.size(); at += kMaskFrameSamples, ++frames) {
    const bool same = std::equal(&speech[at], &speech[at] + kMaskFrameSamples, &heard[at + kMaskDelaySamples]);
    altered += same ? 0u : 1u;
  }
  std::printf("speech: %zu of %zu frames altered\n", altered, frames);
  CHECK(frames > 3000);
  CHECK(altered * 100 <= frames);
}

// A voice of 130 Hz whose every sample tells which one it is, nearly.
Samples Voice(size_t frames) {
  Samples voice;
  for (size_t n = 0; n < frames * kMaskFrameSamples; ++n) {
    const double t = static_cast<double>(n) / 8000;
    const double loud = 1 + 0.3 * std::sin(2 * M_PI * 3 * t);
    double sample = 0;
    for (int harmonic = 1; harmonic <= 12; ++harmonic) sample += std::sin(2 * M_PI * 130 * harmonic * t) / harmonic;
    voice.push_back(static_cast<int16_t>(4000 * loud * sample));
  }
  return voice;
}

int Steepest(const Samples& samples, size_t from) {
  int most = 0;
  for (size_t n = from + 1; n < samples.size(); ++n) most = std::max(most, std::abs(samples[n] - samples[n - 1]));
  return most;
}

void ArmingNeitherClicksNorLosesAWord() {
  const Samples voice = Voice(160);
  MaskLine line;
  Samples heard(voice);
  size_t armed_at = 0;
  size_t open_at = 0;
  size_t delay = 0;
  for (size_t frame = 0; frame < 160; ++frame) {
    if (frame == 20) line.Arm();
    if (frame == 90) line.Disarm();
    line.Process(&voice[frame * kMaskFrameSamples], &heard[frame * kMaskFrameSamples]);
    // Each step puts in or leaves out one period at most: nothing is heard twice or lost that is longer.
    const size_t step = line.delay_samples() > delay ? line.delay_samples() - delay : delay - line.delay_samples();
    CHECK(step <= 120);
    delay = line.delay_samples();
    if (armed_at == 0 && line.state() == MaskState::kArmed) armed_at = frame;
    if (frame > 90 && open_at == 0 && line.state() == MaskState::kOpen) open_at = frame;
  }
  std::printf("armed after %zu ms, open after %zu ms; steepest step %d of %d\n", (armed_at - 20 + 1) * 20, (open_at - 90 + 1) * 20,
              Steepest(heard, 0), Steepest(voice, 0));
  CHECK(armed_at > 20 && (armed_at - 20 + 1) * 20 <= kMaskArmMsMax);
  CHECK(open_at > 90 && (open_at - 90 + 1) * 20 <= kMaskArmMsMax);
  CHECK(Steepest(heard, 0) <= Steepest(voice, 0) * 11 / 10);
  const auto same = [&](size_t from, size_t to, size_t late) {
    const int16_t* first = &heard[from * kMaskFrameSamples];
    return std::equal(first, first + (to - from) * kMaskFrameSamples, &voice[from * kMaskFrameSamples - late]);
  };
  CHECK(same(0, 20, 0));
  CHECK(same(armed_at + 2, 90, kMaskDelaySamples));
  CHECK(same(open_at + 2, 160, 0));
}

void KeysWhileArmingAndDisarmingAreMaskedAsFarAsTheDelayReaches() {
  // A key that begins as soon as the line is armed is gone altogether; one after the line is open again is nobody's.
  PressMaker maker(7, {});
  const Presses presses = maker.Make({.name = "one", .on_ms = 100}, 16);
  MaskLine line;
  Samples heard(presses.samples);
  heard.resize(heard.size() / kMaskFrameSamples * kMaskFrameSamples);
  line.Arm();
  bool was_armed = false;
  for (size_t at = 0; at < heard.size(); at += kMaskFrameSamples) {
    line.Process(&heard[at], &heard[at]);
    if (!was_armed && line.state() == MaskState::kArmed) {
      was_armed = true;
      CHECK(at < 4000 + 480);   // Within the half second of silence and the delay.
    }
  }
  CHECK(was_armed);
  CHECK(KeysHeard(heard) == 0);
  CHECK(KeysHeard(presses.samples) == 16);
}

void FillsAreWhatTheyAreCalled() {
  PressMaker maker(9, {});
  const Presses presses = maker.Make({.name = "long", .on_ms = 200, .off_ms = 100, .snr_db = 30}, 16);
  double rms[3]{};
  for (size_t i = 0; i < 3; ++i) {
    const Samples heard = Masked(presses.samples, static_cast<MaskFill>(i));
    double energy = 0;
    size_t count = 0;
    for (const AttackedPress& press : presses.truth) {
      const auto from = static_cast<size_t>((press.onset_ms + 20 + kMaskDelayMs) * 8);
      for (size_t n = from; n < from + 1200; ++n, ++count) energy += static_cast<double>(heard[n]) * heard[n];
    }
    rms[i] = std::sqrt(energy / static_cast<double>(count));
  }
  std::printf("fill: silence %.1f, tone %.1f, noise %.1f\n", rms[0], rms[1], rms[2]);
  CHECK(rms[0] == 0);
  CHECK(rms[1] > 900 && rms[1] < 1100);   // -24 dBm0.
  CHECK(rms[2] > 60 && rms[2] <= 100);    // The background is -40 dBm0, and no noise louder than -45 dBm0 is made.
}

void TheProofPassesAnArmedLineOnly() {
  for (const MaskFill fill : {MaskFill::kSilence, MaskFill::kTone, MaskFill::kNoise}) {
    MaskLine line;
    line.Reset(fill);
    line.ArmSilent();
    MaskProof proof;
    proof.Begin();
    CHECK(proof.Step(line, 4) == ProofResult::kRunning);
    CHECK(proof.Step(line, 1000) == ProofResult::kProven);
  }
  MaskLine open;
  MaskProof proof;
  proof.Begin();
  CHECK(proof.Step(open, 1000) == ProofResult::kSpeechAltered);   // Not as late as it says.
}

void WipedMarksAreSilence() {
  MaskLine line;
  line.ArmSilent();
  Samples tone(kMaskFrameSamples);
  for (size_t frame = 0; frame < 10; ++frame) {
    for (size_t i = 0; i < tone.size(); ++i) {
      const double t = static_cast<double>(frame * kMaskFrameSamples + i) / 8000;
      tone[i] = static_cast<int16_t>(7000 * (std::sin(2 * M_PI * 770 * t) + std::sin(2 * M_PI * 1336 * t)));
    }
    line.Process(tone.data(), tone.data());
  }
  line.WipeMarked();
  const auto* bytes = reinterpret_cast<const int16_t*>(&line);
  const auto loud = std::count_if(bytes, bytes + kMaskDelaySamples + kMaskFrameSamples, [](int16_t value) { return value > 10000 || value < -10000; });
  std::printf("loud samples left: %td\n", loud);
  CHECK(loud < 240);   // Only what is too new to be judged.
}

void EveryPathOfTheBankComesToTheSameBits(const Samples& speech) {
  ToneBank fastest;
  ToneBank portable(BankPath::kPortable);
  BankBlock one[kBankBlocks];
  BankBlock other[kBankBlocks];
  const BankBlock* blocks[kBankWindowBlocks];
  for (size_t i = 0; i < kBankWindowBlocks; ++i) blocks[i] = &one[i];
  bool same = true;
  for (size_t at = 0; at + kBankFrameSamples <= speech.size(); at += kBankFrameSamples) {
    const std::span<const int16_t, kBankFrameSamples> frame(&speech[at], kBankFrameSamples);
    fastest.Push(frame, one);
    portable.Push(frame, other);
    BankWindow window;
    BankWindow portable_window;
    MakeBankWindow(blocks, &window);
    MakeBankWindow(blocks, &portable_window, BankPath::kPortable);
    for (size_t i = 0; i < kBankBlocks; ++i) {
      same = same && std::memcmp(one[i].re, other[i].re, sizeof one[i].re) == 0 &&
             std::memcmp(one[i].im, other[i].im, sizeof one[i].im) == 0 && one[i].band == other[i].band && one[i].total == other[i].total;
    }
    same = same && window.band == portable_window.band &&
           std::memcmp(window.power, portable_window.power, sizeof window.power) == 0;
  }
  CHECK(same);
}

}  // namespace

int main() {
  const Samples speech = Speech(90);
  AttackerDoesNoBetterThanChance(speech);
  SpeechComesThroughAsItWas(speech);
  ArmingNeitherClicksNorLosesAWord();
  KeysWhileArmingAndDisarmingAreMaskedAsFarAsTheDelayReaches();
  FillsAreWhatTheyAreCalled();
  TheProofPassesAnArmedLineOnly();
  WipedMarksAreSilence();
  EveryPathOfTheBankComesToTheSameBits(speech);
  return hushtone::test::Finish();
}
