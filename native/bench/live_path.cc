// A caller's audio with lost packets through a leg as calls have it: jitter buffer, concealment, detector. In: raw, 16 bit
// little-endian, 8 kHz, mono. Out: a line "<ms> <key>" for each press, at the end of the frame that decided, in time of the
// stream (the jitter buffer's delay apart).
//   live_path FILE LOST [PLAYED.raw]     LOST: an octet a packet of 20 ms, 0 where it comes. PLAYED: what others hear of it
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "audio/playout_buffer.h"
#include "base/bytes.h"
#include "bench/raw.h"
#include "leg/leg.h"

using namespace hushtone;

namespace {

constexpr uint64_t kFrameMs = 20;
constexpr uint64_t kStartMs = 1000;
constexpr char kKeys[] = "0123456789*#ABCD";
const Endpoint kPeer{4, 4000, {127, 0, 0, 1}};

using Payload = std::array<uint8_t, kFrameSamples>;

void Print(size_t frame, uint64_t delay_ms, uint8_t event) {
  std::printf("%.1f %c\n", static_cast<double>((frame + 1) * kFrameMs) - static_cast<double>(delay_ms), kKeys[event]);
}

void ThroughLeg(const std::vector<Payload>& payloads, const std::vector<char>& lost) {
  LegMedia media;
  media.remote = kPeer;
  media.dtmf = DtmfMode::kInband;
  Leg leg(media, 1, 1, 0, 200);
  std::array<uint8_t, kRtpHeaderBytes + kFrameSamples> packet{};
  std::array<KeyHeard, kKeysHeardMax> keys;
  for (size_t i = 0; i < payloads.size(); ++i) {
    const uint64_t now_ms = kStartMs + i * kFrameMs;
    if (i >= lost.size() || lost[i] == 0) {
      packet[0] = 0x80;
      WriteU16(packet.data() + 2, static_cast<uint16_t>(i));
      WriteU32(packet.data() + 4, static_cast<uint32_t>(i * kFrameSamples));
      WriteU32(packet.data() + 8, 7);
      std::memcpy(packet.data() + kRtpHeaderBytes, payloads[i].data(), kFrameSamples);
      (void)leg.OnRtp(packet, kPeer, now_ms * 1000, keys.data());
    }
    size_t count = 0;
    (void)leg.Listen(now_ms, keys.data(), &count);
    for (size_t key = 0; key < count; ++key) {
      if (keys[key].begins) Print(i, leg.playout_delay_ms(), keys[key].event);
    }
  }
}

// What others hear of it, without the delay.
void Play(const std::vector<Payload>& payloads, const std::vector<char>& lost, const char* path) {
  PlayoutBuffer playout;
  std::vector<int16_t> played;
  for (size_t i = 0; i < payloads.size(); ++i) {
    if (i >= lost.size() || lost[i] == 0) playout.Put(static_cast<uint32_t>(i * kFrameSamples), payloads[i], Law::kMu);
    std::array<int16_t, kFrameSamples> frame;
    (void)playout.Take(frame.data());
    played.insert(played.end(), frame.begin(), frame.end());
  }
  bench::WriteRaw(path, std::span(played).subspan(size_t{playout.delay_ms()} * 8));
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3 && count != 4) {
    std::fprintf(stderr, "usage: live_path FILE LOST [PLAYED.raw]\n");
    return 2;
  }
  const std::vector<int16_t> samples = bench::ReadRaw(arguments[1]);
  std::ifstream file(arguments[2], std::ios::binary);
  const std::vector<char> lost((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<Payload> payloads(samples.size() / kFrameSamples);
  for (size_t i = 0; i < payloads.size(); ++i) Encode(Law::kMu, std::span(samples).subspan(i * kFrameSamples, kFrameSamples), payloads[i].data());
  ThroughLeg(payloads, lost);
  if (count == 4) Play(payloads, lost, arguments[3]);
  return 0;
}
