// Sends one key press after another as telephone-event packets: RFC 4733 §2.5.1, an update a frame, the last packet three
// times (§2.5.1.4), long presses in segments (§2.5.1.3).
//
//   8 kHz, a frame of 160, a press of 65,900 units:
//
//     frame      timestamp  duration   E  marker
//     1          T          160        0  1
//     2          T          320        0  0
//     …          T          …          0  0
//     410-412    T          65,535     0  0       the segment is full: its last packet three times
//     413-415    T+65,535   365        1  0       what is left, three times
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "rtp/telephone_event.h"

namespace hushtone {

class EventSender {
 public:
  struct Earlier {
    TelephoneEvent event;     // As it ended.
    uint32_t timestamp = 0;
  };
  struct Packet {
    TelephoneEvent event;
    uint32_t timestamp = 0;   // The beginning of the press or of its segment, for all its packets.
    bool marker = false;      // RFC 4733 §2.3: on the first packet of an event only.
  };

  // A press that is still being sent is released and finishes first, or fast keys would be lost. More than
  // kWaitingMax of them are refused: false. `length_ts` 0: until Release.
  bool Begin(uint8_t event, uint8_t volume, uint32_t length_ts = 0) {
    Release();
    if (waiting_ == kWaitingMax) return false;
    queue_[waiting_++] = Waiting{event, volume, false, length_ts};
    return true;
  }

  // The last press begun.
  void Release() {
    if (waiting_ > 0) {
      queue_[waiting_ - 1].released = true;
    } else {
      released_ = true;
    }
  }

  bool IsActive() const { return active_ || waiting_ > 0; }
  // The presses that ended before, newest first: what RFC 2198 sends again.
  size_t earlier_count() const { return earlier_count_; }
  const Earlier& earlier(size_t i) const { return earlier_[i]; }
  // Keys are sent no more: what was sent is forgotten.
  void Forget() {
    earlier_.fill(Earlier{});
    earlier_count_ = 0;
  }

  // The packet of this frame, if a press is on. `frame_ts` is one frame in timestamp units.
  // `now_ts` is the timestamp of the frame that the packet takes the place of.
  std::optional<Packet> Next(uint32_t frame_ts, uint32_t now_ts) {
    if (!active_ && !TakeWaiting(now_ts)) return std::nullopt;
    elapsed_ts_ += frame_ts;
    if (repeats_left_ > 0) {
      --repeats_left_;
    } else {
      Update(frame_ts);
    }
    const Packet packet{event_, timestamp_, is_first_};
    is_first_ = false;
    if (event_.end && repeats_left_ == 0) Finish();
    return packet;
  }

  static constexpr size_t kWaitingMax = 8;
  static constexpr size_t kEarlierMax = 2;

 private:
  static constexpr uint32_t kRepeats = 2;
  static constexpr uint32_t kSegmentsMax = 8;         // 65 s at 8 kHz: a key that nobody lets go ends.

  struct Waiting {
    uint8_t event = 0;
    uint8_t volume = 0;
    bool released = false;
    uint32_t length_ts = 0;
  };

  bool TakeWaiting(uint32_t now_ts) {
    if (waiting_ == 0) return false;
    const Waiting next = queue_[0];
    --waiting_;
    for (size_t i = 0; i < waiting_; ++i) queue_[i] = queue_[i + 1];
    queue_[waiting_] = Waiting{};
    event_ = TelephoneEvent{next.event, false, next.volume, 0};
    timestamp_ = now_ts;
    length_ts_ = next.length_ts;
    elapsed_ts_ = segment_ts_ = repeats_left_ = 0;
    is_full_ = false;
    is_first_ = true;
    active_ = true;
    released_ = next.released;
    return true;
  }

  void Update(uint32_t frame_ts) {
    if (is_full_) {
      segment_ts_ += kEventDurationTsMax;
      timestamp_ += kEventDurationTsMax;
      is_full_ = false;
      if (segment_ts_ / kEventDurationTsMax >= kSegmentsMax) released_ = true;
    }
    // At least three frames, so that the receiver hears a press and not a click. Without a length it is as long as it was
    // when it was let go.
    if (length_ts_ == 0 && released_ && elapsed_ts_ >= 3 * frame_ts) length_ts_ = std::max(elapsed_ts_, segment_ts_ + 1);
    const bool has_ended = length_ts_ != 0 && elapsed_ts_ >= length_ts_;
    const uint32_t in_segment = (has_ended ? std::max(length_ts_, segment_ts_ + 1) : elapsed_ts_) - segment_ts_;
    is_full_ = in_segment > kEventDurationTsMax || (in_segment == kEventDurationTsMax && !has_ended);
    event_.duration_ts = static_cast<uint16_t>(std::min(in_segment, kEventDurationTsMax));
    event_.end = has_ended && !is_full_;
    if (event_.end || is_full_) repeats_left_ = kRepeats;
  }

  void Finish() {
    active_ = false;
    earlier_[1] = earlier_[0];
    earlier_[0] = Earlier{event_, timestamp_};
    earlier_count_ = std::min(earlier_count_ + 1, kEarlierMax);
  }

  size_t waiting_ = 0;                                // With `active_` first: each frame asks for no more.
  bool active_ = false;
  bool released_ = false;
  bool is_full_ = false;
  bool is_first_ = false;
  TelephoneEvent event_;
  uint32_t timestamp_ = 0;                            // Of the segment.
  uint32_t length_ts_ = 0;                            // Of the press; 0: not known yet.
  uint32_t elapsed_ts_ = 0;                           // Since the press began.
  uint32_t segment_ts_ = 0;                           // Of them, before the segment.
  uint32_t repeats_left_ = 0;
  std::array<Waiting, kWaitingMax> queue_{};
  std::array<Earlier, kEarlierMax> earlier_{};
  size_t earlier_count_ = 0;
};

}  // namespace hushtone
