// libFuzzer entry of the HTTP answer parser; the first byte says whether the connection has ended.
#include <string>

#include "egress/http.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  hushtone::HttpAnswer answer;
  const char* fault = nullptr;
  hushtone::ParseAnswer({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()}, data[0] & 1, &answer, &fault);
  return 0;
}
