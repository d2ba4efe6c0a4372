// Plays recordings one after the other into frames of 20 ms, or all of them again and again. Recordings fade in and out by
// themselves, so that joins do not click; one that is cut off by a key fades over 5 ms.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "audio/playout_buffer.h"

namespace hushtone {

constexpr size_t kPlayListMax = 64;
// Music for somebody who was forgotten on hold ends at last; whoever holds him on purpose plays it again.
constexpr uint32_t kLoopFramesMax = 60 * 60 * 50;   // One hour.

// Never freed while the engine lives.
using Recording = std::span<const int16_t>;

class Player {
 public:
  void Start(std::span<const Recording> list, bool loops = false) {
    count_ = list.size() < kPlayListMax ? list.size() : kPlayListMax;
    size_t samples = 0;
    for (size_t i = 0; i < count_; ++i) {
      list_[i] = list[i];
      samples += list[i].size();
    }
    at_ = 0;
    sample_ = 0;
    fading_ = false;
    loop_frames_left_ = loops && samples > 0 ? kLoopFramesMax : 0;
  }

  // The next frame ends it.
  void FadeOut() { fading_ = true; }
  bool IsPlaying() const { return at_ < count_; }
  // The last sample of what was played: where it breaks off.
  int16_t last_sample() const { return last_sample_; }
  // What was played may have been digits.
  void Forget() {
    list_.fill(Recording{});
    asm volatile("" : : "r"(list_.data()) : "memory");
    count_ = 0;
    at_ = 0;
    last_sample_ = 0;
    loop_frames_left_ = 0;
  }

  // Adds to `sum`. False: nothing was playing.
  bool MixInto(int32_t* sum) {
    if (!IsPlaying()) return false;
    if (loop_frames_left_ > 0 && --loop_frames_left_ == 0) fading_ = true;
    last_sample_ = 0;
    for (size_t i = 0; i < kFrameSamples && at_ < count_;) {
      const Recording& recording = list_[at_];
      if (sample_ >= recording.size()) {
        Next();
        continue;
      }
      if (fading_ && i >= kFadeSamples) break;
      const int32_t sample = recording[sample_++];
      if (i + 1 == kFrameSamples) last_sample_ = static_cast<int16_t>(sample);
      sum[i] += fading_ ? sample * static_cast<int32_t>(kFadeSamples - i) / static_cast<int32_t>(kFadeSamples) : sample;
      ++i;
    }
    // In a loop too this ends: one of the recordings is longer than nothing.
    while (at_ < count_ && sample_ >= list_[at_].size()) Next();
    if (fading_) Forget();
    return true;
  }

 private:
  // Each recording is forgotten once it was played, but in a loop, which needs it again.
  void Next() {
    if (loop_frames_left_ == 0) list_[at_] = Recording{};
    ++at_;
    sample_ = 0;
    if (loop_frames_left_ > 0 && at_ == count_) at_ = 0;
  }

  static constexpr size_t kFadeSamples = 40;
  std::array<Recording, kPlayListMax> list_{};
  size_t count_ = 0;
  size_t at_ = 0;
  size_t sample_ = 0;
  bool fading_ = false;
  int16_t last_sample_ = 0;
  uint32_t loop_frames_left_ = 0;                 // 0: played once.
};

}  // namespace hushtone
