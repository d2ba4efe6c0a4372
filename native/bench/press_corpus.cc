// The conditions of presses.h as files: one s16le 8 kHz NAME.raw and one NAME.truth ("<onset_ms> <offset_ms> <key>") each.
//   press_corpus FOLDER SEED SPEECH.raw
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "bench/presses.h"
#include "bench/raw.h"

using namespace hushtone::bench;

namespace {

constexpr size_t kPresses = 960;
constexpr size_t kSpeechSamplesMin = 20 * 8000;

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: press_corpus FOLDER SEED SPEECH.raw\n");
    return 2;
  }
  const std::vector<int16_t> speech = ReadRaw(arguments[3]);
  if (speech.size() < kSpeechSamplesMin) {
    std::fprintf(stderr, "press_corpus: %s has less than 20 s of speech\n", arguments[3]);
    return 2;
  }
  PressMaker maker(std::strtoull(arguments[2], nullptr, 10), speech);
  for (const PressCondition& condition : kPressConditions) {
    const Presses presses = maker.Make(condition, kPresses);
    const std::string path = std::string(arguments[1]) + "/" + condition.name;
    WriteRaw(path + ".raw", presses.samples);
    std::ofstream truth(path + ".truth");
    for (const AttackedPress& press : presses.truth) {
      char line[64];
      std::snprintf(line, sizeof line, "%.1f %.1f %c\n", press.onset_ms, press.offset_ms, press.key);
      truth << line;
    }
  }
  return 0;
}
