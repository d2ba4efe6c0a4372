// G.722 by spandsp, whose 8 kHz mode works on the lower of the codec's two bands alone. That band *is* 8 kHz audio: the 24
// taps of the codec's own filter (ITU-T G.722 §3.1) cut it from the 16 kHz that the peer sampled, and make 16 kHz of ours
// again at the peer's. A filter of our own behind it would add delay and cost and take nothing away: the filter's half in the
// peer's encoder delays by 11.5 samples of 16 kHz, 0.7 ms, and its other half, here, is left out.
#include <algorithm>
#include <array>
#include <cstdint>

// Behind the headers of C++, whose names it defines anew, and in this order.
#include <spandsp/telephony.h>

#include <spandsp/g722.h>

#include "audio/codec.h"
#include "audio/concealment.h"
#include "audio/g722.h"

namespace hushtone {
namespace {

constexpr int kBitRate = 64000;                       // RFC 3551 §4.5.2: the only one that RTP carries.
constexpr int kOptions = G722_SAMPLE_RATE_8000;

// One octet holds a sample of each band, so a payload has as many octets as samples of 8 kHz.
class G722Decoder final : public AudioDecoder {
 public:
  explicit G722Decoder(g722_decode_state_t* state) : state_(state) {}
  ~G722Decoder() override { g722_decode_free(state_); }

  size_t CountSamples(std::span<const uint8_t> payload) const override {
    return payload.size() <= kDecodedSamplesMax ? payload.size() : 0;
  }

  size_t Decode(std::span<const uint8_t> payload, int16_t* out) override {
    if (CountSamples(payload) == 0) return 0;
    const auto count = static_cast<size_t>(g722_decode(state_, out, payload.data(), static_cast<int>(payload.size())));
    FadeIn(count, out);
    Remember(std::span(out, count));
    lost_ = 0;
    return count;
  }

  bool Conceal(std::span<const uint8_t>, size_t count, int16_t* out) override {
    if (lost_ == 0) {
      loss_ = before_;
      pitch_ = FindPitch(loss_);
    }
    WriteConcealed(loss_, pitch_, lost_, static_cast<uint32_t>(count), out);
    lost_ = std::min(lost_ + static_cast<uint32_t>(count), kConcealedMax);
    Remember(std::span(out, count));
    return false;
  }

  void Reset() override {
    (void)g722_decode_init(state_, kBitRate, kOptions);
    before_.fill(0);
    loss_.fill(0);
    lost_ = 0;
  }

 private:
  void FadeIn(size_t count, int16_t* out) const {
    const auto fade = static_cast<int32_t>(lost_ == 0 ? 0 : std::min<size_t>(FadeInSamples(lost_), count));
    if (fade == 0) return;
    std::array<int16_t, 80> under;
    WriteConcealed(loss_, pitch_, lost_, static_cast<uint32_t>(fade), under.data());
    for (int32_t i = 0; i < fade; ++i) {
      const auto at = static_cast<size_t>(i);
      out[at] = static_cast<int16_t>((under[at] * (fade - i) + out[at] * i) / fade);
    }
  }

  void Remember(std::span<const int16_t> heard) {
    const size_t count = std::min(heard.size(), before_.size());
    std::copy(before_.begin() + static_cast<ptrdiff_t>(count), before_.end(), before_.begin());
    std::copy(heard.end() - static_cast<ptrdiff_t>(count), heard.end(), before_.end() - static_cast<ptrdiff_t>(count));
  }

  g722_decode_state_t* state_;
  Before before_{};
  Before loss_{};                                     // `before_` as it was when the loss began.
  uint32_t pitch_ = kPitchMax;
  uint32_t lost_ = 0;
};

class G722Encoder final : public AudioEncoder {
 public:
  explicit G722Encoder(g722_encode_state_t* state) : state_(state) {}
  ~G722Encoder() override { g722_encode_free(state_); }

  size_t Encode(std::span<const int16_t> samples, uint8_t* out) override {
    if (samples.size() > kEncodedBytesMax) return 0;
    return static_cast<size_t>(g722_encode(state_, out, samples.data(), static_cast<int>(samples.size())));
  }

  void Reset() override { (void)g722_encode_init(state_, kBitRate, kOptions); }

 private:
  g722_encode_state_t* state_;
};

}  // namespace

std::unique_ptr<AudioDecoder> MakeG722Decoder() {
  g722_decode_state_t* state = g722_decode_init(nullptr, kBitRate, kOptions);
  return state == nullptr ? nullptr : std::make_unique<G722Decoder>(state);
}

std::unique_ptr<AudioEncoder> MakeG722Encoder() {
  g722_encode_state_t* state = g722_encode_init(nullptr, kBitRate, kOptions);
  return state == nullptr ? nullptr : std::make_unique<G722Encoder>(state);
}

}  // namespace hushtone
