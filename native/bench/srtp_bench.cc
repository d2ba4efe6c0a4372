// What SRTP adds to one packet of G.711: ns and allocations of protecting and of opening, a line a suite. First libsrtp2
// with the ciphers it was built with (the peer), then ours.
//   srtp_bench PACKETS
#include <malloc.h>
#include <srtp2/srtp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "srtp/srtp.h"

// Of glibc; ours below count and pass on.
extern "C" void* __libc_malloc(size_t);
extern "C" void* __libc_calloc(size_t, size_t);

namespace {
bool counting = false;
unsigned long allocations = 0;
}  // namespace

extern "C" void* malloc(size_t size) {
  if (counting) ++allocations;
  return __libc_malloc(size);
}
extern "C" void* calloc(size_t count, size_t size) {
  if (counting) ++allocations;
  return __libc_calloc(count, size);
}

using namespace hushtone;

namespace {

constexpr uint32_t kSsrc = 0x48555348;
constexpr size_t kPlainBytes = 172;               // 20 ms of G.711
constexpr size_t kBatch = 512;                    // Packets between two looks at the clock.
constexpr size_t kSessionPairs = 256;
constexpr int kRounds = 5;                        // The quickest counts: the others met somebody else's work.

using Clock = std::chrono::steady_clock;
struct Packet {
  uint8_t bytes[256];
  size_t length;
};

struct Cost {
  double protect_ns = 0, open_ns = 0, protect_allocations = 0, open_allocations = 0;
};

const char* NameOf(SrtpSuite suite) {
  switch (suite) {
    case SrtpSuite::kAesCm128HmacSha1_80: return "AES_CM_128_HMAC_SHA1_80";
    case SrtpSuite::kAesCm128HmacSha1_32: return "AES_CM_128_HMAC_SHA1_32";
    case SrtpSuite::kAeadAes128Gcm: return "AEAD_AES_128_GCM";
    case SrtpSuite::kAeadAes256Gcm: return "AEAD_AES_256_GCM";
    case SrtpSuite::kNone: break;
  }
  return "none";
}

SrtpKey KeyOf(SrtpSuite suite) {
  SrtpKey key;
  key.suite = suite;
  for (size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<uint8_t>(i * 7 + 1);
  return key;
}

void Write(Packet* packet, uint32_t index) {
  packet->length = kPlainBytes;
  std::memset(packet->bytes, 0xff, sizeof packet->bytes);
  packet->bytes[0] = 0x80;
  packet->bytes[1] = 0;
  WriteU16(packet->bytes + 2, static_cast<uint16_t>(index));
  WriteU32(packet->bytes + 4, index * 160);
  WriteU32(packet->bytes + 8, kSsrc);
}

template <typename Protect, typename Open>
bool Measure(size_t packets, Protect protect, Open open, Cost* best) {
  std::vector<Packet> batch(kBatch);
  uint32_t index = 0;
  *best = Cost{1e9, 1e9, 0, 0};
  for (int round = 0; round < kRounds; ++round) {
    Clock::duration protect_time{}, open_time{};
    unsigned long protect_allocations = 0, open_allocations = 0;
    size_t done = 0;
    for (; done < packets / kRounds; done += kBatch) {
      for (Packet& packet : batch) Write(&packet, ++index);
      bool good = true;
      allocations = 0;
      counting = true;
      const auto begun = Clock::now();
      for (Packet& packet : batch) good = protect(&packet) && good;
      const auto middle = Clock::now();
      protect_allocations += allocations;
      allocations = 0;
      for (Packet& packet : batch) good = open(&packet) && good;
      const auto ended = Clock::now();
      open_allocations += allocations;
      counting = false;
      if (!good || batch[0].length != kPlainBytes) return false;
      protect_time += middle - begun;
      open_time += ended - middle;
    }
    const auto each = [done](auto time) { return std::chrono::duration<double, std::nano>(time).count() / static_cast<double>(done); };
    best->protect_ns = std::min(best->protect_ns, each(protect_time));
    best->open_ns = std::min(best->open_ns, each(open_time));
    // Of the last round: what a source's first packet allocates is not in it.
    best->protect_allocations = static_cast<double>(protect_allocations) / static_cast<double>(done);
    best->open_allocations = static_cast<double>(open_allocations) / static_cast<double>(done);
  }
  return true;
}

bool MeasureAsBuilt(SrtpSuite suite, size_t packets, Cost* cost) {
  SrtpKey key = KeyOf(suite);
  srtp_policy_t policy{};
  switch (suite) {
    case SrtpSuite::kAesCm128HmacSha1_80: srtp_crypto_policy_set_rtp_default(&policy.rtp); break;
    case SrtpSuite::kAesCm128HmacSha1_32: srtp_crypto_policy_set_aes_cm_128_hmac_sha1_32(&policy.rtp); break;
    case SrtpSuite::kAeadAes128Gcm: srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp); break;
    case SrtpSuite::kAeadAes256Gcm: srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp); break;
    case SrtpSuite::kNone: return false;
  }
  policy.rtcp = policy.rtp;
  policy.key = key.bytes.data();
  policy.window_size = 128;
  policy.ssrc = {ssrc_specific, kSsrc};
  srtp_t sender = nullptr, receiver = nullptr;
  if (srtp_create(&sender, &policy) != srtp_err_status_ok || srtp_create(&receiver, &policy) != srtp_err_status_ok) return false;
  const auto run = [](srtp_err_status_t (*function)(srtp_t, void*, int*), srtp_t session) {
    return [function, session](Packet* packet) {
      int length = static_cast<int>(packet->length);
      const bool good = function(session, packet->bytes, &length) == srtp_err_status_ok;
      packet->length = static_cast<size_t>(length);
      return good;
    };
  };
  const bool good = Measure(packets, run(srtp_protect, sender), run(srtp_unprotect, receiver), cost);
  srtp_dealloc(sender);
  srtp_dealloc(receiver);
  return good;
}

bool MeasureOurs(SrtpSuite suite, size_t packets, Cost* cost, size_t* session_bytes) {
  auto sender = SrtpSender::Create(KeyOf(suite), kSsrc, 1);
  auto receiver = SrtpReceiver::Create(KeyOf(suite), 0);
  if (sender == nullptr || receiver == nullptr) return false;
  // Of many, because the first of a kind loads what all share.
  std::vector<std::unique_ptr<SrtpSession>> sessions;
  sessions.reserve(2 * kSessionPairs);
  const size_t before = mallinfo2().uordblks;
  for (size_t i = 0; i < kSessionPairs; ++i) {
    sessions.push_back(SrtpSender::Create(KeyOf(suite), kSsrc, 1));
    sessions.push_back(SrtpReceiver::Create(KeyOf(suite), 0));
  }
  *session_bytes = (mallinfo2().uordblks - before) / kSessionPairs;
  return Measure(
      packets, [&](Packet* packet) { return sender->ProtectRtp(packet->bytes, &packet->length); },
      [&](Packet* packet) {
        return receiver->OpenRtp(std::span(packet->bytes, packet->length), 0, &packet->length) == SrtpVerdict::kAuthentic;
      },
      cost);
}

}  // namespace

int main(int count, char** arguments) {
  const size_t packets = count == 2 ? std::strtoul(arguments[1], nullptr, 10) : 0;
  if (packets == 0) {
    std::fprintf(stderr, "usage: srtp_bench PACKETS\n");
    return 2;
  }
  if (srtp_init() != srtp_err_status_ok) return 1;
  constexpr SrtpSuite kSuites[] = {SrtpSuite::kAesCm128HmacSha1_80, SrtpSuite::kAesCm128HmacSha1_32, SrtpSuite::kAeadAes128Gcm,
                                   SrtpSuite::kAeadAes256Gcm};
  Cost as_built[std::size(kSuites)];
  for (size_t i = 0; i < std::size(kSuites); ++i) {
    if (!MeasureAsBuilt(kSuites[i], packets, &as_built[i])) return 1;
  }
  // From here on the library uses our types; it can be started once only.
  if (srtp_shutdown() != srtp_err_status_ok) return 1;
  for (size_t i = 0; i < std::size(kSuites); ++i) {
    Cost ours;
    size_t session_bytes = 0;
    if (!MeasureOurs(kSuites[i], packets, &ours, &session_bytes)) return 1;
    std::printf("{\"suite\":\"%s\",\"protectNs\":%.0f,\"openNs\":%.0f,\"allocations\":%.3f,\"asBuiltProtectNs\":%.0f,"
                "\"asBuiltOpenNs\":%.0f,\"asBuiltAllocations\":%.3f,\"bytes\":%zu}\n",
                NameOf(kSuites[i]), ours.protect_ns, ours.open_ns, ours.protect_allocations + ours.open_allocations,
                as_built[i].protect_ns, as_built[i].open_ns, as_built[i].protect_allocations + as_built[i].open_allocations,
                session_bytes);
  }
  return 0;
}
