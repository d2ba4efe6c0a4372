#include "audio/comfort_noise.h"

#include <algorithm>
#include <cmath>

namespace hushtone {

void ComfortNoise::Hear(uint32_t timestamp, std::span<const uint8_t> payload) {
  if (payload.empty()) return;
  // RFC 3389 §3.1: 0 dBov is the level of the loudest square wave. Noise that would be clipped is as loud as it can be.
  const double rms = 32767.0 * std::pow(10.0, -(payload[0] & 0x7f) / 20.0);
  amplitude_ = std::max(1, static_cast<int32_t>(std::min(rms * std::sqrt(3.0), 32767.0)));
  from_ = timestamp;
}

void ComfortNoise::Fill(int16_t* out, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    random_ = random_ * 1664525 + 1013904223;         // Numerical Recipes' constants; its high bits are even enough.
    const int32_t unit = static_cast<int32_t>(random_ >> 16) - 32768;
    out[i] = static_cast<int16_t>(unit * amplitude_ / 32768);
  }
}

}  // namespace hushtone
