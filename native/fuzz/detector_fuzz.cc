// libFuzzer entry of what looks for keys in audio: the first byte says in which pieces the samples come, then two bytes a
// sample. The decoder reports each press once, the same in any pieces and on any CPU; the mask hides in any state.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "dtmf/detector.h"
#include "fuzz/fuzz_input.h"
#include "mask/mask_line.h"

using namespace hushtone;

namespace {

std::vector<InbandPress> Hear(std::span<const int16_t> samples, size_t piece, Cpu cpu) {
  DtmfDetector detector(cpu);
  std::vector<InbandPress> heard;
  bool is_on = false;
  const auto take = [&](const InbandPress& press) {
    if (press.event > 15 || press.begins == press.ended || press.begins == is_on) std::abort();
    if (press.onset_sample > samples.size() || press.duration_samples > samples.size() || !std::isfinite(press.level_dbm0)) {
      std::abort();
    }
    is_on = press.begins;
    heard.push_back(press);
  };
  for (size_t at = 0; at < samples.size(); at += piece) detector.Feed(samples.subspan(at, std::min(piece, samples.size() - at)), take);
  InbandPress last;
  if (detector.Finish(&last)) take(last);
  if (is_on) std::abort();
  return heard;
}

void CheckSame(const std::vector<InbandPress>& one, const std::vector<InbandPress>& other) {
  if (one.size() != other.size()) std::abort();
  for (size_t i = 0; i < one.size(); ++i) {
    if (one[i].event != other[i].event || one[i].onset_sample != other[i].onset_sample || one[i].begins != other[i].begins ||
        one[i].duration_samples != other[i].duration_samples || one[i].level_dbm0 != other[i].level_dbm0) {
      std::abort();
    }
  }
}

void Mask(std::span<const int16_t> samples, uint8_t how) {
  MaskLine line;
  line.Reset(static_cast<MaskFill>(how % 3));
  if ((how & 4) != 0) line.ArmSilent();
  int16_t out[kMaskFrameSamples];
  for (size_t at = 0, frame = 0; at + kMaskFrameSamples <= samples.size(); at += kMaskFrameSamples, ++frame) {
    if (frame % 16 == (how >> 3)) line.Arm();
    if (frame % 32 == 31) line.Disarm();
    if (samples[at] == 0x7f7f) line.Hush();
    line.Process(samples.data() + at, out);
    if (line.delay_samples() > kMaskDelaySamples) std::abort();
    if (line.state() == MaskState::kArmed && line.delay_samples() != kMaskDelaySamples) std::abort();
  }
  line.WipeMarked();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const size_t piece = 1 + input.Byte() % 200;
  const uint8_t how = input.Byte();
  std::vector<int16_t> samples;
  while (!input.IsEmpty()) samples.push_back(static_cast<int16_t>(input.Half()));
  // What is short makes long audio too: eight times the same.
  if ((how & 0x80) != 0) {
    const std::vector<int16_t> once = samples;
    for (size_t i = 0; i < 7; ++i) samples.insert(samples.end(), once.begin(), once.end());
  }
  const auto heard = Hear(samples, samples.size() + 1, FastestCpu());
  CheckSame(heard, Hear(samples, piece, FastestCpu()));
  CheckSame(heard, Hear(samples, piece, Cpu::kPortable));
  Mask(samples, how);
  return 0;
}
