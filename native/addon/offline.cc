#include "addon/offline.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

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

bool IsArray(const Napi::CallbackInfo& info, size_t at, napi_typedarray_type type) {
  return info.Length() > at && info[at].IsTypedArray() && info[at].As<Napi::TypedArray>().TypedArrayType() == type;
}

// One source of audio, or one payload type of one SSRC: what is fed must be in order. All on the JavaScript thread; it
// keeps nothing but what the detector and the receiver keep, and gives digits of the bytes it is given: for `decode`,
// which reads files; no call can reach it.
class OfflineDecoder final : public Napi::ObjectWrap<OfflineDecoder> {
 public:
  // (Sample rate of what `feed` gets; 8 kHz without.)
  explicit OfflineDecoder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<OfflineDecoder>(info) {
    if (info.Length() < 1 || !info[0].IsNumber()) return;
    const uint32_t rate = info[0].As<Napi::Number>().Uint32Value();
    if (rate != kNarrowRate) narrower_.emplace(rate);
  }

  // JavaScript thread. (Int16Array) → Float64Array, kToneNumbers for each press that ended; undefined for none.
  Napi::Value Feed(const Napi::CallbackInfo& info) {
    if (!IsArray(info, 0, napi_int16_array)) return Refuse(info, "expected an Int16Array");
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
    if (!IsArray(info, 1, napi_uint8_array) || !info[0].IsBoolean() || info.Length() < 3 || !info[2].IsNumber()) {
      return Refuse(info, "expected a boolean, a Uint8Array and a number");
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

  // JavaScript thread. (How many samples) → as Feed.
  Napi::Value FeedSilence(const Napi::CallbackInfo& info) {
    if (info.Length() < 1 || !info[0].IsNumber()) return Refuse(info, "expected a number");
    piece_.fill(0);
    for (size_t left = info[0].As<Napi::Number>().Uint32Value(); left > 0;) {
      const size_t count = std::min(left, kPieceSamples);
      Hear({piece_.data(), count});
      left -= count;
    }
    return Take(info.Env());
  }

  // JavaScript thread. () → as Feed: the press that is still on at the end.
  Napi::Value Finish(const Napi::CallbackInfo& info) {
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
    const bool is_asked_rightly = info.Length() >= 5 && info[0].IsNumber() && IsArray(info, 1, napi_uint8_array) &&
                                  info[2].IsNumber() && info[3].IsNumber() && IsArray(info, 4, napi_float64_array);
    if (!is_asked_rightly) return Refuse(info, "expected a number, a Uint8Array, two numbers and a Float64Array");
    const auto bytes = info[1].As<Napi::Uint8Array>();
    auto numbers = info[4].As<Napi::Float64Array>();
    const size_t from = info[2].As<Napi::Number>().Uint32Value();
    const size_t to = info[3].As<Napi::Number>().Uint32Value();
    if (from > to || to > bytes.ElementLength() || numbers.ElementLength() < kEventNumbers) {
      return Refuse(info, "expected a place within the bytes, and room for the answer");
    }
    TelephoneEvent packet;
    if (!ParseTelephoneEvent({bytes.Data() + from, to - from}, &packet)) return Napi::Boolean::New(info.Env(), false);
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
  static Napi::Value Refuse(const Napi::CallbackInfo& info, const char* reason) {
    Napi::TypeError::New(info.Env(), reason).ThrowAsJavaScriptException();
    return info.Env().Undefined();
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
};

}  // namespace

void DefineOffline(Napi::Env env, Napi::Object exports) {
  using Box = Napi::ObjectWrap<OfflineDecoder>;
  exports.Set("OfflineDecoder", Box::DefineClass(env, "OfflineDecoder",
                                                 {Box::InstanceMethod<&OfflineDecoder::Feed>("feed"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedCoded>("feedCoded"),
                                                  Box::InstanceMethod<&OfflineDecoder::FeedSilence>("feedSilence"),
                                                  Box::InstanceMethod<&OfflineDecoder::Finish>("finish"),
                                                  Box::InstanceMethod<&OfflineDecoder::Event>("event")}));
}

}  // namespace hushtone
