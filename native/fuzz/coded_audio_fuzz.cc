// libFuzzer entry of the packets of G.722 and Opus: a byte of length, two of timestamp, the packet; again. The decoders are
// other people's, and must be handed nothing that harms them.
#include <array>
#include <cstdint>
#include <span>

#include "audio/coded_audio.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto opus = CodedAudio::Create(Codec::kOpus, 200);
  static const auto g722 = CodedAudio::Create(Codec::kG722, 200);
  std::array<int16_t, kFrameSamples> frame;
  for (size_t at = 0; at + 3 <= size;) {
    const size_t length = data[at] < size - at - 3 ? data[at] : size - at - 3;
    const auto timestamp = static_cast<uint32_t>(data[at + 1] << 8 | data[at + 2]);
    const std::span packet(data + at + 3, length);
    opus->Put(timestamp * 120, packet);
    g722->Put(timestamp * 8, packet);
    (void)opus->Take(frame.data());
    (void)g722->Take(frame.data());
    at += 3 + length;
  }
  opus->Wipe();
  g722->Wipe();
  return 0;
}
