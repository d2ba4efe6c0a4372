// libFuzzer entry of all that a leg hears and answers: the first bytes say what was negotiated, then come packets, reports and
// ticks in any order. Whatever comes, keys are keys, an end follows a beginning, and what is sent back is RTP.
//
//   op & 7   reads                                 does
//   -------  ------------------------------------  ---------------------------------------------------------
//   0        length, bytes                         a packet as it stands
//   1 - 4    steps of sequence and timestamp,      a packet of the audio, event, RED or noise type under one SSRC
//            length, bytes
//   5        length, bytes                         a report
//   6        1 to 16                               so many ticks of 20 ms: listen, speak what was heard, send
//   7        -                                     a wipe, another SSRC, or the same media again
#include <array>
#include <cstdlib>
#include <cstring>

#include "fuzz/fuzz_input.h"
#include "leg/leg.h"

using namespace hushtone;

namespace {

constexpr int16_t kAudioType = 97;
constexpr int16_t kEventType = 101;
constexpr int16_t kRedType = 102;
constexpr uint32_t kJitterMsMax = 200;

LegMedia MediaOf(fuzz::Input* input) {
  constexpr Codec kCodecs[] = {Codec::kPcmu, Codec::kPcma, Codec::kG722, Codec::kOpus};
  const uint8_t choice = input->Byte();
  LegMedia media;
  media.codec = kCodecs[choice & 3];
  media.send_payload_type = media.receive_payload_type = kAudioType;
  if ((choice & 4) != 0) media.send_event_payload_type = media.receive_event_payload_type = kEventType;
  if ((choice & 8) != 0) media.send_red_payload_type = media.receive_red_payload_type = kRedType;
  media.event_clock_rate = (choice & 16) != 0 ? 48000 : 8000;
  media.send_noise = (choice & 32) != 0;
  media.ptime_ms = static_cast<uint8_t>(20 * (1 + (choice >> 6) % 3));
  media.dtmf = static_cast<DtmfMode>(input->Byte() % 3);
  return media;
}

class Stand {
 public:
  explicit Stand(const LegMedia& media)
      : leg_(media, 0x11223344, 100, 1000, kJitterMsMax, IsG711(media.codec) ? nullptr : CodedAudio::Create(media.codec, kJitterMsMax)),
        media_(media) {
    from_.family = 4;
    from_.port = 4000;
    from_.address[0] = 192;
  }

  void Packet(std::span<const uint8_t> bytes) {
    if (bytes.size() > packet_.size()) return;
    std::memcpy(packet_.data(), bytes.data(), bytes.size());
    std::array<KeyHeard, kKeysHeardMax> keys;
    Check(keys, leg_.OnRtp(std::span(packet_.data(), bytes.size()), from_, now_us_, keys.data()));
  }

  void PacketOf(int16_t type, fuzz::Input* input) {
    sequence_ = static_cast<uint16_t>(sequence_ + static_cast<int8_t>(input->Byte()));
    timestamp_ += static_cast<uint32_t>(static_cast<int16_t>(input->Half())) * 10;
    RtpPacket packet;
    packet.payload_type = static_cast<uint8_t>(type);
    packet.sequence_number = sequence_;
    packet.timestamp = timestamp_;
    packet.ssrc = ssrc_;
    std::array<uint8_t, kRtpHeaderBytes + 255> bytes;
    (void)WriteRtpHeader(packet, bytes.data());
    const auto payload = input->Bytes(input->Byte());
    if (!payload.empty()) std::memcpy(bytes.data() + kRtpHeaderBytes, payload.data(), payload.size());
    Packet(std::span(bytes.data(), kRtpHeaderBytes + payload.size()));
  }

  void Report(std::span<const uint8_t> bytes) {
    if (!bytes.empty()) std::memcpy(packet_.data(), bytes.data(), bytes.size());
    leg_.OnRtcp(std::span(packet_.data(), bytes.size()), from_, now_us_);
  }

  void Tick() {
    now_us_ += 20000;
    std::array<KeyHeard, kKeysHeardMax> keys;
    size_t count = 0;
    const int16_t* heard = leg_.Listen(now_us_ / 1000, keys.data(), &count);
    Check(keys, count);
    leg_.Speak(heard, now_us_ / 1000);
    for (size_t sent = 0; const size_t bytes = leg_.NextPacket(now_us_ / 1000, packet_.data()); ++sent) {
      RtpPacket packet;
      if (sent > 8 || ParseRtp(std::span(packet_.data(), bytes), &packet) != RtpFault::kNone) std::abort();
    }
    if (leg_.NextReport(now_us_, packet_.data()) > kRtcpBytesMax) std::abort();
  }

  void Turn(uint8_t how) {
    if (how % 3 == 0) leg_.Wipe();
    if (how % 3 == 1) ++ssrc_;
    if (how % 3 == 2) (void)leg_.SetMedia(media_);
    is_down_ = is_down_ && how % 3 != 0;          // Only a wipe forgets the press that is on.
  }

 private:
  void Check(const std::array<KeyHeard, kKeysHeardMax>& keys, size_t count) {
    if (count > kKeysHeardMax) std::abort();
    for (size_t i = 0; i < count; ++i) {
      if (keys[i].event > kEventKeyLast) std::abort();
      if (!keys[i].begins && (!keys[i].by_event || !is_down_)) std::abort();
      if (keys[i].by_event) is_down_ = keys[i].begins;
    }
  }

  Leg leg_;
  const LegMedia media_;
  Endpoint from_;
  std::array<uint8_t, kRtpPacketBytesMax + kSrtpTrailerBytesMax> packet_{};
  uint64_t now_us_ = 1'000'000;
  uint32_t ssrc_ = 7;
  uint32_t timestamp_ = 0xffff'f000;
  uint16_t sequence_ = 0xfff0;
  bool is_down_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  Stand stand(MediaOf(&input));
  constexpr int16_t kTypes[] = {kAudioType, kEventType, kRedType, kComfortNoisePayloadType};
  while (!input.IsEmpty()) {
    const uint8_t op = input.Byte() & 7;
    if (op == 0) stand.Packet(input.Bytes(input.Byte()));
    if (op >= 1 && op <= 4) stand.PacketOf(kTypes[op - 1], &input);
    if (op == 5) stand.Report(input.Bytes(input.Byte()));
    if (op == 6) {
      for (size_t i = 1 + input.Byte() % 16; i > 0; --i) stand.Tick();
    }
    if (op == 7) stand.Turn(input.Byte());
  }
  return 0;
}
