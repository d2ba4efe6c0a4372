// libFuzzer entry of telephone-events: eight bytes a packet, timestamp and payload. A timestamp begins one press at most, and
// what its next packets say of it, that it has ended above all, is never lost.
#include <cstdlib>
#include <optional>

#include "base/bytes.h"
#include "rtp/telephone_event.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hushtone::KeyPressReceiver receiver;
  hushtone::TelephoneEvent event;
  std::optional<uint32_t> begun;
  std::optional<uint32_t> heard;                      // Timestamp of the packet that last said something.
  uint8_t key = 0;
  if (hushtone::ParseTelephoneEvent({data, size}, &event) != (size > 0 && size % hushtone::kTelephoneEventBytes == 0)) std::abort();
  for (size_t at = 0; at + 8 <= size; at += 8) {
    if (!hushtone::ParseTelephoneEvent({data + at + 4, 4}, &event)) std::abort();
    const uint32_t timestamp = hushtone::ReadU32(data + at);
    const auto update = receiver.OnPacket(timestamp, event);
    if (!update && heard == timestamp && event.event == key) std::abort();
    if (update && event.end && !update->ended) std::abort();
    if (update && update->event != event.event) std::abort();
    if (update) {
      heard = timestamp;
      key = event.event;
    }
    if (!update || !update->begins) continue;
    if (update->event > hushtone::kEventKeyLast || begun == update->timestamp) std::abort();
    begun = update->timestamp;
  }
  return 0;
}
