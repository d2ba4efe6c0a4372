// Signs a filled body: HMAC-SHA-256 under the operator's secret, or a plain SHA-256 digest, as the value of one header.
//
//   prefix "t={timestamp},v1=", hex     X-Signature: t=1764090000,v1=5f2a…      HMAC over "1764090000." and the body
//   prefix "sha-256=:", suffix ":"      Content-Digest: sha-256=:9YcR…=:        digest of the body (RFC 9530 §2)
//
// Pure but for OpenSSL, whose contexts are wiped as they are freed. The secret lies in locked memory of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "egress/secret_buffer.h"

namespace hushtone {

constexpr size_t kSignSecretBytesMax = 4096;   // As the configuration has it.
constexpr size_t kSignAffixBytesMax = 64;      // Prefix and suffix, each.
constexpr size_t kSignatureBytesMax = 256;     // Prefix, ten to twenty digits of time, 64 of hex, suffix.

enum class SignKind : uint8_t { kSha256 = 0, kHmacSha256 = 1 };
enum class SignEncoding : uint8_t { kHex = 0, kBase64 = 1 };

struct SignRule {
  std::string header;
  SignKind kind = SignKind::kHmacSha256;
  SignEncoding encoding = SignEncoding::kHex;
  std::string prefix;                          // `{timestamp}` in it: seconds since 1970, which the HMAC then covers.
  std::string suffix;
};

class Signer {
 public:
  // Null with a reason. Copies the secret; the caller wipes what it has.
  static std::unique_ptr<Signer> Create(const SignRule& rule, std::string_view secret, std::string* error);
  Signer(const Signer&) = delete;
  Signer& operator=(const Signer&) = delete;

  const std::string& header() const { return rule_.header; }
  // The header's whole value. False: no room, or OpenSSL refused.
  bool Sign(uint64_t unix_seconds, std::span<const uint8_t> body, SecretBuffer* value) const;

 private:
  Signer(const SignRule& rule, std::unique_ptr<LockedMemory> secret, size_t secret_size);
  bool Digest(std::string_view time, std::span<const uint8_t> body, uint8_t* digest) const;
  const SignRule rule_;
  const std::unique_ptr<LockedMemory> secret_;
  const size_t secret_size_;
};

}  // namespace hushtone
