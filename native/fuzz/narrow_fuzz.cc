// libFuzzer entry of recordings of any sample rate: the first byte chooses the rate, the second the pieces; 8 kHz come out, as
// many samples as the recording lasts, the same in any pieces.
#include <cstdlib>
#include <iterator>
#include <vector>

#include "audio/narrow.h"
#include "fuzz/fuzz_input.h"

using namespace hushtone;

namespace {

// Those that recordings have, and some whose ratio to 8 kHz is less simple; one that takes 8,000 filters takes a second.
constexpr uint32_t kRates[] = {100, 1000, 4000, 6000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000, 8050, 12340};

std::vector<int16_t> Narrow(std::span<const int16_t> samples, uint32_t rate, size_t piece) {
  Narrower narrower(rate);
  std::vector<int16_t> out;
  for (size_t at = 0; at < samples.size(); at += piece) narrower.Feed(samples.subspan(at, std::min(piece, samples.size() - at)), &out);
  narrower.Finish(&out);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint32_t rate = kRates[input.Byte() % std::size(kRates)];
  const size_t piece = 1 + input.Byte();
  std::vector<int16_t> samples;
  // At 100 Hz a sample makes 80.
  const size_t most = rate < 4000 ? 64 : 2048;
  while (!input.IsEmpty() && samples.size() < most) samples.push_back(static_cast<int16_t>(input.Half()));
  const auto whole = Narrow(samples, rate, samples.size() + 1);
  if (whole.size() != uint64_t{samples.size()} * kNarrowRate / rate) std::abort();
  if (whole != Narrow(samples, rate, piece)) std::abort();
  return 0;
}
