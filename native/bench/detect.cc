// The in-band detector on a raw file, 16 bit little-endian, 8 kHz, mono: a line "<ms> <key>" for each press, at the time
// of the last sample that the decision used. With REPEATS: what a sample costs in packets of 20 ms instead. CPU is portable,
// avx2 or avx512; else the fastest there is.
//   detect FILE [REPEATS [CPU]]          REPEATS 0: presses
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <vector>

#include "bench/raw.h"
#include "dtmf/detector.h"

using namespace hushtone;

namespace {
constexpr size_t kPacketSamples = 160;
}

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: detect FILE [REPEATS [CPU]]\n");
    return 2;
  }
  const std::vector<int16_t> samples = bench::ReadRaw(arguments[1]);
  const int repeats = count > 2 ? std::atoi(arguments[2]) : 0;
  const std::string_view cpu = count > 3 ? arguments[3] : "";
  DtmfDetector detector(cpu == "portable" ? Cpu::kPortable : cpu == "avx2" ? Cpu::kAvx2 : cpu == "avx512" ? Cpu::kAvx512 : FastestCpu());
  if (repeats == 0) {
    for (size_t at = 0; at < samples.size(); at += kBlockSamples) {
      const size_t size = std::min(samples.size() - at, kBlockSamples);
      detector.Feed(std::span(samples.data() + at, size), [&](const InbandPress& press) {
        if (press.begins) std::printf("%.1f %c\n", static_cast<double>(at + size) / 8.0, "0123456789*#ABCD"[press.event]);
      });
    }
    return 0;
  }
  size_t presses = 0;
  const std::clock_t began = std::clock();
  for (int round = 0; round < repeats; ++round) {
    for (size_t at = 0; at + kPacketSamples <= samples.size(); at += kPacketSamples) {
      detector.Feed(std::span(samples.data() + at, kPacketSamples), [&](const InbandPress& press) { presses += press.begins ? 1 : 0; });
    }
  }
  const double seconds = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  std::printf("{\"nsPerSample\":%.3f,\"presses\":%zu}\n", seconds * 1e9 / repeats / static_cast<double>(samples.size()), presses);
  return 0;
}
