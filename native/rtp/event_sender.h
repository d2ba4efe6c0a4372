// Sends one key press as telephone-event packets: RFC 4733 §2.5.1, an update a frame, END three times (§2.5.1.4).
#pragma once

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

  // A press that is still being sent is ended first, by forgetting it: its receiver tells presses apart by timestamp.
  void Begin(uint8_t event, uint8_t volume, uint32_t timestamp) {
    event_ = TelephoneEvent{event, false, volume, 0};
    timestamp_ = timestamp;
    ends_left_ = kEndPackets;
    is_first_ = true;
    active_ = true;
    released_ = false;
  }

  void Release() { released_ = true; }
  bool IsActive() const { return active_; }

  // The packet of this frame, if a press is on. `frame_ts` is one frame in timestamp units.
  std::optional<Packet> Next(uint32_t frame_ts) {
    if (!active_) return std::nullopt;
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

 private:
  static constexpr int kEndPackets = 3;
  TelephoneEvent event_;
  uint32_t timestamp_ = 0;
  int ends_left_ = 0;
  bool is_first_ = false;
  bool active_ = false;
  bool released_ = false;
};

}  // namespace hushtone
