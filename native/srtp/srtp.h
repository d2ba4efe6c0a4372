// SRTP and SRTCP (RFC 3711, RFC 7714): one object a leg and direction, around libsrtp2.
//
// Made and freed on the control thread, used by the media thread in between. Where the keys come from (SDES now, a DTLS
// handshake one day) is not known here. What each call allocates is said at the call; packets of a source once heard
// allocate nothing.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct srtp_ctx_t_;

namespace hushtone {

// Numbers as in contract.ts: SRTP_SUITES.
enum class SrtpSuite : uint8_t {
  kNone = 0,
  kAesCm128HmacSha1_80 = 1,                       // RFC 4568 §6.2.1
  kAesCm128HmacSha1_32 = 2,                       // RFC 4568 §6.2.2; SRTCP keeps its tag of 80 bits
  kAeadAes128Gcm = 3,                             // RFC 7714 §12
  kAeadAes256Gcm = 4,
};

constexpr size_t kSrtpKeyBytesMax = 44;           // AEAD_AES_256_GCM: 32 of key, 12 of salt.
// What protection adds at most: a tag of 16 bytes, and in SRTCP the index of 4 (RFC 3711 §3.4).
constexpr size_t kSrtpTrailerBytesMax = 20;
// Sources heard under one key. A peer has one or two; each call on hold may bring a new one. What has been heard stays
// known while its key lives: forgotten, its packets could be played again (RFC 3711 §3.3.2).
constexpr size_t kSrtpSourcesMax = 32;
// Roll-over counters tried for a source whose beginning was not heard: 64 wraps are 11 hours of packets every 10 ms.
constexpr uint32_t kSrtpRocSearchMax = 64;
// One search in a packet time: whoever sends what cannot be read makes nobody search all day.
constexpr uint64_t kSrtpRocSearchEveryUs = 20000;

size_t SrtpKeyBytes(SrtpSuite suite);

// Master key, then master salt, as `inline:` has them (RFC 4568 §6.1). Wiped when it goes.
struct SrtpKey {
  SrtpSuite suite = SrtpSuite::kNone;
  std::array<uint8_t, kSrtpKeyBytesMax> bytes{};

  SrtpKey() = default;
  SrtpKey(const SrtpKey&) = default;
  SrtpKey& operator=(const SrtpKey&) = default;
  ~SrtpKey();
  bool operator==(const SrtpKey&) const = default;
};

enum class SrtpVerdict : uint8_t {
  kAuthentic,
  kUnauthentic,                                   // Another key's, changed on its way, or plain.
  kReplayed,                                      // Heard before, or older than the window of 128 packets.
  kTooManySources,
};

// What both directions share: the library's session, freed with the object, and whether the media thread is done with it.
class SrtpSession {
 public:
  virtual ~SrtpSession();
  SrtpSession(const SrtpSession&) = delete;
  SrtpSession& operator=(const SrtpSession&) = delete;

  const SrtpKey& key() const { return key_; }
  // Media thread, last of all; the control thread frees what is retired.
  void Retire() { retired_.store(true, std::memory_order_release); }
  bool IsRetired() const { return retired_.load(std::memory_order_acquire); }

 protected:
  SrtpSession(const SrtpKey& key, srtp_ctx_t_* session) : key_(key), session_(session) {}

  const SrtpKey key_;
  srtp_ctx_t_* const session_;

 private:
  std::atomic<bool> retired_{false};
};

// What we send. A key goes with one SSRC of ours and no other: the pair, with the packet's index, makes the key stream,
// and no part of that may ever be used twice (RFC 3711 §9.1).
class SrtpSender final : public SrtpSession {
 public:
  // Control thread. Null where the library refuses.
  static std::unique_ptr<SrtpSender> Create(const SrtpKey& key, uint32_t ssrc, uint16_t first_sequence_number);

  uint32_t ssrc() const { return ssrc_; }
  // Below 2^15, so that a receiver that misses the first packets cannot mistake the first wrap (RFC 3711 §3.3.1).
  uint16_t first_sequence_number() const { return first_sequence_number_; }

  // In place; the packet has room for kSrtpTrailerBytesMax more. False: it must not be sent. Allocates nothing.
  bool ProtectRtp(uint8_t* packet, size_t* length);
  bool ProtectRtcp(uint8_t* packet, size_t* length);

 private:
  SrtpSender(const SrtpKey& key, srtp_ctx_t_* session, uint32_t ssrc, uint16_t first_sequence_number)
      : SrtpSession(key, session), ssrc_(ssrc), first_sequence_number_(first_sequence_number) {}

  const uint32_t ssrc_;
  const uint16_t first_sequence_number_;
};

// What we hear. `roc_max` is the highest roll-over counter that the peer's stream may have reached before its first packet
// comes here: 0 for a stream heard from its beginning, more for a leg that was made again in the middle of a call.
class SrtpReceiver final : public SrtpSession {
 public:
  // Control thread. Null where the library refuses.
  static std::unique_ptr<SrtpReceiver> Create(const SrtpKey& key, uint32_t roc_max);

  // In place; `length` becomes the plain packet's. Unless authentic, the bytes mean nothing any more. The first authentic
  // packet of a source allocates (4 times, 300 bytes in libsrtp 2.5), at most kSrtpSourcesMax times; a search allocates too.
  SrtpVerdict OpenRtp(std::span<uint8_t> packet, uint64_t now_us, size_t* length);
  SrtpVerdict OpenRtcp(std::span<uint8_t> packet, size_t* length);

 private:
  struct Source {
    uint32_t ssrc = 0;
    bool has_sent_rtp = false;                    // Its roll-over counter is known.
  };

  SrtpReceiver(const SrtpKey& key, srtp_ctx_t_* session, uint32_t roc_max)
      : SrtpSession(key, session), roc_max_(roc_max) {}
  Source* Find(uint32_t ssrc);
  void Remember(uint32_t ssrc, bool has_sent_rtp);
  SrtpVerdict SearchRoc(std::span<uint8_t> packet, uint32_t ssrc, bool has_stream, size_t* length);

  const uint32_t roc_max_;
  std::array<Source, kSrtpSourcesMax> sources_{};
  size_t source_count_ = 0;
  uint64_t last_search_us_ = 0;
};

}  // namespace hushtone
