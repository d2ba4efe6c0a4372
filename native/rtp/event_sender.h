// Sends one key press as telephone-event packets: RFC 4733 §2.5.1, an update a frame, END three times (§2.5.1.4).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "rtp/telephone_event.h"

namespace hushtone {

class EventSender {
 public:
  struct Packet {
    TelephoneEvent event;
    uint32_t timestamp = 0;   // The press's beginning, for all its packets.
    bool marker = false;      // RFC 4733 §2.3: on the first packet of an event only.
  };

  // A press that is still being sent is released and finishes first, or fast keys would be lost. More than
  // kWaitingMax of them are refused: false.
  bool Begin(uint8_t event, uint8_t volume) {
    Release();
    if (waiting_ == kWaitingMax) return false;
    queue_[waiting_++] = Waiting{event, volume, false};
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

  // The packet of this frame, if a press is on. `frame_ts` is one frame in timestamp units.
  // `now_ts` is the timestamp of the frame that the packet takes the place of.
  std::optional<Packet> Next(uint32_t frame_ts, uint32_t now_ts) {
    if (!active_ && !TakeWaiting(now_ts)) return std::nullopt;
    const uint32_t longer = event_.duration_ts + frame_ts;
    // A press longer than one segment ends here: nobody relays a key held for eight seconds as more than one press.
    if (longer > kEventDurationTsMax) released_ = true;
    if (!event_.end) event_.duration_ts = static_cast<uint16_t>(longer > kEventDurationTsMax ? kEventDurationTsMax : longer);
    // At least 60 ms, so that the receiver hears a press and not a click.
    if (released_ && event_.duration_ts >= 3 * frame_ts) event_.end = true;
    const Packet packet{event_, timestamp_, is_first_};
    is_first_ = false;
    if (event_.end && --ends_left_ == 0) active_ = false;
    return packet;
  }

  static constexpr size_t kWaitingMax = 8;

 private:
  static constexpr int kEndPackets = 3;

  struct Waiting {
    uint8_t event = 0;
    uint8_t volume = 0;
    bool released = false;
  };

  bool TakeWaiting(uint32_t now_ts) {
    if (waiting_ == 0) return false;
    const Waiting next = queue_[0];
    --waiting_;
    for (size_t i = 0; i < waiting_; ++i) queue_[i] = queue_[i + 1];
    queue_[waiting_] = Waiting{};
    event_ = TelephoneEvent{next.event, false, next.volume, 0};
    timestamp_ = now_ts;
    ends_left_ = kEndPackets;
    is_first_ = true;
    active_ = true;
    released_ = next.released;
    return true;
  }

  std::array<Waiting, kWaitingMax> queue_{};
  size_t waiting_ = 0;
  TelephoneEvent event_;
  uint32_t timestamp_ = 0;
  int ends_left_ = 0;
  bool is_first_ = false;
  bool active_ = false;
  bool released_ = false;
};

}  // namespace hushtone
