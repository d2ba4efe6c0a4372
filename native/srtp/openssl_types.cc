// OpenSSL's one-shot hashes of this name are deprecated in favour of EVP_MAC and EVP_MD, whose contexts cannot be set back
// to their keyed beginning without allocating. These are plain structs that are copied.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "srtp/openssl_types.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <srtp2/auth.h>
#include <srtp2/cipher.h>

#include <array>
#include <cstring>
#include <new>

#include "srtp/known_answers.h"

namespace hushtone {
namespace {

constexpr int kIcmSaltBytes = 14;                 // RFC 3711 §4.1.1
constexpr int kGcmSaltBytes = 12;                 // RFC 7714 §8.1
constexpr int kTagBytesMax = 16;
constexpr int kHmacKeyBytesMax = SHA_CBLOCK;

extern const srtp_cipher_type_t kIcm128, kIcm256, kGcm128, kGcm256;
extern const srtp_auth_type_t kHmacSha1;

// One key's cipher. The context is made once; a packet sets its IV and nothing else, which allocates nothing.
struct CipherState {
  EVP_CIPHER_CTX* context = nullptr;
  const EVP_CIPHER* cipher = nullptr;
  int key_bytes = 0;
  std::array<uint8_t, 16> offset{};               // Counter mode: the salt, and two zeros for the block counter.
  int tag_bytes = 0;                              // GCM
};

CipherState& StateOf(void* state) { return *static_cast<CipherState*>(state); }

srtp_err_status_t Free(srtp_cipher_pointer_t cipher) {
  auto* state = static_cast<CipherState*>(cipher->state);
  EVP_CIPHER_CTX_free(state->context);
  OPENSSL_cleanse(state->offset.data(), state->offset.size());
  delete state;
  delete cipher;
  return srtp_err_status_ok;
}

srtp_err_status_t Allocate(srtp_cipher_pointer_t* out, const srtp_cipher_type_t& type, const EVP_CIPHER* cipher, int key_length,
                           int tag_bytes) {
  auto* state = new (std::nothrow) CipherState;
  auto* made = new (std::nothrow) srtp_cipher_t{};
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  if (state == nullptr || made == nullptr || context == nullptr) {
    EVP_CIPHER_CTX_free(context);
    delete state;
    delete made;
    return srtp_err_status_alloc_fail;
  }
  state->context = context;
  state->cipher = cipher;
  state->key_bytes = EVP_CIPHER_get_key_length(cipher);
  state->tag_bytes = tag_bytes;
  made->type = &type;
  made->state = state;
  made->key_len = key_length;
  made->algorithm = static_cast<int>(type.id);
  *out = made;
  return srtp_err_status_ok;
}

// ------------------------------------------------------------------------- counter mode, RFC 3711 §4.1.1

srtp_err_status_t AllocateIcm(srtp_cipher_pointer_t* out, int key_length, int) {
  if (key_length == 16 + kIcmSaltBytes) return Allocate(out, kIcm128, EVP_aes_128_ctr(), key_length, 0);
  if (key_length == 32 + kIcmSaltBytes) return Allocate(out, kIcm256, EVP_aes_256_ctr(), key_length, 0);
  return srtp_err_status_bad_param;
}

srtp_err_status_t InitIcm(void* of, const uint8_t* key) {
  CipherState& state = StateOf(of);
  std::memcpy(state.offset.data(), key + state.key_bytes, kIcmSaltBytes);
  const int done = EVP_CipherInit_ex(state.context, state.cipher, nullptr, key, nullptr, 1);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
}

srtp_err_status_t SetIcmIv(void* of, uint8_t* iv, srtp_cipher_direction_t) {
  CipherState& state = StateOf(of);
  std::array<uint8_t, 16> counter;
  for (size_t i = 0; i < counter.size(); ++i) counter[i] = static_cast<uint8_t>(state.offset[i] ^ iv[i]);
  const int done = EVP_CipherInit_ex(state.context, nullptr, nullptr, nullptr, counter.data(), 1);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

srtp_err_status_t RunIcm(void* of, uint8_t* bytes, unsigned int* length) {
  int written = 0;
  const int done = EVP_CipherUpdate(StateOf(of).context, bytes, &written, bytes, static_cast<int>(*length));
  *length = static_cast<unsigned int>(written);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

// ------------------------------------------------------------------------------------------ GCM, RFC 7714

srtp_err_status_t AllocateGcm(srtp_cipher_pointer_t* out, int key_length, int tag_bytes) {
  if (tag_bytes != 8 && tag_bytes != kTagBytesMax) return srtp_err_status_bad_param;
  if (key_length == 16 + kGcmSaltBytes) return Allocate(out, kGcm128, EVP_aes_128_gcm(), key_length, tag_bytes);
  if (key_length == 32 + kGcmSaltBytes) return Allocate(out, kGcm256, EVP_aes_256_gcm(), key_length, tag_bytes);
  return srtp_err_status_bad_param;
}

srtp_err_status_t InitGcm(void* of, const uint8_t* key) {
  CipherState& state = StateOf(of);
  const int done = EVP_CipherInit_ex(state.context, state.cipher, nullptr, key, nullptr, 1);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_init_fail;
}

// The library has mixed the salt in already.
srtp_err_status_t SetGcmIv(void* of, uint8_t* iv, srtp_cipher_direction_t direction) {
  const int encrypts = direction == srtp_direction_encrypt ? 1 : 0;
  const int done = EVP_CipherInit_ex(StateOf(of).context, nullptr, nullptr, nullptr, iv, encrypts);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

srtp_err_status_t SetGcmAad(void* of, const uint8_t* aad, uint32_t length) {
  int written = 0;
  const int done = EVP_CipherUpdate(StateOf(of).context, nullptr, &written, aad, static_cast<int>(length));
  return done == 1 ? srtp_err_status_ok : srtp_err_status_algo_fail;
}

srtp_err_status_t EncryptGcm(void* of, uint8_t* bytes, unsigned int* length) {
  int written = 0;
  if (*length == 0) return srtp_err_status_ok;    // SRTCP in clear: only the tag is wanted.
  const int done = EVP_CipherUpdate(StateOf(of).context, bytes, &written, bytes, static_cast<int>(*length));
  return done == 1 ? srtp_err_status_ok : srtp_err_status_cipher_fail;
}

srtp_err_status_t GetGcmTag(void* of, uint8_t* tag, uint32_t* length) {
  const CipherState& state = StateOf(of);
  std::array<uint8_t, kTagBytesMax> rest;
  int written = 0;
  if (EVP_CipherFinal_ex(state.context, rest.data(), &written) != 1) return srtp_err_status_algo_fail;
  const int done = EVP_CIPHER_CTX_ctrl(state.context, EVP_CTRL_AEAD_GET_TAG, state.tag_bytes, tag);
  *length = static_cast<uint32_t>(state.tag_bytes);
  return done == 1 ? srtp_err_status_ok : srtp_err_status_algo_fail;
}

// The tag stands behind the bytes.
srtp_err_status_t DecryptGcm(void* of, uint8_t* bytes, unsigned int* length) {
  const CipherState& state = StateOf(of);
  const auto tag_bytes = static_cast<unsigned int>(state.tag_bytes);
  if (*length < tag_bytes) return srtp_err_status_bad_param;
  const unsigned int enciphered = *length - tag_bytes;
  std::array<uint8_t, kTagBytesMax> rest;
  int written = 0;
  if (EVP_CIPHER_CTX_ctrl(state.context, EVP_CTRL_AEAD_SET_TAG, state.tag_bytes, bytes + enciphered) != 1) {
    return srtp_err_status_algo_fail;
  }
  if (enciphered > 0 && EVP_CipherUpdate(state.context, bytes, &written, bytes, static_cast<int>(enciphered)) != 1) {
    return srtp_err_status_cipher_fail;
  }
  if (EVP_CipherFinal_ex(state.context, rest.data(), &written) != 1) return srtp_err_status_auth_fail;
  *length = enciphered;
  return srtp_err_status_ok;
}

// ---------------------------------------------------------------------- HMAC-SHA1, RFC 2104; RFC 3711 §4.2.1

struct HmacState {
  SHA_CTX inner, outer;                           // After the padded key.
  SHA_CTX running;
};

srtp_err_status_t FreeHmac(srtp_auth_pointer_t auth) {
  OPENSSL_cleanse(auth->state, sizeof(HmacState));
  delete static_cast<HmacState*>(auth->state);
  delete auth;
  return srtp_err_status_ok;
}

srtp_err_status_t AllocateHmac(srtp_auth_pointer_t* out, int key_length, int tag_bytes) {
  if (key_length > kHmacKeyBytesMax || tag_bytes > SHA_DIGEST_LENGTH) return srtp_err_status_bad_param;
  auto* state = new (std::nothrow) HmacState;
  auto* made = new (std::nothrow) srtp_auth_t{};
  if (state == nullptr || made == nullptr) {
    delete state;
    delete made;
    return srtp_err_status_alloc_fail;
  }
  made->type = &kHmacSha1;
  made->state = state;
  made->out_len = tag_bytes;
  made->key_len = key_length;
  *out = made;
  return srtp_err_status_ok;
}

void BeginPadded(SHA_CTX* hash, const uint8_t* key, int key_length, uint8_t pad) {
  std::array<uint8_t, SHA_CBLOCK> block;
  block.fill(pad);
  for (size_t i = 0; i < static_cast<size_t>(key_length); ++i) block[i] = static_cast<uint8_t>(block[i] ^ key[i]);
  SHA1_Init(hash);
  SHA1_Update(hash, block.data(), block.size());
  OPENSSL_cleanse(block.data(), block.size());
}

srtp_err_status_t InitHmac(void* of, const uint8_t* key, int key_length) {
  auto* state = static_cast<HmacState*>(of);
  if (key_length > kHmacKeyBytesMax) return srtp_err_status_bad_param;
  BeginPadded(&state->inner, key, key_length, 0x36);
  BeginPadded(&state->outer, key, key_length, 0x5c);
  state->running = state->inner;
  return srtp_err_status_ok;
}

srtp_err_status_t StartHmac(void* of) {
  auto* state = static_cast<HmacState*>(of);
  state->running = state->inner;
  return srtp_err_status_ok;
}

srtp_err_status_t UpdateHmac(void* of, const uint8_t* bytes, int length) {
  SHA1_Update(&static_cast<HmacState*>(of)->running, bytes, static_cast<size_t>(length));
  return srtp_err_status_ok;
}

srtp_err_status_t ComputeHmac(void* of, const uint8_t* bytes, int length, int tag_length, uint8_t* tag) {
  auto* state = static_cast<HmacState*>(of);
  if (tag_length > SHA_DIGEST_LENGTH) return srtp_err_status_bad_param;
  std::array<uint8_t, SHA_DIGEST_LENGTH> digest;
  SHA1_Update(&state->running, bytes, static_cast<size_t>(length));
  SHA1_Final(digest.data(), &state->running);
  state->running = state->outer;
  SHA1_Update(&state->running, digest.data(), digest.size());
  SHA1_Final(digest.data(), &state->running);
  std::memcpy(tag, digest.data(), static_cast<size_t>(tag_length));
  return srtp_err_status_ok;
}

const srtp_cipher_type_t kIcm128 = {AllocateIcm, Free,    InitIcm,  nullptr, RunIcm,           RunIcm,
                                    SetIcmIv,    nullptr, "OpenSSL AES-128 counter mode", &kIcm128Answer, SRTP_AES_ICM_128};
const srtp_cipher_type_t kIcm256 = {AllocateIcm, Free,    InitIcm,  nullptr, RunIcm,           RunIcm,
                                    SetIcmIv,    nullptr, "OpenSSL AES-256 counter mode", &kIcm256Answer, SRTP_AES_ICM_256};
const srtp_cipher_type_t kGcm128 = {AllocateGcm, Free,      InitGcm,  SetGcmAad, EncryptGcm, DecryptGcm,
                                    SetGcmIv,    GetGcmTag, "OpenSSL AES-128 GCM", &kGcm128Answer, SRTP_AES_GCM_128};
const srtp_cipher_type_t kGcm256 = {AllocateGcm, Free,      InitGcm,  SetGcmAad, EncryptGcm, DecryptGcm,
                                    SetGcmIv,    GetGcmTag, "OpenSSL AES-256 GCM", &kGcm256Answer, SRTP_AES_GCM_256};
const srtp_auth_type_t kHmacSha1 = {AllocateHmac, FreeHmac,  InitHmac, ComputeHmac,    UpdateHmac,
                                    StartHmac,    "OpenSSL HMAC-SHA1", &kHmacSha1Answer, SRTP_HMAC_SHA1};

}  // namespace

bool UseOpenSslTypes() {
  for (const srtp_cipher_type_t* type : {&kIcm128, &kIcm256, &kGcm128, &kGcm256}) {
    if (srtp_replace_cipher_type(type, type->id) != srtp_err_status_ok) return false;
  }
  return srtp_replace_auth_type(&kHmacSha1, kHmacSha1.id) == srtp_err_status_ok;
}

}  // namespace hushtone
