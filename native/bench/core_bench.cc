// What a packet costs in our own code, without sockets: LEGS legs in calls of PARTIES (not said: 2), everybody heard by
// everybody else, stepped for SECONDS of call time. Prints nanoseconds per packet (one received and one sent) and bytes per leg.
//   core_bench LEGS SECONDS [CODEC [CODEC [PARTIES]]]
// CODEC: pcmu (not said), pcma, g722 or opus; the second is that of every other leg, otherwise the same.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "call/media_core.h"

using namespace hushtone;

namespace {

constexpr size_t kPayloads = 4096;
const Endpoint kPeer{4, 4000, {127, 0, 0, 1}};

class Sink final : public PacketSink {
 public:
  void SendRtp(uint16_t, std::span<const uint8_t> bytes, const Endpoint&) override {
    ++sent;
    sum += bytes[bytes.size() - 1];
  }
  void SendRtcp(uint16_t, std::span<const uint8_t>, const Endpoint&) override {}
  void Closed(uint16_t) override {}
  uint64_t sent = 0;
  uint64_t sum = 0;
};

Codec CodecNamed(const std::string& name) {
  return name == "pcma" ? Codec::kPcma : name == "g722" ? Codec::kG722 : name == "opus" ? Codec::kOpus : Codec::kPcmu;
}

// Noise, different for each packet: what is heard must not sit in the cache of the processor.
std::vector<std::vector<uint8_t>> MakePayloads(Codec codec) {
  std::vector<std::vector<uint8_t>> payloads(kPayloads);
  uint32_t noise = 1;
  const auto encoder = MakeEncoder(codec);
  int32_t low = 0;
  for (auto& payload : payloads) {
    std::array<int16_t, kFrameSamples> frame;
    payload.resize(encoder == nullptr ? kFrameSamples : kEncodedBytesMax);
    for (size_t i = 0; i < kFrameSamples; ++i) {
      noise = noise * 1664525 + 1013904223;
      if (encoder == nullptr) payload[i] = static_cast<uint8_t>(noise >> 24);
      low += (static_cast<int16_t>(noise >> 16) / 4 - low) / 4;   // Some colour, or a speech codec would see no speech.
      frame[i] = static_cast<int16_t>(low);
    }
    if (encoder != nullptr) payload.resize(encoder->Encode(frame, payload.data()));
  }
  return payloads;
}

}  // namespace

int main(int count, char** arguments) {
  const int parties = count > 5 ? std::atoi(arguments[5]) : 2;
  if (count < 3 || count > 6 || parties < 1 || parties > static_cast<int>(kLegsPerCallMax)) {
    std::fprintf(stderr, "usage: core_bench LEGS SECONDS [CODEC [CODEC [PARTIES]]], PARTIES at most %zu\n", kLegsPerCallMax);
    return 2;
  }
  const auto legs = static_cast<uint16_t>(std::atoi(arguments[1]));
  const int seconds = std::atoi(arguments[2]);
  const Codec codecs[] = {CodecNamed(count > 3 ? arguments[3] : "pcmu"), CodecNamed(arguments[count > 4 ? 4 : count > 3 ? 3 : 0])};
  BrandTable brands;
  brands.brands.resize(1);
  brands.brands[0].name = "any";
  std::string error;
  auto vault = Vault::Create(brands, &error);
  if (vault == nullptr) {
    std::fprintf(stderr, "core_bench: %s\n", error.c_str());
    return 1;
  }
  RecordingTable recordings;
  SpscRing<EngineEvent> events(1024);
  auto core = std::make_unique<MediaCore>(EngineLimits{}, std::move(vault), recordings, events);
  Sink sink;
  std::vector<std::unique_ptr<Leg>> owned;
  for (uint16_t i = 0; i < legs; ++i) {
    Command command;
    command.kind = Command::Kind::kOpenLeg;
    command.leg = i;
    command.handle = i | 1U << 16;
    command.call = static_cast<uint16_t>(i / parties);
    command.media.remote = kPeer;
    command.media.codec = codecs[i % 2];
    owned.push_back(std::make_unique<Leg>(command.media, i, uint16_t{0}, 0U, 200U, CodedAudio::Create(codecs[i % 2], 200)));
    command.opened = owned.back().get();
    core->Execute(command, sink);
    Command routes;
    routes.kind = Command::Kind::kSetRoutes;
    routes.call = command.call;
    for (auto from = static_cast<uint16_t>(command.call * parties); from <= i; ++from) {
      for (auto to = static_cast<uint16_t>(command.call * parties); to <= i; ++to) {
        if (from != to) (void)routes.AddRoute(from, to, false);
      }
    }
    core->Execute(routes, sink);
  }
  const std::vector<std::vector<uint8_t>> payloads[] = {MakePayloads(codecs[0]), MakePayloads(codecs[1])};

  uint64_t now_us = 1'000'000'000;
  uint64_t received = 0;
  std::vector<uint16_t> sequence(legs, 1);
  uint8_t packet[kRtpHeaderBytes + kEncodedBytesMax] = {};
  timespec before;
  timespec after;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
  for (uint64_t tick = 0; tick < static_cast<uint64_t>(seconds) * 1000 / kSlotMs; ++tick) {
    now_us += kSlotMs * 1000;
    for (auto i = static_cast<uint16_t>(tick % kSlots); i < legs; i = static_cast<uint16_t>(i + kSlots)) {
      const std::vector<uint8_t>& payload = payloads[i % 2][received * 31 % kPayloads];
      packet[0] = 0x80;                               // A packet with a key is wiped.
      WriteU16(packet + 2, sequence[i]);
      WriteU32(packet + 4, uint32_t{sequence[i]++} * 160 * TimestampScale(codecs[i % 2]));
      WriteU32(packet + 8, i);
      std::copy(payload.begin(), payload.end(), packet + kRtpHeaderBytes);
      core->OnRtp(i, std::span(packet, kRtpHeaderBytes + payload.size()), kPeer, now_us);
      ++received;
    }
    core->Tick(tick, now_us, sink);
  }
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
  const double ns = static_cast<double>(after.tv_sec - before.tv_sec) * 1e9 + static_cast<double>(after.tv_nsec - before.tv_nsec);
  std::printf("{\"legs\":%u,\"received\":%llu,\"sent\":%llu,\"nsPerPacket\":%.0f,\"bytesPerLeg\":%zu,\"sum\":%llu}\n", unsigned{legs},
              static_cast<unsigned long long>(received), static_cast<unsigned long long>(sink.sent),
              ns / static_cast<double>(received), sizeof(Leg) + (IsG711(codecs[0]) ? 0 : sizeof(CodedAudio)), static_cast<unsigned long long>(sink.sum));
  return 0;
}
