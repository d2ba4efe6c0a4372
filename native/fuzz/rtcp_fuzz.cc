// libFuzzer entry of the RTCP parser, XR blocks included; what is refused must leave nothing behind, and what is read of an XR
// must come out of our writer as it went in.
#include <cstdlib>

#include "rtp/rtcp.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hushtone::RtcpSeen seen;
  const bool parsed = hushtone::ParseRtcp({data, size}, 0x11223344, &seen);
  const hushtone::XrSeen& xr = seen.xr;
  if (!parsed && (seen.has_bye || seen.has_report_on_us || seen.has_sender_report)) std::abort();
  if (!parsed && (xr.has_metrics || xr.has_reference || xr.has_answer)) std::abort();
  if (!xr.has_metrics && !xr.has_reference && !xr.has_answer) return 0;
  const hushtone::XrToSend blocks{xr.has_metrics ? &xr.metrics : nullptr, xr.has_reference ? &xr.reference_ntp : nullptr,
                                  xr.has_answer ? &xr.answer : nullptr};
  uint8_t bytes[hushtone::kXrBytesMax];
  hushtone::XrSeen again;
  if (!hushtone::ParseXr({bytes, hushtone::WriteXr(1, blocks, bytes)}, 0x11223344, &again)) std::abort();
  if (again.has_metrics != xr.has_metrics || again.metrics.r_factor != xr.metrics.r_factor) std::abort();
  if (again.reference_ntp != xr.reference_ntp || again.answer.delay != xr.answer.delay) std::abort();
  return 0;
}
