// Plays recordings one after the other into frames of 20 ms. Recordings fade in and out by themselves, so that joins do
// not click; one that is cut off by a key fades over 5 ms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "audio/playout_buffer.h"

namespace hushtone {

constexpr size_t kPlayListMax = 64;

// Never freed while the engine lives.
using Recording = std::span<const int16_t>;

class Player {
 public:
  void Start(std::span<const Recording> list) {
    count_ = list.size() < kPlayListMax ? list.size() : kPlayListMax;
    for (size_t i = 0; i < count_; ++i) list_[i] = list[i];
    at_ = 0;
    sample_ = 0;
    fading_ = false;
  }

  // The next frame ends it.
  void FadeOut() { fading_ = true; }
  bool IsPlaying() const { return at_ < count_; }
  // What was played may have been digits.
  void Forget() {
    list_.fill(Recording{});
    asm volatile("" : : "r"(list_.data()) : "memory");
    count_ = 0;
    at_ = 0;
  }

  // Adds to `sum`. False: nothing was playing.
  bool MixInto(int32_t* sum) {
    if (!IsPlaying()) return false;
    for (size_t i = 0; i < kFrameSamples && at_ < count_;) {
      const Recording& recording = list_[at_];
      if (sample_ >= recording.size()) {
        list_[at_++] = Recording{};
        sample_ = 0;
        continue;
      }
      if (fading_ && i >= kFadeSamples) break;
      const int32_t sample = recording[sample_++];
      sum[i] += fading_ ? sample * static_cast<int32_t>(kFadeSamples - i) / static_cast<int32_t>(kFadeSamples) : sample;
      ++i;
    }
    while (at_ < count_ && sample_ >= list_[at_].size()) {
      list_[at_++] = Recording{};
      sample_ = 0;
    }
    if (fading_) Forget();
    return true;
  }

 private:
  static constexpr size_t kFadeSamples = 40;
  std::array<Recording, kPlayListMax> list_{};
  size_t count_ = 0;
  size_t at_ = 0;
  size_t sample_ = 0;
  bool fading_ = false;
};

}  // namespace hushtone
