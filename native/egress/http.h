// HTTP/1.1, one request and one answer a connection. Pure: bytes in, bytes out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "egress/secret_buffer.h"

namespace hushtone {

constexpr size_t kRequestBytesMax = 16 * 1024;     // Head and filled body.
constexpr size_t kAnswerBytesMax = 48 * 1024;      // Everything the other side sends.
constexpr size_t kAnswerHeadBytesMax = 16 * 1024;
constexpr size_t kAnswerHeadersMax = 64;
constexpr size_t kInterimAnswersMax = 4;           // 1xx before the answer.
constexpr size_t kChunkLineBytesMax = 256;

enum class BodyFormat : uint8_t { kNone = 0, kJson = 1, kForm = 2, kXml = 3 };

struct HttpTarget {
  bool tls = true;
  std::string host;            // Without brackets, also for IPv6.
  uint16_t port = 443;
  std::string path;            // With its query.
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// False with a reason: characters that could begin another header or request, or a header that is ours to set.
bool CheckRequest(std::string_view method, const HttpTarget& target, const HttpHeaders& headers, std::string* fault);

// A header whose value was made from the filled body; `name` empty: none.
struct SecretHeader {
  std::string_view name;
  std::span<const uint8_t> value;
};

// Is it there already? Names are compared without regard to case.
bool HasHeader(const HttpHeaders& headers, std::string_view name);

// Everything before the body. `body_size` is its length once filled.
void AppendHead(std::string_view method, const HttpTarget& target, const HttpHeaders& headers, BodyFormat format,
                size_t body_size, const SecretHeader& signature, SecretBuffer* out);

struct HttpAnswer {
  struct Header {
    std::span<uint8_t> name;
    std::span<uint8_t> value;
  };
  unsigned status = 0;
  size_t header_count = 0;
  Header headers[kAnswerHeadersMax];
  std::span<uint8_t> body;
};

enum class AnswerState : uint8_t { kMore, kDone, kFault };

// Called with all bytes so far each time some arrive; `closed` when no more will. On kDone a chunked body has been put
// together in place and every span points into `bytes`. `*fault` names what was wrong.
AnswerState ParseAnswer(std::span<uint8_t> bytes, bool closed, HttpAnswer* answer, const char** fault);

}  // namespace hushtone
