// G.711 µ-law and A-law, ITU-T G.711, over tables made once. 16-bit linear, full scale as in ITU-T G.191: a sine of
// amplitude 32,124 (µ) or 32,256 (A) is the largest there is, +3.17 and +3.14 dBm0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

enum class Law : uint8_t { kMu, kA };

constexpr uint8_t kMuSilence = 0xff;
constexpr uint8_t kASilence = 0xd5;

int16_t DecodeSample(Law law, uint8_t code);
uint8_t EncodeSample(Law law, int16_t sample);
// `out` has room for `in.size()`.
void Decode(Law law, std::span<const uint8_t> in, int16_t* out);
void Encode(Law law, std::span<const int16_t> in, uint8_t* out);

}  // namespace hushtone
