// One TLS connection over memory BIOs: ciphertext in and out, plaintext only in memory of the caller. OpenSSL's symbols
// come from the node binary in the addon, from Debian's libssl in tests.
//
// Thread: a context is made on the control thread and then only read; a session belongs to the egress thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace hushtone {

constexpr size_t kTrustPemBytesMax = 1024 * 1024;

// TLS 1.2 at least, the peer's certificate checked against these authorities and no others.
class TlsTrust {
 public:
  static std::unique_ptr<TlsTrust> Create(const std::string& pem, std::string* error);
  ~TlsTrust();
  TlsTrust(const TlsTrust&) = delete;
  TlsTrust& operator=(const TlsTrust&) = delete;
  ssl_ctx_st* context() const { return context_; }

 private:
  explicit TlsTrust(ssl_ctx_st* context) : context_(context) {}
  ssl_ctx_st* context_;
};

class TlsSession {
 public:
  enum class State : uint8_t { kDone, kWait, kClosed, kFault };

  // `host` is what the certificate must be for: a name, or an address when `is_address`.
  static std::unique_ptr<TlsSession> Create(const TlsTrust& trust, const std::string& host, bool is_address);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  void Feed(std::span<const uint8_t> ciphertext);
  State Handshake(std::string* fault);
  State Write(std::span<const uint8_t> plaintext);
  // kDone: `*count` bytes were read. kClosed: the peer said goodbye properly.
  State Read(std::span<uint8_t> plaintext, size_t* count);
  void Goodbye();
  // Ciphertext that waits to be sent is moved to the end of `out`.
  void TakeOutput(std::vector<uint8_t>* out);

 private:
  explicit TlsSession(ssl_st* ssl) : ssl_(ssl) {}
  ssl_st* ssl_;
};

}  // namespace hushtone
