#include "egress/sign.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "egress/http.h"

namespace hushtone {
namespace {

constexpr size_t kDigestBytes = 32;
constexpr std::string_view kTimestamp = "{timestamp}";
constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void AppendHex(std::span<const uint8_t> bytes, SecretBuffer* out) {
  for (const uint8_t byte : bytes) {
    out->AppendByte(static_cast<uint8_t>("0123456789abcdef"[byte >> 4]));
    out->AppendByte(static_cast<uint8_t>("0123456789abcdef"[byte & 15]));
  }
}

// RFC 4648 §4, padded.
void AppendBase64(std::span<const uint8_t> bytes, SecretBuffer* out) {
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = bytes.size() - i;
    const uint32_t bits = static_cast<uint32_t>(bytes[i]) << 16 | (left > 1 ? static_cast<uint32_t>(bytes[i + 1]) << 8 : 0) |
                          (left > 2 ? static_cast<uint32_t>(bytes[i + 2]) : 0);
    out->AppendByte(static_cast<uint8_t>(kBase64[bits >> 18]));
    out->AppendByte(static_cast<uint8_t>(kBase64[bits >> 12 & 63]));
    out->AppendByte(static_cast<uint8_t>(left > 1 ? kBase64[bits >> 6 & 63] : '='));
    out->AppendByte(static_cast<uint8_t>(left > 2 ? kBase64[bits & 63] : '='));
  }
}

}  // namespace

std::unique_ptr<Signer> Signer::Create(const SignRule& rule, std::string_view secret, std::string* error) {
  // One reading of what a header may be: the request's own headers pass it too.
  if (!CheckRequest("POST", {true, "host", 443, "/"}, {{rule.header, rule.prefix + rule.suffix}}, error)) return nullptr;
  if (rule.prefix.size() > kSignAffixBytesMax || rule.suffix.size() > kSignAffixBytesMax) {
    *error = "prefix or suffix has more than " + std::to_string(kSignAffixBytesMax) + " bytes";
    return nullptr;
  }
  const bool keyed = rule.kind == SignKind::kHmacSha256;
  if (keyed != !secret.empty() || secret.size() > kSignSecretBytesMax) {
    *error = keyed ? "an HMAC needs a secret of 1 to " + std::to_string(kSignSecretBytesMax) + " bytes" : "a digest has no secret";
    return nullptr;
  }
  if (!keyed && rule.prefix.find(kTimestamp) != std::string::npos) {
    *error = "a digest has no timestamp";
    return nullptr;
  }
  auto memory = LockedMemory::Create(keyed ? secret.size() : 1, error);
  if (memory == nullptr) return nullptr;
  CopySecret(memory->data(), reinterpret_cast<const uint8_t*>(secret.data()), secret.size());
  return std::unique_ptr<Signer>(new Signer(rule, std::move(memory), secret.size()));
}

Signer::Signer(const SignRule& rule, std::unique_ptr<LockedMemory> secret, size_t secret_size)
    : rule_(rule), secret_(std::move(secret)), secret_size_(secret_size) {}

bool Signer::Sign(uint64_t unix_seconds, std::span<const uint8_t> body, SecretBuffer* value) const {
  const size_t at = rule_.prefix.find(kTimestamp);
  const bool timed = at != std::string::npos;
  const std::string time = timed ? std::to_string(unix_seconds) : "";
  value->Append(std::string_view(rule_.prefix).substr(0, at));
  if (timed) {
    value->Append(time);
    value->Append(std::string_view(rule_.prefix).substr(at + kTimestamp.size()));
  }
  uint8_t digest[kDigestBytes];
  if (!Digest(time, body, digest)) return false;
  if (rule_.encoding == SignEncoding::kHex) AppendHex(digest, value);
  else AppendBase64(digest, value);
  Wipe(digest, sizeof digest);
  value->Append(rule_.suffix);
  return !value->overflowed();
}

// Every context is freed before this returns: OpenSSL wipes the last block of the body, which it keeps there.
bool Signer::Digest(std::string_view time, std::span<const uint8_t> body, uint8_t* digest) const {
  if (rule_.kind == SignKind::kSha256) return EVP_Digest(body.data(), body.size(), digest, nullptr, EVP_sha256(), nullptr) == 1;
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  char sha256[] = "SHA256";
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0), OSSL_PARAM_construct_end()};
  size_t size = 0;
  // The time and a full stop come first, so that neither can be changed without the other.
  const bool done = context != nullptr && EVP_MAC_init(context, secret_->data(), secret_size_, parameters) == 1 &&
                    (time.empty() || (EVP_MAC_update(context, reinterpret_cast<const uint8_t*>(time.data()), time.size()) == 1 &&
                                      EVP_MAC_update(context, reinterpret_cast<const uint8_t*>("."), 1) == 1)) &&
                    EVP_MAC_update(context, body.data(), body.size()) == 1 &&
                    EVP_MAC_final(context, digest, &size, kDigestBytes) == 1 && size == kDigestBytes;
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return done;
}

}  // namespace hushtone
