#include "addon/offline.h"

#include <vector>

#include "dtmf/detector.h"
#include "rtp/telephone_event.h"

namespace hushtone {
namespace {

// Numbers of one press in the arrays below; src/worker/offline.ts reads them in this order.
constexpr size_t kToneNumbers = 4;    // event, onset sample, duration in samples, level in dBm0
constexpr size_t kEventNumbers = 5;   // begins, event, volume, RTP timestamp of the beginning, duration in its units

// One source of audio, or one payload type of one SSRC: what is fed must be in order. All on the JavaScript thread; it
// keeps nothing but what the detector and the receiver keep, and gives digits of the bytes it is given: for `decode`,
// which reads files; no call can reach it.
class OfflineDecoder final : public Napi::ObjectWrap<OfflineDecoder> {
 public:
  explicit OfflineDecoder(const Napi::CallbackInfo& info) : Napi::ObjectWrap<OfflineDecoder>(info) {}

  // JavaScript thread. (Int16Array at 8 kHz) → Float64Array, kToneNumbers for each press that ended.
  Napi::Value Feed(const Napi::CallbackInfo& info) {
    if (info.Length() < 1 || !info[0].IsTypedArray() ||
        info[0].As<Napi::TypedArray>().TypedArrayType() != napi_int16_array) {
      Napi::TypeError::New(info.Env(), "expected an Int16Array").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    const auto samples = info[0].As<Napi::Int16Array>();
    std::vector<InbandPress> presses;
    detector_.Feed(std::span<const int16_t>(samples.Data(), samples.ElementLength()), [&](const InbandPress& press) {
      if (press.ended) presses.push_back(press);
    });
    return Describe(info.Env(), presses);
  }

  // JavaScript thread. () → as Feed: the press that is still on at the end.
  Napi::Value Finish(const Napi::CallbackInfo& info) {
    std::vector<InbandPress> presses(1);
    if (!detector_.Finish(presses.data())) presses.clear();
    return Describe(info.Env(), presses);
  }

  // JavaScript thread. (RTP timestamp, payload as Uint8Array) → kEventNumbers, or undefined where it says nothing new.
  Napi::Value Event(const Napi::CallbackInfo& info) {
    if (info.Length() < 2 || !info[0].IsNumber() || !info[1].IsTypedArray() ||
        info[1].As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
      Napi::TypeError::New(info.Env(), "expected a number and a Uint8Array").ThrowAsJavaScriptException();
      return info.Env().Undefined();
    }
    const auto payload = info[1].As<Napi::Uint8Array>();
    TelephoneEvent packet;
    if (!ParseTelephoneEvent({payload.Data(), payload.ElementLength()}, &packet)) return info.Env().Undefined();
    const auto update = receiver_.OnPacket(info[0].As<Napi::Number>().Uint32Value(), packet);
    if (!update) return info.Env().Undefined();
    auto numbers = Napi::Float64Array::New(info.Env(), kEventNumbers);
    numbers[0] = update->begins ? 1 : 0;
    numbers[1] = update->event;
    numbers[2] = update->volume;
    numbers[3] = update->timestamp;
    numbers[4] = update->duration_ts;
    return numbers;
  }

 private:
  static Napi::Value Describe(Napi::Env env, const std::vector<InbandPress>& presses) {
    auto numbers = Napi::Float64Array::New(env, presses.size() * kToneNumbers);
    for (size_t i = 0; i < presses.size(); ++i) {
      numbers[i * kToneNumbers] = presses[i].event;
      numbers[i * kToneNumbers + 1] = static_cast<double>(presses[i].onset_sample);
      numbers[i * kToneNumbers + 2] = presses[i].duration_samples;
      numbers[i * kToneNumbers + 3] = static_cast<double>(presses[i].level_dbm0);
    }
    return numbers;
  }

  DtmfDetector detector_;
  KeyPressReceiver receiver_;
};

}  // namespace

void DefineOffline(Napi::Env env, Napi::Object exports) {
  using Box = Napi::ObjectWrap<OfflineDecoder>;
  exports.Set("OfflineDecoder", Box::DefineClass(env, "OfflineDecoder",
                                                 {Box::InstanceMethod<&OfflineDecoder::Feed>("feed"),
                                                  Box::InstanceMethod<&OfflineDecoder::Finish>("finish"),
                                                  Box::InstanceMethod<&OfflineDecoder::Event>("event")}));
}

}  // namespace hushtone
