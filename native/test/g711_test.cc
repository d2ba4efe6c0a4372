// G.711: known codes, monotony, and that decoding then encoding gives each code back.
#include "audio/g711.h"

#include <algorithm>
#include <vector>

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
  // Frames are encoded by other arithmetic than samples; both say the same of every sample there is, at every length.
  std::vector<int16_t> samples(65536);
  std::vector<uint8_t> codes(samples.size());
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<int16_t>(static_cast<int>(i) - 32768);
  for (const Law law : {Law::kMu, Law::kA}) {
    for (size_t length : {size_t{65536}, size_t{160}, size_t{7}, size_t{1}, size_t{0}}) {
      std::fill(codes.begin(), codes.end(), uint8_t{0});
      Encode(law, std::span(samples.data(), length), codes.data());
      size_t wrong = 0;
      for (size_t i = 0; i < length; ++i) wrong += static_cast<size_t>(codes[i] != EncodeSample(law, samples[i]));
      CHECK(wrong == 0);
      CHECK(length == codes.size() || codes[length] == 0);
    }
  }
  return test::Finish();
}
