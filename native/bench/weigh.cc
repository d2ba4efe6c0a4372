// What the in-band detector measures in a raw file (16 bit little-endian, 8 kHz, mono), for the fit of its score: for each
// block in which a run of candidates is as long as a press may be, a record of floats on standard output: time in ms,
// event, candidate windows, key pressed (1), none (0) or nobody can say (-1), then the measures.
//   weigh FILE [TRUTH]        TRUTH: lines "<onset_ms> <offset_ms> <key>", " ?" after those that nobody must hear.
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "bench/raw.h"
#include "dtmf/detector.h"

using namespace hushtone;

namespace {

constexpr char kKeyAt[] = "123A456B789C*0#D";
constexpr uint32_t kHopsFirst = 5, kHopsLast = 40;

struct Press {
  double onset_ms, offset_ms;
  char key;
  bool is_asked;
};

std::vector<Press> ReadTruth(const char* path) {
  std::vector<Press> presses;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    Press press{};
    std::string optional;
    words >> press.onset_ms >> press.offset_ms >> press.key;
    press.is_asked = !(words >> optional);
    presses.push_back(press);
  }
  return presses;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: weigh FILE [TRUTH]\n");
    return 2;
  }
  const std::vector<int16_t> samples = bench::ReadRaw(arguments[1]);
  const std::vector<Press> truth = count > 2 ? ReadTruth(arguments[2]) : std::vector<Press>{};
  size_t at_press = 0;
  DtmfDetector detector;
  for (size_t at = 0; at + kBlockSamples <= samples.size(); at += kBlockSamples) {
    detector.Feed(std::span(samples.data() + at, kBlockSamples), [](const InbandPress&) {});
    const Run* run = detector.HeardRun();
    if (run == nullptr || run->hops < kHopsFirst || run->hops > kHopsLast) continue;
    const double now_ms = static_cast<double>(at + kBlockSamples) / 8.0;
    while (at_press + 1 < truth.size() && truth[at_press + 1].onset_ms < now_ms) ++at_press;
    const char key = kKeyAt[run->row * 4 + run->column];
    float label = 0;
    if (at_press < truth.size() && now_ms > truth[at_press].onset_ms && now_ms < truth[at_press].offset_ms + 30.0) {
      label = truth[at_press].key == key && truth[at_press].is_asked ? 1.0F : -1.0F;
    }
    const Evidence evidence = Weigh(detector.spectrum(), *run);
    const float head[] = {static_cast<float>(now_ms), static_cast<float>(key), static_cast<float>(run->hops), label};
    std::fwrite(head, sizeof head, 1, stdout);
    std::fwrite(evidence.data(), sizeof evidence, 1, stdout);
  }
  return 0;
}
