#include "rtp/telephone_event.h"

#include <algorithm>

#include "base/bytes.h"

namespace hushtone {
namespace {

// How far short of the full 65,535 a segment may end: senders cut at a whole packet, 60 ms at most at 48 kHz.
constexpr uint32_t kSegmentShortTs = 2880;
// How much of a segment's end may be lost and the next segment still touch it.
constexpr uint32_t kContiguityMs = 500;

}  // namespace

bool ParseTelephoneEvent(std::span<const uint8_t> payload, TelephoneEvent* event) {
  if (payload.size() < kTelephoneEventBytes || payload.size() % kTelephoneEventBytes != 0) return false;
  event->event = payload[0];
  event->end = (payload[1] & 0x80) != 0;
  event->volume = payload[1] & 0x3f;
  event->duration_ts = ReadU16(&payload[2]);
  return true;
}

void WriteTelephoneEvent(const TelephoneEvent& event, uint8_t* out) {
  out[0] = event.event;
  out[1] = static_cast<uint8_t>((event.end ? 0x80 : 0) | (event.volume & 0x3f));
  WriteU16(out + 2, event.duration_ts);
}

std::optional<PressUpdate> KeyPressReceiver::OnPacket(uint32_t timestamp, const TelephoneEvent& packet) {
  if (packet.event > kEventKeyLast) return std::nullopt;

  // RFC 4733 §2.2.1: all packets of one event carry the timestamp of its beginning. The timestamp, not the event
  // code, tells a second "5" from a repeat of the first.
  if (last_ && timestamp == last_->timestamp) {
    if (packet.event != last_->event) return std::nullopt;  // Two keys cannot begin at one instant.
    last_->duration_ts = std::max<uint32_t>(last_->duration_ts, packet.duration_ts);
    last_->ended = last_->ended || packet.end;
    return Update(false, packet.volume);
  }
  if (last_ && !IsNewer32(timestamp, last_->timestamp)) return std::nullopt;

  const bool continues = last_ && Continues(timestamp, packet);
  const uint32_t first = continues ? last_->first_timestamp : timestamp;
  last_ = Press{first, timestamp, packet.duration_ts, packet.event, packet.end};
  return Update(!continues, packet.volume);
}

// RFC 4733 §2.5.1.3: a key held longer than the duration field can say is sent as segments that touch, so the next
// segment must not become a second press. The last updates of a full segment may be lost; what remains must have come
// within kContiguityMs of its end, or a second press of a key whose END packets were all lost would be swallowed.
bool KeyPressReceiver::Continues(uint32_t timestamp, const TelephoneEvent& packet) const {
  if (last_->ended || last_->event != packet.event) return false;
  const uint32_t apart = timestamp - last_->timestamp;
  return apart <= kEventDurationTsMax && apart + kSegmentShortTs >= kEventDurationTsMax &&
         last_->duration_ts + kContiguityMs * (clock_rate_ / 1000) >= apart;
}

PressUpdate KeyPressReceiver::Update(bool begins, uint8_t volume) const {
  const uint32_t before = last_->timestamp - last_->first_timestamp;
  return PressUpdate{begins, last_->ended, last_->event, volume, last_->first_timestamp, before + last_->duration_ts};
}

}  // namespace hushtone
