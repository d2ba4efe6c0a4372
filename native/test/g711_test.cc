// G.711: known codes, monotony, and that decoding then encoding gives each code back.
#include "audio/g711.h"

#include "check.h"

using namespace hushtone;

int main() {
  CHECK(DecodeSample(Law::kMu, 0x00) == -32124);
  CHECK(DecodeSample(Law::kMu, 0x80) == 32124);
  CHECK(DecodeSample(Law::kMu, 0xff) == 0);
  CHECK(DecodeSample(Law::kA, 0x2a) == -32256);
  CHECK(DecodeSample(Law::kA, 0xaa) == 32256);
  CHECK(DecodeSample(Law::kA, 0xd5) == 8);
  CHECK(EncodeSample(Law::kMu, 0) == kMuSilence);
  CHECK(EncodeSample(Law::kA, 0) == kASilence);
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<uint8_t>(code);
    CHECK(EncodeSample(Law::kA, DecodeSample(Law::kA, byte)) == byte);
    // 0x7f and 0xff are both zero in µ-law; positive zero is the one that is sent.
    const uint8_t expected = byte == 0x7f ? 0xff : byte;
    CHECK(EncodeSample(Law::kMu, DecodeSample(Law::kMu, byte)) == expected);
  }
  for (int sample = -32768; sample < 32767; ++sample) {
    for (const Law law : {Law::kMu, Law::kA}) {
      const int now = DecodeSample(law, EncodeSample(law, static_cast<int16_t>(sample)));
      const int next = DecodeSample(law, EncodeSample(law, static_cast<int16_t>(sample + 1)));
      if (now > next) CHECK(now <= next);
      const int error = now > sample ? now - sample : sample - now;
      const int magnitude = sample < 0 ? -sample : sample;
      if (error > 16 + magnitude / 16) CHECK(error <= 16 + magnitude / 16);
    }
  }
  return test::Finish();
}
