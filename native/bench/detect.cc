// The in-band detector on a raw file, 16 bit little-endian, 8 kHz, mono: a line "<ms> <key>" for each press, at the time
// of the last sample that the decision used. With REPEATS: what a sample costs instead.
//   detect FILE [REPEATS]
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <vector>

#include "dtmf/detector.h"

using namespace hushtone;

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: detect FILE [REPEATS]\n");
    return 2;
  }
  std::ifstream file(arguments[1], std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<int16_t> samples(bytes.size() / 2);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(static_cast<uint8_t>(bytes[2 * i]) | static_cast<uint8_t>(bytes[2 * i + 1]) << 8);
  }
  const int repeats = count > 2 ? std::atoi(arguments[2]) : 0;
  DtmfDetector detector;
  size_t presses = 0;
  const std::clock_t began = std::clock();
  for (int round = 0; round < (repeats > 0 ? repeats : 1); ++round) {
    for (size_t at = 0; at < samples.size(); at += kBlockSamples) {
      const size_t size = samples.size() - at < kBlockSamples ? samples.size() - at : kBlockSamples;
      detector.Feed(std::span(samples.data() + at, size), [&](const InbandPress& press) {
        if (!press.begins) return;
        ++presses;
        if (repeats == 0) std::printf("%.1f %c\n", static_cast<double>(at + size) / 8.0, "0123456789*#ABCD"[press.event]);
      });
    }
  }
  if (repeats == 0) return 0;
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("{\"nsPerSample\":%.3f,\"presses\":%zu}\n", seconds * 1e9 / repeats / static_cast<double>(samples.size()), presses);
  return 0;
}
