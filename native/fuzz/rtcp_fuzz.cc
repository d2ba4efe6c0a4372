// libFuzzer entry of the RTCP parser; what is refused must leave nothing behind.
#include <cstdlib>

#include "rtp/rtcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hushtone::RtcpSeen seen;
  const bool parsed = hushtone::ParseRtcp({data, size}, 0x11223344, &seen);
  if (!parsed && (seen.has_bye || seen.has_report_on_us || seen.has_sender_report)) std::abort();
  return 0;
}
