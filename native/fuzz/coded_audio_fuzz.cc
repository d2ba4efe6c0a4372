// libFuzzer entry of the packets of G.722 and Opus: a byte of length, two of timestamp, the packet; again. A length of 255 is
// comfort noise. The decoders are other people's, and must be handed nothing that harms them.
#include <array>
#include <cstdint>
#include <span>

#include "audio/coded_audio.h"
#include "fuzz/fuzz_input.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Made anew: what one input leaves behind must not decide on the next.
  const auto opus = CodedAudio::Create(Codec::kOpus, 200);
  const auto g722 = CodedAudio::Create(Codec::kG722, 200);
  std::array<int16_t, kFrameSamples> frame;
  fuzz::Input input(data, size);
  while (!input.IsEmpty()) {
    const uint8_t length = input.Byte();
    const uint32_t timestamp = input.Half();
    if (length == 255) {
      const auto noise = input.Bytes(2);
      opus->PutNoise(timestamp * 120, noise);
      g722->PutNoise(timestamp * 8, noise);
    } else {
      const auto packet = input.Bytes(length);
      opus->Put(timestamp * 120, packet);
      g722->Put(timestamp * 8, packet);
    }
    (void)opus->Take(frame.data());
    (void)g722->Take(frame.data());
  }
  opus->Wipe();
  g722->Wipe();
  return 0;
}
