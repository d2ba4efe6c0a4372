#include "egress/http.h"

#include <cstring>

namespace hushtone {
namespace {

bool IsTokenChar(uint8_t c) {
  // RFC 9110 §5.6.2: tchar.
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
}

template <typename Text>
bool IsToken(const Text& text) {
  if (text.size() == 0) return false;
  for (const auto c : text) {
    if (c == 0 || !IsTokenChar(static_cast<uint8_t>(c))) return false;
  }
  return true;
}

uint8_t Lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c; }

template <typename Text>
bool SameWord(const Text& text, std::string_view word) {
  if (text.size() != word.size()) return false;
  for (size_t i = 0; i < word.size(); ++i) {
    if (Lower(static_cast<uint8_t>(text[i])) != static_cast<uint8_t>(word[i])) return false;
  }
  return true;
}

bool IsOurs(std::string_view name) {
  for (const std::string_view ours : {"host", "content-length", "connection", "transfer-encoding", "accept-encoding",
                                      "expect", "te", "trailer", "upgrade", "keep-alive"}) {
    if (SameWord(name, ours)) return true;
  }
  return false;
}

std::string_view ContentType(BodyFormat format) {
  switch (format) {
    case BodyFormat::kJson: return "application/json";
    case BodyFormat::kForm: return "application/x-www-form-urlencoded";
    case BodyFormat::kXml: return "application/xml";
    case BodyFormat::kNone: break;
  }
  return "";
}

// Index after the first "\r\n" at or after `at`, or 0.
size_t LineEnd(std::span<const uint8_t> bytes, size_t at) {
  for (size_t i = at; i + 1 < bytes.size(); ++i) {
    if (bytes[i] == '\r' && bytes[i + 1] == '\n') return i + 2;
  }
  return 0;
}

size_t HeadEnd(std::span<const uint8_t> bytes, size_t at) {
  for (size_t i = at; i + 3 < bytes.size(); ++i) {
    if (std::memcmp(&bytes[i], "\r\n\r\n", 4) == 0) return i + 4;
  }
  return 0;
}

bool ParseStatusLine(std::span<const uint8_t> line, unsigned* status) {
  // RFC 9112 §4: HTTP-version SP 3DIGIT SP reason.
  if (line.size() < 12 || (std::memcmp(line.data(), "HTTP/1.1 ", 9) != 0 && std::memcmp(line.data(), "HTTP/1.0 ", 9) != 0)) {
    return false;
  }
  *status = 0;
  for (size_t i = 9; i < 12; ++i) {
    if (line[i] < '0' || line[i] > '9') return false;
    *status = *status * 10 + line[i] - '0';
  }
  return *status >= 100 && *status <= 599 && (line.size() == 12 || line[12] == ' ');
}

// Headers from `at` to the empty line. False: not one line per header, or too many.
bool ParseHeaders(std::span<uint8_t> head, size_t at, HttpAnswer* answer) {
  answer->header_count = 0;
  while (at + 2 < head.size()) {
    const size_t next = LineEnd(head, at);
    if (next == 0 || answer->header_count == kAnswerHeadersMax) return false;
    const std::span<uint8_t> line = head.subspan(at, next - 2 - at);
    size_t colon = 0;
    while (colon < line.size() && line[colon] != ':') ++colon;
    const std::span<uint8_t> name = line.first(colon);
    // RFC 9112 §5.2: a line that begins with white space continues the one before; refused, as the RFC allows.
    if (colon == line.size() || !IsToken(name)) return false;
    size_t begin = colon + 1;
    size_t end = line.size();
    while (begin < end && (line[begin] == ' ' || line[begin] == '\t')) ++begin;
    while (end > begin && (line[end - 1] == ' ' || line[end - 1] == '\t')) --end;
    for (size_t i = begin; i < end; ++i) {
      if (line[i] < 0x20 && line[i] != '\t') return false;
    }
    answer->headers[answer->header_count++] = {name, line.subspan(begin, end - begin)};
    at = next;
  }
  return at + 2 == head.size();
}

enum class Framing : uint8_t { kLength, kChunked, kUntilClose, kFault };

Framing FramingOf(const HttpAnswer& answer, size_t* length) {
  bool has_length = false;
  bool chunked = false;
  for (size_t h = 0; h < answer.header_count; ++h) {
    const auto& header = answer.headers[h];
    if (SameWord(header.name, "transfer-encoding")) {
      if (chunked || !SameWord(header.value, "chunked")) return Framing::kFault;
      chunked = true;
    }
    if (!SameWord(header.name, "content-length")) continue;
    size_t value = 0;
    if (header.value.empty() || header.value.size() > 9) return Framing::kFault;
    for (const uint8_t c : header.value) {
      if (c < '0' || c > '9') return Framing::kFault;
      value = value * 10 + c - '0';
    }
    if (has_length && value != *length) return Framing::kFault;
    has_length = true;
    *length = value;
  }
  // RFC 9112 §6.3: both together may be an attempt at smuggling.
  if (chunked && has_length) return Framing::kFault;
  return chunked ? Framing::kChunked : has_length ? Framing::kLength : Framing::kUntilClose;
}

int HexValue(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  const uint8_t lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// RFC 9112 §7.1. Walks the chunks; with `join` moves them together. kDone sets `*size`.
AnswerState WalkChunks(std::span<uint8_t> bytes, bool join, size_t* size) {
  size_t at = 0;
  *size = 0;
  for (;;) {
    const size_t line = LineEnd(bytes, at);
    if (line == 0) return bytes.size() - at > kChunkLineBytesMax ? AnswerState::kFault : AnswerState::kMore;
    if (line - at > kChunkLineBytesMax) return AnswerState::kFault;
    size_t length = 0;
    size_t i = at;
    for (; i < line - 2 && HexValue(bytes[i]) >= 0; ++i) {
      if (i - at == 7) return AnswerState::kFault;
      length = length * 16 + static_cast<size_t>(HexValue(bytes[i]));
    }
    if (i == at || (i < line - 2 && bytes[i] != ';' && bytes[i] != ' ' && bytes[i] != '\t')) return AnswerState::kFault;
    at = line;
    if (length == 0) {
      // Trailers, which nobody here reads, up to the empty line.
      for (;;) {
        const size_t next = LineEnd(bytes, at);
        if (next == 0) return bytes.size() - at > kAnswerHeadBytesMax ? AnswerState::kFault : AnswerState::kMore;
        if (next == at + 2) return AnswerState::kDone;
        at = next;
      }
    }
    if (length > bytes.size() - at || bytes.size() - at - length < 2) return AnswerState::kMore;
    if (bytes[at + length] != '\r' || bytes[at + length + 1] != '\n') return AnswerState::kFault;
    if (join) std::memmove(&bytes[*size], &bytes[at], length);
    *size += length;
    at += length + 2;
  }
}

AnswerState Fault(const char** fault, const char* what) {
  *fault = what;
  return AnswerState::kFault;
}

}  // namespace

bool CheckRequest(std::string_view method, const HttpTarget& target, const HttpHeaders& headers, std::string* fault) {
  if (!IsToken(method)) return *fault = "method is not a token", false;
  if (target.host.empty() || target.host.size() > 253) return *fault = "host is empty or too long", false;
  for (const char c : target.host) {
    const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == ':';
    if (!ok) return *fault = "host has a character that no host has", false;
  }
  if (target.path.empty() || target.path[0] != '/') return *fault = "path does not begin with a slash", false;
  for (const char c : target.path) {
    if (c <= 0x20 || c == 0x7f || c == '{' || c == '}') return *fault = "path has a character that no path has", false;
  }
  for (const auto& [name, value] : headers) {
    if (!IsToken(name)) return *fault = "header name is not a token", false;
    if (IsOurs(name)) return *fault = "header " + name + " is not the request's to set", false;
    for (const char c : value) {
      if ((c >= 0 && c < 0x20 && c != '\t') || c == 0x7f) return *fault = "header " + name + " has a control character", false;
    }
    if (value.find("{{") != std::string::npos) return *fault = "header " + name + " has a placeholder", false;
  }
  return true;
}

bool HasHeader(const HttpHeaders& headers, std::string_view name) {
  for (const auto& header : headers) {
    if (header.first.size() != name.size()) continue;
    size_t same = 0;
    while (same < name.size() && Lower(static_cast<uint8_t>(header.first[same])) == Lower(static_cast<uint8_t>(name[same]))) ++same;
    if (same == name.size()) return true;
  }
  return false;
}

void AppendHead(std::string_view method, const HttpTarget& target, const HttpHeaders& headers, BodyFormat format,
                size_t body_size, const SecretHeader& signature, SecretBuffer* out) {
  out->Append(method);
  out->Append(" ");
  out->Append(target.path);
  out->Append(" HTTP/1.1\r\nHost: ");
  const bool v6 = target.host.find(':') != std::string::npos;
  if (v6) out->Append("[");
  out->Append(target.host);
  if (v6) out->Append("]");
  if (target.port != (target.tls ? 443 : 80)) out->Append(":" + std::to_string(target.port));
  out->Append("\r\nConnection: close\r\nAccept-Encoding: identity\r\n");
  bool has_type = false;
  for (const auto& [name, value] : headers) {
    has_type = has_type || SameWord(name, "content-type");
    out->Append(name);
    out->Append(": ");
    out->Append(value);
    out->Append("\r\n");
  }
  if (!signature.name.empty()) {
    out->Append(signature.name);
    out->Append(": ");
    for (const uint8_t byte : signature.value) out->AppendByte(byte);
    out->Append("\r\n");
  }
  if (format != BodyFormat::kNone) {
    if (!has_type) {
      out->Append("Content-Type: ");
      out->Append(ContentType(format));
      out->Append("\r\n");
    }
    out->Append("Content-Length: " + std::to_string(body_size) + "\r\n");
  } else if (method != "GET" && method != "DELETE") {
    out->Append("Content-Length: 0\r\n");
  }
  out->Append("\r\n");
}

AnswerState ParseAnswer(std::span<uint8_t> bytes, bool closed, HttpAnswer* answer, const char** fault) {
  size_t at = 0;
  size_t head_end = 0;
  for (size_t interim = 0;; ++interim) {
    head_end = HeadEnd(bytes, at);
    if (head_end == 0) {
      if (bytes.size() - at > kAnswerHeadBytesMax) return Fault(fault, "answer's head is too long");
      return closed ? Fault(fault, "connection ended in the answer's head") : AnswerState::kMore;
    }
    if (head_end - at > kAnswerHeadBytesMax) return Fault(fault, "answer's head is too long");
    const std::span<uint8_t> head = bytes.subspan(at, head_end - at);
    const size_t line = LineEnd(head, 0);
    if (!ParseStatusLine(head.first(line - 2), &answer->status)) return Fault(fault, "answer is not HTTP/1.1");
    if (!ParseHeaders(head, line, answer)) return Fault(fault, "answer has a malformed header");
    if (answer->status >= 200) break;
    // RFC 9110 §15.2: interim answers come before the one that counts.
    if (interim == kInterimAnswersMax || answer->status == 101) return Fault(fault, "answer has too many interim answers");
    at = head_end;
  }
  const std::span<uint8_t> rest = bytes.subspan(head_end);
  answer->body = {};
  if (answer->status == 204 || answer->status == 304) return AnswerState::kDone;
  size_t length = 0;
  switch (FramingOf(*answer, &length)) {
    case Framing::kFault:
      return Fault(fault, "answer's length is not clear");
    case Framing::kLength:
      if (length > kAnswerBytesMax) return Fault(fault, "answer's body is too long");
      if (rest.size() < length) return closed ? Fault(fault, "connection ended in the answer's body") : AnswerState::kMore;
      answer->body = rest.first(length);
      return AnswerState::kDone;
    case Framing::kChunked: {
      const AnswerState state = WalkChunks(rest, false, &length);
      if (state == AnswerState::kFault) return Fault(fault, "answer has a malformed chunk");
      if (state == AnswerState::kMore) return closed ? Fault(fault, "connection ended in the answer's body") : state;
      WalkChunks(rest, true, &length);
      answer->body = rest.first(length);
      return AnswerState::kDone;
    }
    case Framing::kUntilClose:
      if (!closed) return AnswerState::kMore;
      answer->body = rest;
      return AnswerState::kDone;
  }
  return Fault(fault, "answer's length is not clear");
}

}  // namespace hushtone
