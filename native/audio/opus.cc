// Opus by libopus, which decodes to 8 kHz and encodes from it by itself, whatever the packets hold (RFC 6716 §2 and §4.5: a
// decoder may run at any of five rates): the low-pass is the library's. It is made for mono and mixes stereo down.
// Encoder and decoder together delay by 6.5 ms (52 samples, measured).
#include <opus/opus.h>

#include <algorithm>

#include "audio/codec.h"
#include "audio/opus.h"

namespace hushtone {
namespace {

constexpr int32_t kRate = 8000;
constexpr int kMono = 1;
// Narrow-band speech is transparent from about 12 kbit/s (RFC 6716 §2.1.1 recommends 8 to 12); twice that keeps tones clean
// where a second talker is mixed in.
constexpr int32_t kBitRate = 24000;
// Of 10. Measured on a prompt at 24 kbit/s: 31 µs a packet and a segmental S/N of 10.4 dB, against 111 µs and 10.2 dB for 10.
// From 2 on an encoder can put redundancy into its packets; that made it 82 µs and 9.2 dB (at 5), so ours sends none.
constexpr int32_t kComplexity = 1;

// RFC 6716 §4.2.3: in SILK and hybrid packets the first bits of a frame say of each channel which of its 20 ms have a voice,
// and behind them whether a coarser copy of the packet before follows.
bool RepeatsTheOneBefore(std::span<const uint8_t> packet) {
  constexpr uint8_t kCeltOnly = 0x80;               // RFC 6716 §3.1, table 2: configurations 16 to 31.
  if ((packet[0] & kCeltOnly) != 0) return false;
  const unsigned char* frames[48];
  int16_t sizes[48];
  if (opus_packet_parse(packet.data(), static_cast<int32_t>(packet.size()), nullptr, frames, sizes, nullptr) <= 0) return false;
  if (sizes[0] == 0) return false;
  constexpr int kSamplesOf20Ms = kRate / 50;
  const int voices = std::max(1, opus_packet_get_samples_per_frame(packet.data(), kRate) / kSamplesOf20Ms);
  const bool is_stereo = opus_packet_get_nb_channels(packet.data()) == 2;
  const int first = frames[0][0];
  return (first >> (7 - voices) & 1) != 0 || (is_stereo && (first >> (6 - 2 * voices) & 1) != 0);
}

class OpusDecoderBox final : public AudioDecoder {
 public:
  explicit OpusDecoderBox(OpusDecoder* state) : state_(state) {}
  ~OpusDecoderBox() override { opus_decoder_destroy(state_); }

  size_t CountSamples(std::span<const uint8_t> payload) const override {
    if (payload.empty()) return 0;
    const int samples = opus_packet_get_nb_samples(payload.data(), static_cast<int32_t>(payload.size()), kRate);
    return samples > 0 && static_cast<size_t>(samples) <= kDecodedSamplesMax ? static_cast<size_t>(samples) : 0;
  }

  size_t Decode(std::span<const uint8_t> payload, int16_t* out) override {
    if (payload.empty()) return 0;
    const int samples = opus_decode(state_, payload.data(), static_cast<int32_t>(payload.size()), out,
                                    static_cast<int>(kDecodedSamplesMax), 0);
    return samples > 0 ? static_cast<size_t>(samples) : 0;
  }

  // The next packet may carry the lost one, coarser (RFC 6716 §2.1.7); without it the decoder goes on by itself.
  bool Conceal(std::span<const uint8_t> next, size_t count, int16_t* out) override {
    const bool has_next = !next.empty() && opus_packet_get_nb_samples(next.data(), static_cast<int32_t>(next.size()), kRate) ==
                                               static_cast<int>(count);
    const auto bytes = has_next ? next : std::span<const uint8_t>{};
    const int samples = opus_decode(state_, has_next ? bytes.data() : nullptr, static_cast<int32_t>(bytes.size()), out,
                                    static_cast<int>(count), has_next ? 1 : 0);
    if (samples == static_cast<int>(count)) return has_next && RepeatsTheOneBefore(next);
    std::fill_n(out, count, int16_t{0});
    return false;
  }

  void Reset() override { (void)opus_decoder_ctl(state_, OPUS_RESET_STATE); }

 private:
  OpusDecoder* state_;
};

class OpusEncoderBox final : public AudioEncoder {
 public:
  explicit OpusEncoderBox(OpusEncoder* state) : state_(state) {}
  ~OpusEncoderBox() override { opus_encoder_destroy(state_); }

  size_t Encode(std::span<const int16_t> samples, uint8_t* out) override {
    const int32_t bytes = opus_encode(state_, samples.data(), static_cast<int>(samples.size()), out, kEncodedBytesMax);
    return bytes > 0 ? static_cast<size_t>(bytes) : 0;
  }

  void Reset() override { (void)opus_encoder_ctl(state_, OPUS_RESET_STATE); }

 private:
  OpusEncoder* state_;
};

}  // namespace

std::unique_ptr<AudioDecoder> MakeOpusDecoder() {
  int error = OPUS_OK;
  OpusDecoder* state = opus_decoder_create(kRate, kMono, &error);
  return error != OPUS_OK ? nullptr : std::make_unique<OpusDecoderBox>(state);
}

std::unique_ptr<AudioEncoder> MakeOpusEncoder() {
  int error = OPUS_OK;
  OpusEncoder* state = opus_encoder_create(kRate, kMono, OPUS_APPLICATION_VOIP, &error);
  if (error != OPUS_OK) return nullptr;
  (void)opus_encoder_ctl(state, OPUS_SET_BITRATE(kBitRate));
  (void)opus_encoder_ctl(state, OPUS_SET_COMPLEXITY(kComplexity));
  return std::make_unique<OpusEncoderBox>(state);
}

}  // namespace hushtone
