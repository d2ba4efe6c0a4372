// Which of the presses that a leg hears by event and in-band count: each finger once.
//
//   mode    input           known before                        result
//   ------  --------------  ----------------------------------  ---------
//   event   event press     any                                 enters
//   event   in-band press   any                                 ignored
//   inband  event press     any                                 ignored
//   inband  in-band press   any                                 enters
//   auto    in-band press   no event yet                        enters
//   auto    in-band press   an event came                       ignored
//   auto    event press     same key in-band, within the window merged
//   auto    event press     otherwise                           enters
//
// A gateway that sends events also lets the beginning of the tone through, so once a leg has delivered one event its
// tones say nothing new. Before that nobody knows, and both count: the first event may describe the tone just heard. The
// window is kMergeWindowMs from the report of the tone: the longest jitter buffer (200 ms) and a slow detection of the
// event (200 ms). An in-band press is merged with one event at most. Ignored presses still drive the mask.
#pragma once

#include <cstdint>

namespace hushtone {

enum class DtmfMode : uint8_t { kAuto = 0, kEvent = 1, kInband = 2 };
enum class Merge : uint8_t { kEnters, kIgnored, kMerged };

constexpr uint64_t kMergeWindowMs = 400;

class DtmfMerger {
 public:
  explicit DtmfMerger(DtmfMode mode) : mode_(mode) {}
  void SetMode(DtmfMode mode) { mode_ = mode; }

  Merge OnEvent(uint8_t event, uint64_t now_ms) {
    if (mode_ == DtmfMode::kInband) return Merge::kIgnored;
    heard_event_ = true;
    const bool is_same = has_inband_ && inband_event_ == event && now_ms - inband_at_ms_ <= kMergeWindowMs;
    has_inband_ = false;
    return mode_ == DtmfMode::kAuto && is_same ? Merge::kMerged : Merge::kEnters;
  }

  Merge OnInband(uint8_t event, uint64_t now_ms) {
    if (mode_ == DtmfMode::kEvent || (mode_ == DtmfMode::kAuto && heard_event_)) return Merge::kIgnored;
    has_inband_ = true;
    inband_event_ = event;
    inband_at_ms_ = now_ms;
    return Merge::kEnters;
  }

 private:
  DtmfMode mode_;
  bool heard_event_ = false;
  bool has_inband_ = false;
  uint8_t inband_event_ = 0;
  uint64_t inband_at_ms_ = 0;
};

}  // namespace hushtone
