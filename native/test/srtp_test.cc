// SRTP by vectors computed without libsrtp2, and what a leg makes of it: no clear packet in or out, keys that change, the
// roll-over counter of a call whose beginning nobody here heard.
#include "srtp/srtp.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "check.h"
#include "leg/leg.h"
#include "rtp/packet.h"
#include "srtp_vectors.h"

#if defined(__SANITIZE_ADDRESS__)
// Of the sanitizer's runtime; g++ brings no header for it.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t),
                                                         void (*freed)(const volatile void*));
#endif

using namespace hushtone;
using Bytes = std::vector<uint8_t>;

namespace {

constexpr uint32_t kPeerSsrc = 0x50454552;
constexpr uint64_t kNowUs = 1'000'000'000;

#if defined(__SANITIZE_ADDRESS__)
size_t allocations = 0;
void CountAllocation(const volatile void*, size_t) { ++allocations; }
void IgnoreFree(const volatile void*) {}
#endif

Bytes FromHex(std::string_view text) {
  const auto value = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  Bytes bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes.push_back(static_cast<uint8_t>(value(text[i]) * 16 + value(text[i + 1])));
  return bytes;
}

SrtpKey KeyOf(SrtpSuite suite, std::string_view hex) {
  SrtpKey key;
  key.suite = suite;
  const Bytes bytes = FromHex(hex);
  CHECK(bytes.size() == SrtpKeyBytes(suite));
  std::copy(bytes.begin(), bytes.end(), key.bytes.begin());
  return key;
}

SrtpKey KeyOf(SrtpSuite suite, uint8_t seed = 1) {
  SrtpKey key;
  key.suite = suite;
  for (size_t i = 0; i < SrtpKeyBytes(suite); ++i) key.bytes[i] = static_cast<uint8_t>(i * 11 + seed);
  return key;
}

constexpr SrtpSuite kSuites[] = {SrtpSuite::kAesCm128HmacSha1_80, SrtpSuite::kAesCm128HmacSha1_32, SrtpSuite::kAeadAes128Gcm,
                                 SrtpSuite::kAeadAes256Gcm};

Bytes Rtp(uint16_t sequence_number, uint32_t ssrc = kPeerSsrc, uint8_t fill = 0x55) {
  Bytes bytes(172, fill);
  RtpPacket packet;
  packet.sequence_number = sequence_number;
  packet.timestamp = sequence_number * 160U;
  packet.ssrc = ssrc;
  WriteRtpHeader(packet, bytes.data());
  return bytes;
}

Bytes Protected(SrtpSender& sender, Bytes packet) {
  size_t length = packet.size();
  packet.resize(length + kSrtpTrailerBytesMax);
  CHECK(sender.ProtectRtp(packet.data(), &length));
  packet.resize(length);
  return packet;
}

SrtpVerdict Open(SrtpReceiver& receiver, Bytes packet, Bytes* plain = nullptr, uint64_t now_us = kNowUs) {
  size_t length = 0;
  const SrtpVerdict verdict = receiver.OpenRtp(packet, now_us, &length);
  if (plain != nullptr) plain->assign(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(length));
  return verdict;
}

void ProtectsAndOpensAsTheRfcsSay() {
  const Bytes rtp = FromHex(test::kPlainRtp);
  const Bytes rtcp = FromHex(test::kPlainRtcp);
  const uint32_t ssrc = ReadU32(&rtp[8]);
  for (const test::SrtpVector& row : test::kSrtpVectors) {
    const SrtpKey key = KeyOf(row.suite, row.key);
    auto sender = SrtpSender::Create(key, ssrc, 1);
    auto receiver = SrtpReceiver::Create(key, 0);
    CHECK(sender != nullptr && receiver != nullptr);
    CHECK(Protected(*sender, rtp) == FromHex(row.rtp_at_roc_0));
    Bytes plain;
    CHECK(Open(*receiver, FromHex(row.rtp_at_roc_0), &plain) == SrtpVerdict::kAuthentic);
    CHECK(plain == rtp);

    Bytes report = rtcp;
    size_t length = report.size();
    report.resize(length + kSrtpTrailerBytesMax);
    CHECK(sender->ProtectRtcp(report.data(), &length));
    report.resize(length);
    CHECK(report == FromHex(row.rtcp_at_1));
    CHECK(receiver->OpenRtcp(report, &length) == SrtpVerdict::kAuthentic);
    report.resize(length);
    CHECK(report == rtcp);
    Bytes again = FromHex(row.rtcp_at_1);
    CHECK(receiver->OpenRtcp(again, &length) == SrtpVerdict::kReplayed);

    auto late = SrtpReceiver::Create(key, 2);
    CHECK(Open(*late, FromHex(row.rtp_at_roc_2), &plain) == SrtpVerdict::kAuthentic);
    CHECK(plain == rtp);
  }
}

void HearsNothingThatWasChanged() {
  for (const SrtpSuite suite : kSuites) {
    auto sender = SrtpSender::Create(KeyOf(suite), kPeerSsrc, 1);
    auto receiver = SrtpReceiver::Create(KeyOf(suite), 0);
    const Bytes good = Protected(*sender, Rtp(7));
    for (size_t i = 0; i < good.size(); ++i) {
      Bytes bad = good;
      bad[i] = static_cast<uint8_t>(bad[i] ^ 0x01);
      CHECK(Open(*receiver, bad) == SrtpVerdict::kUnauthentic);
    }
    for (size_t length = 0; length < good.size(); length += 3) {
      CHECK(Open(*receiver, Bytes(good.begin(), good.begin() + static_cast<ptrdiff_t>(length))) == SrtpVerdict::kUnauthentic);
    }
    CHECK(Open(*receiver, Rtp(7)) == SrtpVerdict::kUnauthentic);
    auto other = SrtpReceiver::Create(KeyOf(suite, 2), 0);
    CHECK(Open(*other, good) == SrtpVerdict::kUnauthentic);
    CHECK(Open(*receiver, good) == SrtpVerdict::kAuthentic);
  }
}

void HearsEachPacketOnce() {
  for (const SrtpSuite suite : kSuites) {
    auto sender = SrtpSender::Create(KeyOf(suite), kPeerSsrc, 1);
    auto receiver = SrtpReceiver::Create(KeyOf(suite), 0);
    std::vector<Bytes> sent;
    for (uint16_t i = 0; i < 200; ++i) sent.push_back(Protected(*sender, Rtp(static_cast<uint16_t>(1000 + i))));
    CHECK(Open(*receiver, sent[1]) == SrtpVerdict::kAuthentic);
    CHECK(Open(*receiver, sent[0]) == SrtpVerdict::kAuthentic);   // Late, not heard yet.
    CHECK(Open(*receiver, sent[0]) == SrtpVerdict::kReplayed);
    CHECK(Open(*receiver, sent[1]) == SrtpVerdict::kReplayed);
    CHECK(Open(*receiver, sent[199]) == SrtpVerdict::kAuthentic);
    CHECK(Open(*receiver, sent[70]) == SrtpVerdict::kReplayed);   // Older than the window of 128.
    CHECK(Open(*receiver, sent[75]) == SrtpVerdict::kAuthentic);
  }
}

void GoesOnAcrossTheWrap() {
  auto sender = SrtpSender::Create(KeyOf(SrtpSuite::kAesCm128HmacSha1_80), kPeerSsrc, 1);
  auto receiver = SrtpReceiver::Create(KeyOf(SrtpSuite::kAesCm128HmacSha1_80), 0);
  for (uint32_t i = 32000; i < 66000; ++i) {
    const Bytes packet = Protected(*sender, Rtp(static_cast<uint16_t>(i)));
    if (i % 50 == 0 || (i > 65500 && i < 65600)) CHECK(Open(*receiver, packet) == SrtpVerdict::kAuthentic);
  }
}

void KnowsThirtyTwoSourcesAndForgetsNone() {
  const SrtpKey key = KeyOf(SrtpSuite::kAeadAes128Gcm);
  auto receiver = SrtpReceiver::Create(key, 0);
  Bytes first;
  for (uint32_t i = 0; i <= kSrtpSourcesMax; ++i) {
    auto sender = SrtpSender::Create(key, kPeerSsrc + i, 1);
    const Bytes packet = Protected(*sender, Rtp(1, kPeerSsrc + i));
    if (i == 0) first = packet;
    CHECK(Open(*receiver, packet) == (i < kSrtpSourcesMax ? SrtpVerdict::kAuthentic : SrtpVerdict::kTooManySources));
  }
  CHECK(Open(*receiver, first) == SrtpVerdict::kReplayed);
}

// A worker that took a call over in its second hour: the peer's counter is 2, and nobody says so.
void FindsTheRollOverCounterOfACallUnderWay() {
  for (const SrtpSuite suite : {SrtpSuite::kAesCm128HmacSha1_80, SrtpSuite::kAeadAes256Gcm}) {
    const SrtpKey key = KeyOf(suite);
    auto sender = SrtpSender::Create(key, kPeerSsrc, 1);
    std::vector<Bytes> sent;
    for (uint32_t i = 0; i < 2 * 65536 + 40; ++i) {
      Bytes packet = Protected(*sender, Rtp(static_cast<uint16_t>(i)));
      if (i >= 2 * 65536 + 20) sent.push_back(std::move(packet));
    }
    auto deaf = SrtpReceiver::Create(key, 0);
    CHECK(Open(*deaf, sent[0]) == SrtpVerdict::kUnauthentic);
    auto near = SrtpReceiver::Create(key, 1);
    CHECK(Open(*near, sent[0]) == SrtpVerdict::kUnauthentic);

    auto receiver = SrtpReceiver::Create(key, 5);
    // Junk comes first and has one search in a packet time; what comes within it is not searched for.
    Bytes junk = sent[0];
    junk[50] = static_cast<uint8_t>(junk[50] ^ 1);
    CHECK(Open(*receiver, junk, nullptr, kNowUs) == SrtpVerdict::kUnauthentic);
    CHECK(Open(*receiver, sent[1], nullptr, kNowUs + 1000) == SrtpVerdict::kUnauthentic);
    Bytes plain;
    CHECK(Open(*receiver, sent[2], &plain, kNowUs + kSrtpRocSearchEveryUs) == SrtpVerdict::kAuthentic);
    CHECK(plain == Rtp(22));
    CHECK(Open(*receiver, sent[3], nullptr, kNowUs + kSrtpRocSearchEveryUs + 1) == SrtpVerdict::kAuthentic);
    CHECK(Open(*receiver, sent[2], nullptr, kNowUs + kSrtpRocSearchEveryUs + 2) == SrtpVerdict::kReplayed);
    // A stream that begins now has counter 0 and is heard too.
    auto fresh = SrtpSender::Create(key, kPeerSsrc + 1, 1);
    CHECK(Open(*receiver, Protected(*fresh, Rtp(9, kPeerSsrc + 1)), nullptr, kNowUs + 100000) == SrtpVerdict::kAuthentic);

    // Its report came first: the library has a stream by then, and it is searched all the same.
    auto reported = SrtpReceiver::Create(key, 5);
    Bytes report(64, 0);
    report[0] = 0x80;
    report[1] = 201;
    report[3] = 1;
    WriteU32(&report[4], kPeerSsrc);
    size_t length = 8;
    CHECK(sender->ProtectRtcp(report.data(), &length));
    report.resize(length);
    CHECK(reported->OpenRtcp(report, &length) == SrtpVerdict::kAuthentic);
    CHECK(Open(*reported, sent[4]) == SrtpVerdict::kAuthentic);
  }
}

void AllocatesNothingForASourceOnceHeard() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_install_malloc_and_free_hooks(CountAllocation, IgnoreFree);
  for (const SrtpSuite suite : kSuites) {
    auto sender = SrtpSender::Create(KeyOf(suite), kPeerSsrc, 1);
    auto receiver = SrtpReceiver::Create(KeyOf(suite), 0);
    uint8_t packet[256];
    const Bytes plain = Rtp(0);
    size_t first = 0;
    size_t later = 0;
    for (uint16_t i = 0; i < 100; ++i) {
      size_t length = plain.size();
      std::memcpy(packet, plain.data(), length);
      WriteU16(packet + 2, i);
      const size_t before = allocations;
      const bool sent = sender->ProtectRtp(packet, &length);
      const SrtpVerdict verdict = receiver->OpenRtp(std::span(packet, length), kNowUs, &length);
      (i == 0 ? first : later) += allocations - before;
      CHECK(sent && verdict == SrtpVerdict::kAuthentic);
    }
    CHECK(first > 0 && first <= 4);
    CHECK(later == 0);
  }
#endif
}

// ------------------------------------------------------------------------------------------------------ a leg

const Endpoint kPeer{4, 40000, {127, 0, 0, 1}};
const Endpoint kElsewhere{4, 41000, {127, 0, 0, 2}};

LegMedia SecureMedia() {
  LegMedia media;
  media.remote = kPeer;
  media.send_event_payload_type = media.receive_event_payload_type = 101;
  media.secure = true;
  return media;
}

void SpeakFrame(Leg& leg, uint64_t now_ms) {
  const int16_t samples[kFrameSamples] = {};
  leg.Speak(samples, now_ms);
}

void SendsAndHearsNothingInClear() {
  Leg leg(SecureMedia(), 1, 1, 1, 200);
  KeyHeard keys[kKeysHeardMax];
  uint8_t out[kRtpPacketBytesMax];
  SpeakFrame(leg, 20);
  CHECK(leg.NextPacket(20, out) == 0);        // Keys are still to come.
  CHECK(leg.NextReport(kNowUs, out) == 0 && leg.NextReport(kNowUs + 60'000'000, out) == 0);
  CHECK(leg.Bye(out) == 0);
  Bytes plain = Rtp(1);
  CHECK(!leg.OnRtp(plain, kPeer, kNowUs, keys));
  CHECK(leg.counters.packets_unauthentic == 1 && leg.counters.packets_received == 0);

  const SrtpKey ours = KeyOf(SrtpSuite::kAesCm128HmacSha1_80, 3);
  const SrtpKey theirs = KeyOf(SrtpSuite::kAesCm128HmacSha1_80, 4);
  auto sender = SrtpSender::Create(ours, 777, 0xffff);
  auto receiver = SrtpReceiver::Create(theirs, 0);
  CHECK(sender->first_sequence_number() == 0x7fff);
  leg.SetSrtp(sender.get(), receiver.get());
  SpeakFrame(leg, 40);
  const size_t length = leg.NextPacket(40, out);
  CHECK(length == 12 + 160 + 10);
  CHECK(ReadU32(out + 8) == 777 && ReadU16(out + 2) == 0x7fff);
  auto peer_hears = SrtpReceiver::Create(ours, 0);
  size_t opened = 0;
  CHECK(peer_hears->OpenRtp(std::span(out, length), kNowUs, &opened) == SrtpVerdict::kAuthentic && opened == 172);

  plain = Rtp(1);
  CHECK(!leg.OnRtp(plain, kPeer, kNowUs, keys));
  CHECK(leg.counters.packets_unauthentic == 2);
  auto peer_says = SrtpSender::Create(theirs, kPeerSsrc, 1);
  Bytes first = Protected(*peer_says, Rtp(1));
  Bytes copy = first;
  (void)leg.OnRtp(first, kPeer, kNowUs, keys);
  (void)leg.OnRtp(copy, kPeer, kNowUs, keys);
  CHECK(leg.counters.packets_received == 1 && leg.counters.packets_replayed == 1);

  const size_t report = leg.NextReport(kNowUs + 120'000'000, out);
  CHECK(report > 0 && report <= kRtcpBytesMax);
  CHECK(peer_hears->OpenRtcp(std::span(out, report), &opened) == SrtpVerdict::kAuthentic);
  RtcpSeen seen;
  CHECK(ParseRtcp(std::span<const uint8_t>(out, opened), kPeerSsrc, &seen) && seen.has_report_on_us);
  const size_t bye = leg.Bye(out);
  CHECK(peer_hears->OpenRtcp(std::span(out, bye), &opened) == SrtpVerdict::kAuthentic && opened == 8);
}

// Behind NAT the peer's port may change in the middle of a call; a key says who he is, an address does not.
void FollowsThePeerThatHasTheKey() {
  const SrtpKey key = KeyOf(SrtpSuite::kAeadAes128Gcm);
  auto receiver = SrtpReceiver::Create(key, 0);
  auto sender = SrtpSender::Create(KeyOf(SrtpSuite::kAeadAes128Gcm, 9), 5, 1);
  Leg leg(SecureMedia(), 1, 1, 1, 200);
  KeyHeard keys[kKeysHeardMax];
  leg.SetSrtp(sender.get(), receiver.get());
  auto peer = SrtpSender::Create(key, kPeerSsrc, 1);
  Bytes here = Protected(*peer, Rtp(1));
  Bytes there = Protected(*peer, Rtp(2));
  Bytes forged = Rtp(3);
  (void)leg.OnRtp(here, kPeer, kNowUs, keys);
  CHECK(leg.destination() == kPeer);
  (void)leg.OnRtp(forged, kElsewhere, kNowUs, keys);
  CHECK(leg.destination() == kPeer);
  (void)leg.OnRtp(there, kElsewhere, kNowUs, keys);
  CHECK(leg.destination() == kElsewhere && leg.counters.packets_received == 2);
}

void TakesAnotherSsrcWithAnotherKey() {
  auto first = SrtpSender::Create(KeyOf(SrtpSuite::kAeadAes128Gcm, 1), 100, 5);
  auto second = SrtpSender::Create(KeyOf(SrtpSuite::kAeadAes128Gcm, 2), 200, 6);
  auto receiver = SrtpReceiver::Create(KeyOf(SrtpSuite::kAeadAes128Gcm, 3), 0);
  Leg leg(SecureMedia(), 1, 1, 1, 200);
  leg.SetSrtp(first.get(), receiver.get());
  uint8_t out[kRtpPacketBytesMax];
  SpeakFrame(leg, 20);
  CHECK(leg.NextPacket(20, out) > 0 && ReadU32(out + 8) == 100 && ReadU16(out + 2) == 5);
  leg.SetSrtp(first.get(), receiver.get());   // The same again goes on.
  SpeakFrame(leg, 40);
  CHECK(leg.NextPacket(40, out) > 0 && ReadU32(out + 8) == 100 && ReadU16(out + 2) == 6);
  CHECK(!first->IsRetired());
  leg.SetSrtp(second.get(), receiver.get());
  CHECK(first->IsRetired() && !second->IsRetired() && !receiver->IsRetired());
  SpeakFrame(leg, 60);
  CHECK(leg.NextPacket(60, out) > 0 && ReadU32(out + 8) == 200 && ReadU16(out + 2) == 6 && (out[1] & 0x80) != 0);
}

}  // namespace

int main() {
  ProtectsAndOpensAsTheRfcsSay();
  HearsNothingThatWasChanged();
  HearsEachPacketOnce();
  GoesOnAcrossTheWrap();
  KnowsThirtyTwoSourcesAndForgetsNone();
  FindsTheRollOverCounterOfACallUnderWay();
  AllocatesNothingForASourceOnceHeard();
  SendsAndHearsNothingInClear();
  FollowsThePeerThatHasTheKey();
  TakesAnotherSsrcWithAnotherKey();
  return test::Finish();
}
