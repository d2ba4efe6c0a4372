#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "addon/offline.h"
#include "rtp/redundancy.h"
#include "srtp/srtp.h"

namespace hushtone {
namespace {

// Numbers of one block in the array that readRed fills; src/worker/offline.ts reads them in this order.
constexpr size_t kRedNumbers = 4;                 // payload type, timestamp offset, where it begins and ends
// As srtp.cc: no longer packet is opened.
constexpr size_t kPacketBytesMax = 1500;
constexpr double kNotOpened = -1;
// Milliseconds since 1970 of a capture from the year 9999: what is later is no time.
constexpr double kAtMsMax = 253402300799000;

// One direction of one SRTP key. A capture may begin in the middle of a call, so the roll-over counter is searched for. On the
// JavaScript thread; gives what was protected in a file that a person names, and no call can reach it.
class OfflineSrtp final : public Napi::ObjectWrap<OfflineSrtp> {
 public:
  // (SrtpSuite's number; master key and salt.)
  explicit OfflineSrtp(const Napi::CallbackInfo& info) : Napi::ObjectWrap<OfflineSrtp>(info) {
    if (info.Length() < 2 || !info[0].IsNumber() || !IsTypedArray(info, 1, napi_uint8_array)) {
      (void)RefuseArguments(info, "expected a number and a Uint8Array");
      return;
    }
    const double number = info[0].As<Napi::Number>().DoubleValue();
    SrtpKey key;
    if (number >= 1 && number <= 4) key.suite = static_cast<SrtpSuite>(number);
    const auto bytes = info[1].As<Napi::Uint8Array>();
    if (key.suite == SrtpSuite::kNone || bytes.ElementLength() != SrtpKeyBytes(key.suite)) {
      (void)RefuseArguments(info, "expected a suite and a key of its length");
      return;
    }
    std::copy_n(bytes.Data(), bytes.ElementLength(), key.bytes.begin());
    receiver_ = SrtpReceiver::Create(key, kSrtpRocSearchMax);
  }

  // JavaScript thread. (Packet; when it came, in ms since 1970; Uint8Array for the plain packet) → its length, or -1.
  Napi::Value Open(const Napi::CallbackInfo& info) {
    std::span<const uint8_t> packet;
    if (info.Length() < 5 || !TakePlace(info, 0, &packet) || !info[3].IsNumber() || !IsTypedArray(info, 4, napi_uint8_array)) {
      return RefuseArguments(info, "expected a place in bytes, a number and a Uint8Array");
    }
    auto plain = info[4].As<Napi::Uint8Array>();
    const double at_ms = info[3].As<Napi::Number>().DoubleValue();
    size_t length = 0;
    const bool fits = packet.size() <= kPacketBytesMax && packet.size() <= plain.ElementLength() && at_ms >= 0 && at_ms <= kAtMsMax;
    if (!fits || receiver_ == nullptr) return Napi::Number::New(info.Env(), kNotOpened);
    // Opened in place, also where it fails: in a copy, the capture's bytes are tried by other keys.
    if (!packet.empty()) std::memcpy(plain.Data(), packet.data(), packet.size());
    const auto verdict = receiver_->OpenRtp({plain.Data(), packet.size()}, static_cast<uint64_t>(at_ms * 1000), &length);
    return Napi::Number::New(info.Env(), verdict == SrtpVerdict::kAuthentic ? static_cast<double>(length) : kNotOpened);
  }

 private:
  std::unique_ptr<SrtpReceiver> receiver_;
};

// JavaScript thread. (RFC 2198 payload; Float64Array for kRedNumbers of kRedBlocksMax blocks) → how many; 0 where damaged.
Napi::Value ReadRed(const Napi::CallbackInfo& info) {
  std::span<const uint8_t> payload;
  if (info.Length() < 4 || !TakePlace(info, 0, &payload) || !IsTypedArray(info, 3, napi_float64_array)) {
    return RefuseArguments(info, "expected a place in bytes and a Float64Array");
  }
  auto numbers = info[3].As<Napi::Float64Array>();
  if (numbers.ElementLength() < kRedBlocksMax * kRedNumbers) return RefuseArguments(info, "expected room for the answer");
  std::array<RedBlock, kRedBlocksMax> blocks;
  size_t count = 0;
  if (!ParseRed(payload, &blocks, &count)) return Napi::Number::New(info.Env(), 0);
  const double from = info[1].As<Napi::Number>().DoubleValue();
  for (size_t i = 0; i < count; ++i) {
    const RedBlock& block = blocks[i];
    const double at = block.payload.empty() ? 0 : static_cast<double>(block.payload.data() - payload.data());
    numbers[i * kRedNumbers] = block.payload_type;
    numbers[i * kRedNumbers + 1] = block.timestamp_offset;
    numbers[i * kRedNumbers + 2] = from + at;
    numbers[i * kRedNumbers + 3] = from + at + static_cast<double>(block.payload.size());
  }
  return Napi::Number::New(info.Env(), static_cast<double>(count));
}

}  // namespace

bool IsTypedArray(const Napi::CallbackInfo& info, size_t at, napi_typedarray_type type) {
  return info.Length() > at && info[at].IsTypedArray() && info[at].As<Napi::TypedArray>().TypedArrayType() == type;
}

bool TakePlace(const Napi::CallbackInfo& info, size_t at, std::span<const uint8_t>* place) {
  if (info.Length() < at + 3 || !IsTypedArray(info, at, napi_uint8_array) || !info[at + 1].IsNumber() || !info[at + 2].IsNumber()) {
    return false;
  }
  const auto bytes = info[at].As<Napi::Uint8Array>();
  const double from = info[at + 1].As<Napi::Number>().DoubleValue();
  const double to = info[at + 2].As<Napi::Number>().DoubleValue();
  if (!(from >= 0 && from <= to && to <= static_cast<double>(bytes.ElementLength()))) return false;
  const auto begin = static_cast<size_t>(from);
  *place = std::span<const uint8_t>(bytes.Data(), bytes.ElementLength()).subspan(begin, static_cast<size_t>(to) - begin);
  return true;
}

Napi::Value RefuseArguments(const Napi::CallbackInfo& info, const char* reason) {
  Napi::TypeError::New(info.Env(), reason).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

void DefineOfflinePackets(Napi::Env env, Napi::Object exports) {
  using Box = Napi::ObjectWrap<OfflineSrtp>;
  exports.Set("OfflineSrtp", Box::DefineClass(env, "OfflineSrtp", {Box::InstanceMethod<&OfflineSrtp::Open>("open")}));
  exports.Set("readRed", Napi::Function::New<ReadRed>(env, "readRed"));
}

}  // namespace hushtone
