// Packets of 20 ms for captures that the project makes itself: two bytes of length, the payload; again.
//   encode_packets g722 IN8K OUT       as our legs send it; raw in, 16 bit little-endian
//   encode_packets opus IN48K OUT      as a browser sends it: 48 kHz, mono, VoIP, with redundancy
#include <opus/opus.h>

#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "audio/codec.h"
#include "base/bytes.h"

using namespace hushtone;

namespace {

constexpr size_t kPacketMs = 20;
constexpr int32_t kOpusRate = 48000;
constexpr int32_t kOpusBitRate = 32000;               // libwebrtc's default for mono speech.
constexpr int32_t kOpusLossPercent = 5;

using Encode = std::function<size_t(const int16_t*, size_t, uint8_t*)>;

Encode EncoderOf(const std::string& name) {
  if (name == "g722") {
    std::shared_ptr<AudioEncoder> encoder = MakeEncoder(Codec::kG722);
    return [encoder](const int16_t* samples, size_t count, uint8_t* out) { return encoder->Encode({samples, count}, out); };
  }
  int error = 0;
  const std::shared_ptr<OpusEncoder> encoder(opus_encoder_create(kOpusRate, 1, OPUS_APPLICATION_VOIP, &error), opus_encoder_destroy);
  (void)opus_encoder_ctl(encoder.get(), OPUS_SET_BITRATE(kOpusBitRate));
  (void)opus_encoder_ctl(encoder.get(), OPUS_SET_INBAND_FEC(1));
  (void)opus_encoder_ctl(encoder.get(), OPUS_SET_PACKET_LOSS_PERC(kOpusLossPercent));
  return [encoder](const int16_t* samples, size_t count, uint8_t* out) {
    const int bytes = opus_encode(encoder.get(), samples, static_cast<int>(count), out, kEncodedBytesMax);
    return bytes > 0 ? static_cast<size_t>(bytes) : size_t{0};
  };
}

}  // namespace

int main(int count, char** arguments) {
  const std::string name = count == 4 ? arguments[1] : "";
  if (name != "g722" && name != "opus") {
    std::fprintf(stderr, "usage: encode_packets g722|opus IN OUT\n");
    return 2;
  }
  std::ifstream in(arguments[2], std::ios::binary);
  const std::vector<char> raw((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::ofstream out(arguments[3], std::ios::binary);
  const Encode encode = EncoderOf(name);
  const size_t samples = (name == "g722" ? 8 : 48) * kPacketMs;
  std::vector<int16_t> frame(samples);
  std::vector<uint8_t> packet(2 + kEncodedBytesMax);
  for (size_t at = 0; at + samples * 2 <= raw.size(); at += samples * 2) {
    for (size_t i = 0; i < samples; ++i) {
      const auto low = static_cast<uint8_t>(raw[at + 2 * i]);
      frame[i] = static_cast<int16_t>(low | static_cast<uint8_t>(raw[at + 2 * i + 1]) << 8);
    }
    const size_t bytes = encode(frame.data(), samples, packet.data() + 2);
    if (bytes == 0) return 1;
    WriteU16(packet.data(), static_cast<uint16_t>(bytes));
    out.write(reinterpret_cast<const char*>(packet.data()), static_cast<std::streamsize>(bytes + 2));
  }
  return out.good() ? 0 : 1;
}
