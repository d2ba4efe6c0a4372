// What is played in place of lost audio: the last pitch period again, more of them as the loss goes on, fading. After ITU-T
// G.711 Appendix I, but without its delay of 3.75 ms: instead of a cross-fade into the loss, the step at its beginning fades.
//
//   ms of the loss   repeated           gain
//   ---------------  -----------------  ----------------------
//   0 to 10          1 pitch period     1
//   10 to 20         2 pitch periods    falls by 0.2 each 10 ms
//   20 to 60         3 pitch periods    to nothing
//   from 60          -                  0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hushtone {

constexpr uint32_t kPitchMin = 40;                    // 5 ms, G.711 Appendix I.2: 200 Hz.
constexpr uint32_t kPitchMax = 120;                   // 15 ms: 66 Hz.
constexpr size_t kBeforeSamples = 3 * kPitchMax + kPitchMax / 4;   // What is looked at: 48.75 ms.
constexpr uint32_t kConcealedMax = 480;               // 60 ms, then silence.

using Before = std::array<int16_t, kBeforeSamples>;   // The samples played right before the loss.

// The lag at which what was played last is most like itself.
uint32_t FindPitch(const Before& before);
// `count` samples of the loss from its `at`-th on.
void WriteConcealed(const Before& before, uint32_t pitch, uint32_t at, uint32_t count, int16_t* out);
// Over how many samples what comes again is faded in: 4 ms, 4 more for each 10 ms lost, at most 10.
constexpr uint32_t FadeInSamples(uint32_t lost) {
  const uint32_t samples = 32 + lost / 80 * 32;
  return lost >= kConcealedMax ? 0 : samples < 80 ? samples : 80;
}

}  // namespace hushtone
