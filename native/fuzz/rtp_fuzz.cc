// libFuzzer entry of the RTP parser; what it lets through goes into a jitter buffer, as on a leg.
#include "audio/playout_buffer.h"
#include "rtp/packet.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static hushtone::PlayoutBuffer buffer;
  hushtone::RtpPacket packet;
  int16_t frame[hushtone::kFrameSamples];
  if (hushtone::ParseRtp({data, size}, &packet) != hushtone::RtpFault::kNone) return 0;
  buffer.Put(packet.timestamp, packet.payload, packet.marker ? hushtone::Law::kA : hushtone::Law::kMu);
  buffer.Take(frame);
  return 0;
}
