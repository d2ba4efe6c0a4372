// libFuzzer entry of the RTP parser: the payload lies inside the bytes, and what is written again is read the same.
#include <cstdlib>
#include <cstring>

#include "rtp/packet.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  RtpPacket packet;
  if (ParseRtp({data, size}, &packet) != RtpFault::kNone) return 0;
  if (size < kRtpHeaderBytes || packet.payload_type > 127) std::abort();
  const uint8_t* end = packet.payload.data() + packet.payload.size();
  if (!packet.payload.empty() && (packet.payload.data() < data + kRtpHeaderBytes || end > data + size)) std::abort();
  uint8_t header[kRtpHeaderBytes];
  RtpPacket again;
  if (WriteRtpHeader(packet, header) != kRtpHeaderBytes) std::abort();
  // A header of payload type 64 to 95 with a marker is RTCP's (RFC 5761 §4): such a packet was not let through above.
  if (ParseRtp(header, &again) != RtpFault::kNone || again.payload_type != packet.payload_type ||
      again.marker != packet.marker || again.sequence_number != packet.sequence_number ||
      again.timestamp != packet.timestamp || again.ssrc != packet.ssrc) {
    std::abort();
  }
  return 0;
}
