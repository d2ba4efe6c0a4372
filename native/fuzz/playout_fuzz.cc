// libFuzzer entry of G.711's jitter buffer: packets, comfort noise and ticks in any order, timestamps near each other or not.
#include <array>
#include <cstdlib>

#include "audio/playout_buffer.h"
#include "fuzz/fuzz_input.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  PlayoutBuffer buffer(input.Byte() * 2);
  uint32_t timestamp = 0xffff'ff00;
  std::array<int16_t, kFrameSamples> frame;
  while (!input.IsEmpty()) {
    const uint8_t op = input.Byte();
    const auto step = static_cast<int16_t>(input.Half());
    timestamp += static_cast<uint32_t>((op & 0x80) != 0 ? step * 65536 : step);
    switch (op & 7) {
      case 0:
      case 1:
      case 2:
        buffer.Put(timestamp, input.Bytes(size_t{input.Byte()} * ((op & 8) != 0 ? 9 : 1)), (op & 16) != 0 ? Law::kA : Law::kMu);
        break;
      case 3:
        buffer.PutNoise(timestamp, input.Bytes(1));
        break;
      case 4:
        for (size_t i = 0; i < size_t{op} / 2; ++i) (void)buffer.Take(frame.data());
        break;
      case 5:
        buffer.Wipe();
        break;
      default:
        (void)buffer.Take(frame.data());
    }
    if (buffer.delay_ms() > 512) std::abort();
  }
  return 0;
}
