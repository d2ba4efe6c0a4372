// libFuzzer entry of the requests that adapters ask for: what the check lets through is one head of as many lines as it has
// headers, and no value has begun another.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "egress/http.h"
#include "fuzz/fuzz_input.h"

using namespace hushtone;

namespace {

std::string Text(fuzz::Input* input) {
  const auto bytes = input->Bytes(input->Byte());
  return {bytes.begin(), bytes.end()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  HttpTarget target;
  const uint8_t choice = input.Byte();
  target.tls = (choice & 1) != 0;
  target.port = input.Half();
  const auto format = static_cast<BodyFormat>(choice >> 1 & 3);
  const std::string method = Text(&input);
  target.host = Text(&input);
  target.path = Text(&input);
  HttpHeaders headers;
  while (!input.IsEmpty()) {
    std::string name = Text(&input);
    headers.emplace_back(std::move(name), Text(&input));
  }
  std::string fault;
  if (!CheckRequest(method, target, headers, &fault)) {
    if (fault.empty()) std::abort();
    return 0;
  }
  std::vector<uint8_t> memory(size * 2 + 1024);
  SecretBuffer out(memory);
  AppendHead(method, target, headers, format, 2, {}, &out);
  if (out.overflowed()) std::abort();
  const auto bytes = out.bytes();
  const std::string head(bytes.begin(), bytes.end());
  if (!head.ends_with("\r\n\r\n") || head.find("\r\n\r\n") + 4 != head.size()) std::abort();
  // Request line, the adapter's, and at most five of ours: Host, Connection, Content-Type, Content-Length, one to spare.
  const auto lines = static_cast<size_t>(std::count(head.begin(), head.end(), '\n'));
  if (lines < headers.size() + 2 || lines > headers.size() + 7) std::abort();
  if (static_cast<size_t>(std::count(head.begin(), head.end(), '\r')) != lines) std::abort();
  return 0;
}
