// libFuzzer entry of recorded packets of G.722 and Opus: a byte of length, two of step in time, the packet; again. Length 255 is
// comfort noise, 254 a new beginning. As many samples come out as the time line is long.
#include <cstdlib>
#include <vector>

#include "audio/coded_track.h"
#include "fuzz/fuzz_input.h"

using namespace hushtone;

namespace {

void Play(Codec codec, fuzz::Input input) {
  const auto track = CodedTrack::Create(codec);
  if (track == nullptr) std::abort();
  std::vector<int16_t> out;
  uint32_t timestamp = 0xffff'f000;
  uint64_t length = 0;                                // Of the stretch that began last.
  size_t before = 0;
  const uint32_t scale = TimestampScale(codec);
  while (!input.IsEmpty()) {
    const uint8_t size = input.Byte();
    const auto gap = static_cast<uint32_t>(input.Half() % (kTrackGapSamplesMax + 1));
    if (size == 254) {
      track->Restart(&out);
      if (out.size() - before != length) std::abort();
      before = out.size();
      length = 0;
      continue;
    }
    if (size == 255) {
      if (length == 0) continue;
      timestamp += gap * scale;
      length += gap;
      track->PutNoise(timestamp, input.Bytes(1), &out);
      continue;
    }
    const auto payload = input.Bytes(size);
    const uint32_t skipped = length == 0 ? 0 : gap;
    const size_t samples = track->Put(timestamp + skipped * scale, payload, &out);
    if (samples > kDecodedSamplesMax) std::abort();
    if (samples == 0) continue;
    timestamp += (skipped + static_cast<uint32_t>(samples)) * scale;
    length += skipped + samples;
    if (out.size() - before > length || out.size() - before + kFrameSamples <= length) std::abort();
  }
  track->Restart(&out);
  if (out.size() - before != length) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Play(Codec::kG722, fuzz::Input(data, size));
  Play(Codec::kOpus, fuzz::Input(data, size));
  return 0;
}
