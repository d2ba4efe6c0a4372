#include "srtp/srtp.h"

#include <openssl/crypto.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "srtp/openssl_types.h"

namespace hushtone {
namespace {

constexpr size_t kRtpHeaderBytes = 12;            // RFC 3550 §5.1
constexpr size_t kRtcpHeaderBytes = 8;            // RFC 3550 §6.4.1: all that SRTCP leaves in clear
constexpr size_t kPacketBytesMax = 1500;
constexpr unsigned long kReplayWindow = 128;      // RFC 3711 §3.3.2 asks for 64 at least.

// The library keeps its tables in globals of its own, so this is once a process, on the control thread.
bool LibraryStands() {
  static const bool stands = srtp_init() == srtp_err_status_ok && UseOpenSslTypes();
  return stands;
}

bool SetSuite(SrtpSuite suite, srtp_policy_t* policy) {
  switch (suite) {
    case SrtpSuite::kAesCm128HmacSha1_80:
      srtp_crypto_policy_set_rtp_default(&policy->rtp);
      srtp_crypto_policy_set_rtcp_default(&policy->rtcp);
      return true;
    case SrtpSuite::kAesCm128HmacSha1_32:
      srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy->rtp);
      srtp_crypto_policy_set_rtcp_default(&policy->rtcp);
      return true;
    case SrtpSuite::kAeadAes128Gcm:
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtp);
      srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy->rtcp);
      return true;
    case SrtpSuite::kAeadAes256Gcm:
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtp);
      srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy->rtcp);
      return true;
    case SrtpSuite::kNone:
      return false;
  }
  return false;
}

bool MakePolicy(const SrtpKey& key, srtp_ssrc_t ssrc, SrtpKey* copy, srtp_policy_t* policy) {
  *policy = srtp_policy_t{};
  *copy = key;
  if (!SetSuite(key.suite, policy)) return false;
  policy->ssrc = ssrc;
  policy->key = copy->bytes.data();
  policy->window_size = kReplayWindow;
  return true;
}

srtp_t CreateSession(const SrtpKey& key, srtp_ssrc_t ssrc) {
  srtp_policy_t policy;
  SrtpKey copy;
  srtp_t session = nullptr;
  if (!LibraryStands() || !MakePolicy(key, ssrc, &copy, &policy)) return nullptr;
  return srtp_create(&session, &policy) == srtp_err_status_ok ? session : nullptr;
}

SrtpVerdict VerdictOf(srtp_err_status_t status) {
  if (status == srtp_err_status_ok) return SrtpVerdict::kAuthentic;
  if (status == srtp_err_status_replay_fail || status == srtp_err_status_replay_old) return SrtpVerdict::kReplayed;
  return SrtpVerdict::kUnauthentic;
}

}  // namespace

size_t SrtpKeyBytes(SrtpSuite suite) {
  switch (suite) {
    case SrtpSuite::kAesCm128HmacSha1_80:
    case SrtpSuite::kAesCm128HmacSha1_32:
      return 30;                                  // RFC 4568 §6.2: 128 bits of key, 112 of salt.
    case SrtpSuite::kAeadAes128Gcm:
      return 28;                                  // RFC 7714 §12: 96 bits of salt.
    case SrtpSuite::kAeadAes256Gcm:
      return 44;
    case SrtpSuite::kNone:
      return 0;
  }
  return 0;
}

SrtpKey::~SrtpKey() { OPENSSL_cleanse(bytes.data(), bytes.size()); }

SrtpSession::~SrtpSession() { srtp_dealloc(session_); }

std::unique_ptr<SrtpSender> SrtpSender::Create(const SrtpKey& key, uint32_t ssrc, uint16_t first_sequence_number) {
  // The one SSRC is named here: a template would make its stream at the first packet, on the media thread.
  srtp_t session = CreateSession(key, {ssrc_specific, ssrc});
  if (session == nullptr) return nullptr;
  const auto first = static_cast<uint16_t>(first_sequence_number & 0x7fff);
  return std::unique_ptr<SrtpSender>(new SrtpSender(key, session, ssrc, first));
}

bool SrtpSender::ProtectRtp(uint8_t* packet, size_t* length) {
  int bytes = static_cast<int>(*length);
  if (srtp_protect(session_, packet, &bytes) != srtp_err_status_ok) return false;
  *length = static_cast<size_t>(bytes);
  return true;
}

bool SrtpSender::ProtectRtcp(uint8_t* packet, size_t* length) {
  int bytes = static_cast<int>(*length);
  if (srtp_protect_rtcp(session_, packet, &bytes) != srtp_err_status_ok) return false;
  *length = static_cast<size_t>(bytes);
  return true;
}

std::unique_ptr<SrtpReceiver> SrtpReceiver::Create(const SrtpKey& key, uint32_t roc_max) {
  srtp_t session = CreateSession(key, {ssrc_any_inbound, 0});
  if (session == nullptr) return nullptr;
  return std::unique_ptr<SrtpReceiver>(new SrtpReceiver(key, session, std::min(roc_max, kSrtpRocSearchMax)));
}

SrtpReceiver::Source* SrtpReceiver::Find(uint32_t ssrc) {
  for (size_t i = 0; i < source_count_; ++i) {
    if (sources_[i].ssrc == ssrc) return &sources_[i];
  }
  return nullptr;
}

void SrtpReceiver::Remember(uint32_t ssrc, bool has_sent_rtp) {
  Source* known = Find(ssrc);
  if (known == nullptr) known = &sources_[source_count_++];
  known->ssrc = ssrc;
  known->has_sent_rtp = known->has_sent_rtp || has_sent_rtp;
}

SrtpVerdict SrtpReceiver::OpenRtp(std::span<uint8_t> packet, uint64_t now_us, size_t* length) {
  if (packet.size() < kRtpHeaderBytes || packet.size() > kPacketBytesMax) return SrtpVerdict::kUnauthentic;
  const uint32_t ssrc = ReadU32(&packet[8]);
  const Source* known = Find(ssrc);
  if (known == nullptr && source_count_ == kSrtpSourcesMax) return SrtpVerdict::kTooManySources;
  const bool has_sent_rtp = known != nullptr && known->has_sent_rtp;
  if (!has_sent_rtp && roc_max_ > 0 && now_us - last_search_us_ >= kSrtpRocSearchEveryUs) {
    last_search_us_ = now_us;
    const SrtpVerdict verdict = SearchRoc(packet, ssrc, known != nullptr, length);
    if (verdict == SrtpVerdict::kAuthentic) Remember(ssrc, true);
    if (verdict != SrtpVerdict::kUnauthentic) return verdict;
  }
  int bytes = static_cast<int>(packet.size());
  const SrtpVerdict verdict = VerdictOf(srtp_unprotect(session_, packet.data(), &bytes));
  if (verdict != SrtpVerdict::kAuthentic) return verdict;
  if (!has_sent_rtp) Remember(ssrc, true);
  *length = static_cast<size_t>(bytes);
  return verdict;
}

// RFC 3711 §3.3.1: whoever joins late must be told the roll-over counter. Nobody tells us, but the tag covers it, so a
// wrong one is not authentic. The highest first: what an attacker kept from before must not be taken for the present.
// Counter 0 is left to the ordinary way, after this one.
SrtpVerdict SrtpReceiver::SearchRoc(std::span<uint8_t> packet, uint32_t ssrc, bool has_stream, size_t* length) {
  if (!has_stream) {
    srtp_policy_t policy;
    SrtpKey copy;
    if (!MakePolicy(key_, {ssrc_specific, ssrc}, &copy, &policy)) return SrtpVerdict::kUnauthentic;
    if (srtp_add_stream(session_, &policy) != srtp_err_status_ok) return SrtpVerdict::kUnauthentic;
  }
  // GCM deciphers before it compares, so every try has a copy of its own.
  std::array<uint8_t, kPacketBytesMax> copy;
  for (uint32_t roc = roc_max_; roc > 0; --roc) {
    if (srtp_set_stream_roc(session_, ssrc, roc) != srtp_err_status_ok) break;
    std::memcpy(copy.data(), packet.data(), packet.size());
    int bytes = static_cast<int>(packet.size());
    if (srtp_unprotect(session_, copy.data(), &bytes) != srtp_err_status_ok) continue;
    std::memcpy(packet.data(), copy.data(), static_cast<size_t>(bytes));
    *length = static_cast<size_t>(bytes);
    return SrtpVerdict::kAuthentic;
  }
  // A set counter waits for its packet, so the stream goes; where RTCP had made it, it begins again at 0.
  if (has_stream) {
    (void)srtp_set_stream_roc(session_, ssrc, 0);
  } else {
    unsigned int in_network_order;
    std::memcpy(&in_network_order, &packet[8], sizeof in_network_order);
    (void)srtp_remove_stream(session_, in_network_order);
  }
  return SrtpVerdict::kUnauthentic;
}

SrtpVerdict SrtpReceiver::OpenRtcp(std::span<uint8_t> packet, size_t* length) {
  if (packet.size() < kRtcpHeaderBytes || packet.size() > kPacketBytesMax) return SrtpVerdict::kUnauthentic;
  const uint32_t ssrc = ReadU32(&packet[4]);
  if (Find(ssrc) == nullptr && source_count_ == kSrtpSourcesMax) return SrtpVerdict::kTooManySources;
  int bytes = static_cast<int>(packet.size());
  const SrtpVerdict verdict = VerdictOf(srtp_unprotect_rtcp(session_, packet.data(), &bytes));
  if (verdict != SrtpVerdict::kAuthentic) return verdict;
  Remember(ssrc, false);
  *length = static_cast<size_t>(bytes);
  return verdict;
}

}  // namespace hushtone
