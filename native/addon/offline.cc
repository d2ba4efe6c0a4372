#include "addon/offline.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "audio/coded_track.h"
#include "audio/comfort_noise.h"
#include "audio/g711.h"
#include "audio/narrow.h"
#include "dtmf/detector.h"
#include "rtp/telephone_event.h"

namespace hushtone {
namespace {

// Numbers of one press in the arrays below; src/worker/offline.ts reads them in this order.
constexpr size_t kToneNumbers = 4;    // event, onset sample, duration in samples, level in dBm0
constexpr size_t kEventNumbers = 5;   // begins, event, volume, RTP timestamp of the beginning, duration in its units

// G.711 is decoded and heard in pieces of this size, which stay in the cache; silence too.
constexpr size_t kPieceSamples = 2048;
// In one call.
constexpr double kSilenceSamplesMax = 60.0 * kNarrowRate;

bool IsPacketCodec(const Napi::Value& value) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number == static_cast<double>(Codec::kG722) || number == static_cast<double>(Codec::kOpus);
}

// One source of audio, or one payload type of one SSRC: what is fed must be in order. All on the JavaScript thread; it
// keeps nothing but what the detector and the receiver keep, and gives digits of the bytes it is given: for `decode`,
// which reads files; no call can reach it.
class OfflineDecoder final : public Napi::ObjectWrap<OfflineDecoder> {
 public:
  // (Sample rate of what `feed` gets; 8 kHz without. Whether `heard` shall give what packets held.)
  explicit OfflineDecoder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<OfflineDecoder>(info) {
    keeps_audio_ = info.Length() > 1 && info[1].IsBoolean() && info[1].As<Napi::Boolean>().Value();
    if (info.Length() < 1 || !info[0].IsNumber()) return;
    const uint32_t rate = info[0].As<Napi::Number>().Uint32Value();
    if (rate != kNarrowRate) narrower_.emplace(rate);
  }

  // JavaScript thread. (Int16Array) → Float64Array, kToneNumbers for each press that ended; undefined for none.
  Napi::Value Feed(const Napi::CallbackInfo& info) {
    if (!IsTypedArray(info, 0, napi_int16_array)) return RefuseArguments(info, "expected an Int16Array");
    const auto array = info[0].As<Napi::Int16Array>();
    const std::span<const int16_t> samples(array.Data(), array.ElementLength());
    if (narrower_) {
      narrowed_.clear();
      narrower_->Feed(samples, &narrowed_);
      Hear(narrowed_);
    } else {
      Hear(samples);
    }
    return Take(info.Env());
  }

  // JavaScript thread. (A-law where true, else µ-law; codes as Uint8Array; how many of them) → as Feed.
  Napi::Value FeedCoded(const Napi::CallbackInfo& info) {
    if (!IsTypedArray(info, 1, napi_uint8_array) || !info[0].IsBoolean() || info.Length() < 3 || !info[2].IsNumber()) {
      return RefuseArguments(info, "expected a boolean, a Uint8Array and a number");
    }
    const Law law = info[0].As<Napi::Boolean>().Value() ? Law::kA : Law::kMu;
    const auto array = info[1].As<Napi::Uint8Array>();
    std::span<const uint8_t> codes(array.Data(), array.ElementLength());
    codes = codes.first(std::min<size_t>(codes.size(), info[2].As<Napi::Number>().Uint32Value()));
    while (!codes.empty()) {
      const size_t count = std::min(codes.size(), kPieceSamples);
      Decode(law, codes.first(count), piece_.data());
      Hear({piece_.data(), count});
      codes = codes.subspan(count);
    }
    return Take(info.Env());
  }

  // JavaScript thread. (How many samples; the level below 0 dBov of the noise they are, negative for none) → as Feed.
  Napi::Value FeedSilence(const Napi::CallbackInfo& info) {
    if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsNumber()) return RefuseArguments(info, "expected two numbers");
    const double samples = info[0].As<Napi::Number>().DoubleValue();
    if (!(samples >= 0 && samples <= kSilenceSamplesMax)) return RefuseArguments(info, "expected at most a minute of silence");
    const double level = info[1].As<Napi::Number>().DoubleValue();
    const bool is_noise = level >= 0 && level <= 127;
    piece_.fill(0);
    if (is_noise) {
      const auto byte = static_cast<uint8_t>(level);
      noise_.Hear(0, std::span(&byte, 1));
    }
    for (auto left = static_cast<size_t>(samples); left > 0;) {
      const size_t count = std::min(left, kPieceSamples);
      if (is_noise) noise_.Fill(piece_.data(), count);
      Hear({piece_.data(), count});
      if (is_noise) Keep({piece_.data(), count});
      left -= count;
    }
    return Take(info.Env());
  }

  // JavaScript thread. (Codec's number; payload) → how many samples of 8 kHz it holds.
  Napi::Value CountSamples(const Napi::CallbackInfo& info) {
    std::span<const uint8_t> payload;
    if (info.Length() < 1 || !IsPacketCodec(info[0]) || !TakePlace(info, 1, &payload)) {
      return RefuseArguments(info, "expected G.722 or Opus and a place in bytes");
    }
    AudioDecoder* counter = CounterOf(CodecOf(info[0]));
    const size_t count = counter == nullptr || payload.size() > kEncodedBytesMax ? 0 : counter->CountSamples(payload);
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  }

  // JavaScript thread. (Codec's number; RTP timestamp; payload). Presses wait for `take`.
  Napi::Value FeedPacket(const Napi::CallbackInfo& info) {
    std::span<const uint8_t> payload;
    if (info.Length() < 2 || !IsPacketCodec(info[0]) || !info[1].IsNumber() || !TakePlace(info, 2, &payload)) {
      return RefuseArguments(info, "expected G.722 or Opus, a number and a place in bytes");
    }
    const Codec codec = CodecOf(info[0]);
    if (track_ == nullptr || track_->codec() != codec) {
      EndTrack();
      track_ = CodedTrack::Create(codec);
    }
    if (track_ == nullptr) return info.Env().Undefined();
    (void)track_->Put(info[1].As<Napi::Number>().Uint32Value(), payload, &decoded_);
    HearDecoded();
    return info.Env().Undefined();
  }

  // JavaScript thread. (RTP timestamp; payload of comfort noise), between packets.
  Napi::Value FeedNoise(const Napi::CallbackInfo& info) {
    std::span<const uint8_t> payload;
    if (info.Length() < 1 || !info[0].IsNumber() || !TakePlace(info, 1, &payload)) {
      return RefuseArguments(info, "expected a number and a place in bytes");
    }
    if (track_ == nullptr) return info.Env().Undefined();
    track_->PutNoise(info[0].As<Napi::Number>().Uint32Value(), payload, &decoded_);
    HearDecoded();
    return info.Env().Undefined();
  }

  // JavaScript thread. The last packet is heard to its end; the next one begins anew.
  Napi::Value EndPackets(const Napi::CallbackInfo& info) {
    EndTrack();
    return info.Env().Undefined();
  }

  // JavaScript thread. () → as Feed: the presses that ended in packets.
  Napi::Value TakePresses(const Napi::CallbackInfo& info) { return Take(info.Env()); }

  // JavaScript thread. () → Int16Array: what packets and noise held since the last call; undefined for nothing.
  Napi::Value Heard(const Napi::CallbackInfo& info) {
    if (kept_.empty()) return info.Env().Undefined();
    auto samples = Napi::Int16Array::New(info.Env(), kept_.size());
    std::copy(kept_.begin(), kept_.end(), samples.Data());
    kept_.clear();
    return samples;
  }

  // JavaScript thread. () → as Feed: the press that is still on at the end.
  Napi::Value Finish(const Napi::CallbackInfo& info) {
    EndTrack();
    if (narrower_) {
      narrowed_.clear();
      narrower_->Finish(&narrowed_);
      Hear(narrowed_);
    }
    InbandPress press;
    if (detector_.Finish(&press)) presses_.push_back(press);
    return Take(info.Env());
  }

  // JavaScript thread. (RTP timestamp; bytes as Uint8Array; where the payload begins and ends in them; Float64Array for
  // kEventNumbers) → whether it says something new.
  Napi::Value Event(const Napi::CallbackInfo& info) {
    std::span<const uint8_t> payload;
    if (info.Length() < 5 || !info[0].IsNumber() || !TakePlace(info, 1, &payload) ||
        !IsTypedArray(info, 4, napi_float64_array)) {
      return RefuseArguments(info, "expected a number, a place in bytes and a Float64Array");
    }
    auto numbers = info[4].As<Napi::Float64Array>();
    if (numbers.ElementLength() < kEventNumbers) return RefuseArguments(info, "expected room for the answer");
    TelephoneEvent packet;
    if (!ParseTelephoneEvent(payload, &packet)) return Napi::Boolean::New(info.Env(), false);
    const auto update = receiver_.OnPacket(info[0].As<Napi::Number>().Uint32Value(), packet);
    if (!update) return Napi::Boolean::New(info.Env(), false);
    numbers[0] = update->begins ? 1 : 0;
    numbers[1] = update->event;
    numbers[2] = update->volume;
    numbers[3] = update->timestamp;
    numbers[4] = update->duration_ts;
    return Napi::Boolean::New(info.Env(), true);
  }

 private:
  static Codec CodecOf(const Napi::Value& value) { return static_cast<Codec>(value.As<Napi::Number>().Uint32Value()); }

  AudioDecoder* CounterOf(Codec codec) {
    auto& counter = codec == Codec::kOpus ? opus_counter_ : g722_counter_;
    if (counter == nullptr) counter = MakeDecoder(codec);
    return counter.get();
  }

  void HearDecoded() {
    Hear(decoded_);
    Keep(decoded_);
    decoded_.clear();
  }

  void EndTrack() {
    if (track_ == nullptr) return;
    track_->Restart(&decoded_);
    HearDecoded();
  }

  void Keep(std::span<const int16_t> samples) {
    if (keeps_audio_) kept_.insert(kept_.end(), samples.begin(), samples.end());
  }

  void Hear(std::span<const int16_t> samples) {
    detector_.Feed(samples, [this](const InbandPress& press) {
      if (press.ended) presses_.push_back(press);
    });
  }

  Napi::Value Take(Napi::Env env) {
    if (presses_.empty()) return env.Undefined();
    auto numbers = Napi::Float64Array::New(env, presses_.size() * kToneNumbers);
    for (size_t i = 0; i < presses_.size(); ++i) {
      numbers[i * kToneNumbers] = presses_[i].event;
      numbers[i * kToneNumbers + 1] = static_cast<double>(presses_[i].onset_sample);
      numbers[i * kToneNumbers + 2] = presses_[i].duration_samples;
      numbers[i * kToneNumbers + 3] = static_cast<double>(presses_[i].level_dbm0);
    }
    presses_.clear();
    return numbers;
  }

  DtmfDetector detector_;
  KeyPressReceiver receiver_;
  std::vector<InbandPress> presses_;            // Ended, and not yet taken.
  std::array<int16_t, kPieceSamples> piece_{};
  std::optional<Narrower> narrower_;
  std::vector<int16_t> narrowed_;
  ComfortNoise noise_;
  std::unique_ptr<CodedTrack> track_;
  std::unique_ptr<AudioDecoder> g722_counter_;  // Only asked how long a packet is.
  std::unique_ptr<AudioDecoder> opus_counter_;
  std::vector<int16_t> decoded_;                // Of packets, and not yet heard.
  bool keeps_audio_ = false;
  std::vector<int16_t> kept_;                   // Heard, and not yet taken.
};

}  // namespace

void DefineOffline(Napi::Env env, Napi::Object exports) {
  using Box = Napi::ObjectWrap<OfflineDecoder>;
  exports.Set("OfflineDecoder", Box::DefineClass(env, "OfflineDecoder",
                                                 {Box::InstanceMethod<&OfflineDecoder::Feed>("feed"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedCoded>("feedCoded"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedSilence>("feedSilence"),
                                                  Box::InstanceMethod<&OfflineDecoder::CountSamples>("countSamples"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedPacket>("feedPacket"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedNoise>("feedNoise"),
                                                  Box::InstanceMethod<&OfflineDecoder::EndPackets>("endPackets"),
                                                  Box::InstanceMethod<&OfflineDecoder::TakePresses>("take"),
                                                  Box::InstanceMethod<&OfflineDecoder::Heard>("heard"),
                                                  Box::InstanceMethod<&OfflineDecoder::Finish>("finish"),
                                                  Box::InstanceMethod<&OfflineDecoder::Event>("event")}));
}

}  // namespace hushtone
