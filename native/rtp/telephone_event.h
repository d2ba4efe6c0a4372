// RFC 4733: key presses as RTP events, received and sent.
//
//    0                   1                   2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |     event     |E|R| volume    |          duration             |
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+   §2.3
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace hushtone {

constexpr size_t kTelephoneEventBytes = 4;
constexpr uint32_t kEventDurationTsMax = 0xffff;
constexpr uint8_t kEventStar = 10;
constexpr uint8_t kEventHash = 11;
constexpr uint8_t kEventKeyLast = 15;     // A to D are 12 to 15, RFC 4733 §3.2 table 3.

struct TelephoneEvent {
  uint8_t event = 0;
  bool end = false;
  uint8_t volume = 0;                     // Power below 0 dBm0, 0 to 63.
  uint16_t duration_ts = 0;
};

// False where the payload is not whole 4-byte blocks. Of several blocks (RFC 2833 senders) the first counts.
bool ParseTelephoneEvent(std::span<const uint8_t> payload, TelephoneEvent* event);
void WriteTelephoneEvent(const TelephoneEvent& event, uint8_t* out);

struct PressUpdate {
  bool begins = false;                    // The first word of this press: report the key now.
  bool ended = false;
  uint8_t event = 0;
  uint8_t volume = 0;
  uint32_t timestamp = 0;                 // RTP timestamp of the press's beginning, its first segment's.
  uint32_t duration_ts = 0;               // Over all segments so far.
};

// Turns telephone-event packets of one SSRC and payload type into key presses, each begun exactly once.
//
//   press "5" twice, every END packet of the first press lost:
//
//     ts     event  E  duration   result
//     1000     5    0     160     press 5
//     1000     5    0     320     -         update of the same press
//     5000     5    0     160     press 5   new timestamp, so a new press
//     5000     5    1     800     -
//     5000     5    1     800     -         END is sent three times
//
// The owner calls Reset when SSRC, payload type or source change: timestamps of another stream say nothing.
class KeyPressReceiver {
 public:
  // Nothing for a packet of an earlier press that arrives late, and for events that are no keys (16 and up).
  std::optional<PressUpdate> OnPacket(uint32_t timestamp, const TelephoneEvent& packet);
  void Reset() { last_.reset(); }
  // Of the events' timestamps and durations: they count in the clock of their own rtpmap (RFC 4733 §2.3).
  void SetClockRate(uint32_t clock_rate) { clock_rate_ = clock_rate; }
  // Forgets which key it was, but not that its press was reported: END packets that still come are no new press.
  void ForgetKey() {
    if (!last_) return;
    last_->event = kForgottenEvent;
    last_->ended = true;
  }

 private:
  struct Press {
    uint32_t first_timestamp = 0;         // Of the first segment.
    uint32_t timestamp = 0;               // Of the present segment.
    uint32_t duration_ts = 0;             // Of the present segment.
    uint8_t event = 0;
    bool ended = false;
  };
  static constexpr uint8_t kForgottenEvent = 0xff;
  bool Continues(uint32_t timestamp, const TelephoneEvent& packet) const;
  PressUpdate Update(bool begins, uint8_t volume) const;

  std::optional<Press> last_;
  uint32_t clock_rate_ = 8000;
};

}  // namespace hushtone
