// The mask on raw files, 16 bit little-endian, 8 kHz, mono, as they come out of G.711.
//   mask line FILE OUT.raw [silence|tone|noise]   the masked line, kMaskDelayMs late
//   mask speech FILE...                           what it costs speech: one JSON object
//   mask attack HEARD.raw TRUTH LATENCY_MS        the attacker on one file, in attack.py's words
//   mask attack-all FOLDER [silence|tone|noise]   every NAME.raw of the folder masked and attacked: one JSON object a line
//   mask cost FILE                                what a frame costs
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <sstream>
#include <string>
#include <vector>

#include "bench/attacker.h"
#include "bench/raw.h"
#include "call/mask_pool.h"
#include "dtmf/detector.h"
#include "mask/mask_line.h"

using namespace hushtone;
using hushtone::bench::AttackedPress;
using hushtone::bench::Attacker;
using hushtone::bench::ReadRaw;
using hushtone::bench::WriteRaw;

namespace {

using Samples = std::vector<int16_t>;

std::vector<AttackedPress> ReadTruth(const std::string& path) {
  std::vector<AttackedPress> presses;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    AttackedPress press;
    if (words >> press.onset_ms >> press.offset_ms >> press.key) presses.push_back(press);
  }
  return presses;
}

MaskFill FillOf(const std::string& name) {
  return name == "silence" ? MaskFill::kSilence : name == "tone" ? MaskFill::kTone : MaskFill::kNoise;
}

// All of `in`, and the delay behind it.
Samples Masked(const Samples& in, MaskFill fill, MaskCounters* counters) {
  MaskLine line;
  line.Reset(fill);
  line.ArmSilent();
  Samples padded(in);
  padded.resize((in.size() / kMaskFrameSamples + 1) * kMaskFrameSamples + kMaskDelaySamples);
  for (size_t at = 0; at + kMaskFrameSamples <= padded.size(); at += kMaskFrameSamples) line.Process(&padded[at], &padded[at]);
  padded.resize(padded.size() / kMaskFrameSamples * kMaskFrameSamples);
  if (counters != nullptr) *counters = line.counters();
  return padded;
}

// Frames of 20 ms that are not what was said kMaskDelayMs before; the longest gap in them in ms.
void CountAltered(const Samples& said, const Samples& heard, uint64_t* altered, uint64_t* frames, uint64_t* longest_ms) {
  uint64_t gap = 0;
  const size_t size = std::min(said.size(), heard.size() - kMaskDelaySamples);
  for (size_t at = 0; at + kMaskFrameSamples <= size; at += kMaskFrameSamples) {
    bool differs = false;
    for (size_t i = 0; i < kMaskFrameSamples; ++i) {
      const bool same = said[at + i] == heard[at + i + kMaskDelaySamples];
      differs = differs || !same;
      gap = same && (said[at + i] != 0) ? 0 : gap + (same ? 0 : 1);
      *longest_ms = std::max(*longest_ms, gap / 8);
    }
    *altered += differs ? 1 : 0;
    ++*frames;
  }
}

// How much of the press's own two tones is in `heard`: the energy of its projection on them, whatever their phase.
double Residue(std::span<const int16_t> heard, const AttackedPress& press, double latency_ms) {
  constexpr double kRow[4] = {697, 770, 852, 941};
  constexpr double kColumn[4] = {1209, 1336, 1477, 1633};
  const size_t key = std::string("123A456B789C*0#D").find(press.key);
  const auto from = static_cast<size_t>((press.onset_ms + latency_ms) * 8);
  const auto to = std::min(heard.size(), static_cast<size_t>((press.offset_ms + latency_ms) * 8));
  if (from >= to) return 0;
  double energy = 0;
  for (const double hz : {kRow[key / 4], kColumn[key % 4]}) {
    double re = 0;
    double im = 0;
    for (size_t n = from; n < to; ++n) {
      const double turn = 2 * std::numbers::pi * hz / 8000 * static_cast<double>(n);
      re += heard[n] * std::cos(turn);
      im += heard[n] * std::sin(turn);
    }
    energy += 2 * (re * re + im * im) / static_cast<double>(to - from);
  }
  return energy;
}

size_t Detected(const Samples& samples) {
  DtmfDetector detector;
  size_t presses = 0;
  detector.Feed(samples, [&](const InbandPress& press) { presses += press.begins ? 1 : 0; });
  return presses;
}

int Attack(const Samples& heard, const std::vector<AttackedPress>& presses, double latency_ms) {
  Attacker attacker;
  size_t recovered = 0;
  size_t count = 0;
  for (const AttackedPress& press : presses) {
    const char key = attacker.Guess(heard, press, latency_ms);
    if (key == '?') break;
    ++count;
    recovered += key == press.key ? 1u : 0u;
  }
  std::printf("recovered %zu/%zu = %.1f%% (chance 6.25%%), loudest dtmf-band amplitude %.1f dBFS\n", recovered, count,
              100.0 * static_cast<double>(recovered) / static_cast<double>(std::max<size_t>(1, count)), attacker.LoudestDbfs());
  return 0;
}

int AttackAll(const std::string& folder, MaskFill fill) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".truth") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    const Samples said = ReadRaw(folder + "/" + name + ".raw");
    const Samples heard = Masked(said, fill, nullptr);
    Attacker attacker;
    size_t recovered = 0;
    size_t count = 0;
    size_t readable = 0;
    double before = 0;
    double after = 0;
    for (const AttackedPress& press : ReadTruth(folder + "/" + name + ".truth")) {
      const char key = attacker.Guess(heard, press, kMaskDelayMs);
      if (key == '?') break;
      ++count;
      recovered += key == press.key ? 1u : 0u;
      readable += Attacker().Guess(said, press, 0) == press.key ? 1u : 0u;
      before += Residue(said, press, 0);
      after += Residue(heard, press, kMaskDelayMs);
    }
    std::printf("{\"name\":\"%s\",\"presses\":%zu,\"recovered\":%zu,\"unmasked\":%zu,\"detected\":%zu,\"residueDb\":%.1f}\n", name.c_str(), count,
                recovered, readable, Detected(heard), 10 * std::log10((after + 1e-3) / (before + 1e-3)));
  }
  return 0;
}

int Speech(int count, char** files) {
  for (int i = 0; i < count; ++i) {
    const Samples said = ReadRaw(files[i]);
    uint64_t altered = 0;
    uint64_t frames = 0;
    uint64_t longest_ms = 0;
    MaskCounters counters;
    CountAltered(said, Masked(said, MaskFill::kNoise, &counters), &altered, &frames, &longest_ms);
    std::printf("{\"name\":\"%s\",\"frames\":%llu,\"altered\":%llu,\"masked\":%llu,\"longestMs\":%u}\n",
                std::filesystem::path(files[i]).stem().string().c_str(), static_cast<unsigned long long>(frames),
                static_cast<unsigned long long>(altered), static_cast<unsigned long long>(counters.frames_masked), counters.longest_ms);
  }
  return 0;
}

int Cost(const Samples& in) {
  MaskLine line;
  line.ArmSilent();
  int16_t out[kMaskFrameSamples];
  size_t frames = 0;
  const std::clock_t began = std::clock();
  for (size_t at = 0; at + kMaskFrameSamples <= in.size(); at += kMaskFrameSamples, ++frames) line.Process(&in[at], out);
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("{\"nsPerFrame\":%.1f,\"bytes\":%zu,\"delayMs\":%u}\n", seconds * 1e9 / static_cast<double>(frames), sizeof(Mask), kMaskDelayMs);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string verb = count > 2 ? arguments[1] : "";
  if (verb == "line" && count >= 4) {
    WriteRaw(arguments[3], Masked(ReadRaw(arguments[2]), FillOf(count > 4 ? arguments[4] : "noise"), nullptr));
    return 0;
  }
  if (verb == "speech") return Speech(count - 2, arguments + 2);
  if (verb == "attack" && count == 5) return Attack(ReadRaw(arguments[2]), ReadTruth(arguments[3]), std::atof(arguments[4]));
  if (verb == "attack-all") return AttackAll(arguments[2], FillOf(count > 3 ? arguments[3] : "noise"));
  if (verb == "cost") return Cost(ReadRaw(arguments[2]));
  std::fprintf(stderr, "usage: mask line|speech|attack|attack-all|cost ...\n");
  return 2;
}
