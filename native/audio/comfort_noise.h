// Comfort noise, RFC 3389: the peer says how loud its silence is, and noise of that level is played until it speaks again.
// White: the reflection coefficients that may follow the level are not used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

constexpr uint8_t kComfortNoisePayloadType = 13;      // RFC 3551 §6 table 4, for a clock of 8 kHz.

class ComfortNoise {
 public:
  // RFC 3389 §3.1: the first byte is the level below 0 dBov, 0 to 127.
  void Hear(uint32_t timestamp, std::span<const uint8_t> payload);
  void Stop() { amplitude_ = 0; }
  // Audio of this timestamp is played: the silence is over where it was announced for an earlier one.
  void StopAt(uint32_t timestamp) {
    if (CoversFrom(timestamp)) Stop();
  }
  // Whether a sample that did not come at `timestamp` is silence that was announced.
  bool CoversFrom(uint32_t timestamp) const { return amplitude_ > 0 && static_cast<int32_t>(timestamp - from_) >= 0; }
  void Fill(int16_t* out, size_t count);

 private:
  uint32_t from_ = 0;
  uint32_t random_ = 1;
  int32_t amplitude_ = 0;                             // Of evenly spread noise: its RMS times the root of 3.
};

}  // namespace hushtone
