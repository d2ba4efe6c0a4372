// SRTP and SRTCP from outside, by a receiver that also searches: nothing without our key is authentic, whatever it says.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "srtp/srtp.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  SrtpKey key;
  key.suite = static_cast<SrtpSuite>(1 + data[0] % 4);
  key.bytes.fill(0x5a);
  const auto receiver = SrtpReceiver::Create(key, data[0] % 3);
  if (receiver == nullptr) std::abort();
  size_t length = 0;
  std::vector<uint8_t> rtp(data + 1, data + size);
  std::vector<uint8_t> rtcp = rtp;
  // 32 bits of tag are guessed once in four thousand million tries.
  if (receiver->OpenRtp(rtp, 1'000'000, &length) == SrtpVerdict::kAuthentic && key.suite != SrtpSuite::kAesCm128HmacSha1_32) {
    std::abort();
  }
  if (receiver->OpenRtcp(rtcp, &length) == SrtpVerdict::kAuthentic) std::abort();
  return 0;
}
