// What our decoders and the jitter buffer make of audio that others encoded: raw in, raw of 8 kHz out, 16 bit little-endian.
//   codec_path pcmu IN8K OUT LOSS%          IN8K: raw of 8 kHz, encoded here
//   codec_path g722 FILE OUT LOSS%          FILE: octets of a G.722 encoder, as `ffmpeg -c:a g722 -f g722` writes them
//   codec_path opus IN48K OUT LOSS% KBITS   IN48K: raw of 48 kHz, encoded here as a browser does (mono, VoIP, FEC)
// LOSS: of packets of 20 ms, each for itself, the same for the same file length.
#include <opus/opus.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "audio/coded_audio.h"
#include "audio/playout_buffer.h"

using namespace hushtone;

namespace {

std::vector<uint8_t> ReadAll(const char* name) {
  std::ifstream file(name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int16_t SampleAt(const std::vector<uint8_t>& bytes, size_t i) {
  return static_cast<int16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
}

std::vector<std::vector<uint8_t>> OpusPackets(const std::vector<uint8_t>& raw, int kbits) {
  constexpr size_t kSamples = 960;
  int error = 0;
  OpusEncoder* encoder = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, &error);
  if (error != OPUS_OK) std::exit(1);
  (void)opus_encoder_ctl(encoder, OPUS_SET_BITRATE(kbits * 1000));
  (void)opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(1));
  (void)opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(5));
  std::vector<std::vector<uint8_t>> packets;
  std::vector<int16_t> frame(kSamples);
  for (size_t at = 0; at + kSamples <= raw.size() / 2; at += kSamples) {
    for (size_t i = 0; i < kSamples; ++i) frame[i] = SampleAt(raw, at + i);
    std::vector<uint8_t> packet(kEncodedBytesMax);
    const int bytes = opus_encode(encoder, frame.data(), kSamples, packet.data(), kEncodedBytesMax);
    packet.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
    packets.push_back(packet);
  }
  opus_encoder_destroy(encoder);
  return packets;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) {
    std::fprintf(stderr, "usage: codec_path pcmu|g722|opus IN OUT LOSS%% [KBITS]\n");
    return 2;
  }
  const std::string name = arguments[1];
  const std::vector<uint8_t> in = ReadAll(arguments[2]);
  const double loss = std::atof(arguments[4]) / 100;
  const Codec codec = name == "g722" ? Codec::kG722 : name == "opus" ? Codec::kOpus : Codec::kPcmu;
  std::vector<std::vector<uint8_t>> packets;
  if (codec == Codec::kOpus) {
    packets = OpusPackets(in, count > 5 ? std::atoi(arguments[5]) : 32);
  } else if (codec == Codec::kG722) {
    for (size_t at = 0; at + kFrameSamples <= in.size(); at += kFrameSamples) {
      const auto* first = in.data() + at;
      packets.emplace_back(first, first + kFrameSamples);
    }
  } else {
    for (size_t at = 0; at + kFrameSamples <= in.size() / 2; at += kFrameSamples) {
      std::vector<uint8_t> packet;
      for (size_t i = 0; i < kFrameSamples; ++i) packet.push_back(EncodeSample(Law::kMu, SampleAt(in, at + i)));
      packets.push_back(packet);
    }
  }
  auto coded = CodedAudio::Create(codec, 200);
  PlayoutBuffer playout;
  std::mt19937 random(1);
  std::uniform_real_distribution<double> draw(0, 1);
  std::ofstream out(arguments[3], std::ios::binary);
  uint32_t timestamp = 0;
  for (const std::vector<uint8_t>& packet : packets) {
    const bool is_lost = timestamp > 0 && draw(random) < loss;
    if (!is_lost && coded != nullptr) coded->Put(timestamp, packet);
    if (!is_lost && coded == nullptr) playout.Put(timestamp, packet, Law::kMu);
    timestamp += static_cast<uint32_t>(kFrameSamples) * TimestampScale(codec);
    int16_t frame[kFrameSamples];
    if (coded != nullptr) {
      (void)coded->Take(frame);
    } else {
      (void)playout.Take(frame);
    }
    out.write(reinterpret_cast<const char*>(frame), sizeof frame);
  }
  return 0;
}
