#include "addon/engine_box.h"

#include <cstring>
#include <string>

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr size_t kMediaNumbers = 17;   // contract.ts: MEDIA
constexpr size_t kRouteNumbers = 3;    // contract.ts: ROUTE_LENGTH
constexpr size_t kSendNumbers = 5;     // engine.ts: sendKeys
constexpr size_t kVoiceNumbers = 123;  // contract.ts: VOICE
constexpr size_t kStatNumbers = 47;    // contract.ts: STATS

// engine.ts has checked every value; here only the types are asserted, because a wrong one would be read as a pointer.
bool Has(const Napi::CallbackInfo& info, std::initializer_list<napi_valuetype> types) {
  size_t i = 0;
  for (const napi_valuetype type : types) {
    if (info.Length() <= i || info[i].Type() != type) {
      Napi::TypeError::New(info.Env(), "argument " + std::to_string(i) + " has another type").ThrowAsJavaScriptException();
      return false;
    }
    ++i;
  }
  return true;
}

template <typename Array>
bool HasArray(const Napi::CallbackInfo& info, size_t index, napi_typedarray_type type, size_t length_min) {
  if (info.Length() > index && info[index].IsTypedArray()) {
    const auto array = info[index].As<Napi::TypedArray>();
    if (array.TypedArrayType() == type && array.ElementLength() >= length_min) return true;
  }
  Napi::TypeError::New(info.Env(), "argument " + std::to_string(index) + " is another array").ThrowAsJavaScriptException();
  return false;
}

uint32_t U32(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Number>().Uint32Value(); }

bool Flag(const Napi::CallbackInfo& info, size_t index) { return info[index].As<Napi::Boolean>().Value(); }

// The keys are ours to send by, then the peer's, each at its suite's length.
MediaConfig ReadMedia(const Napi::CallbackInfo& info, size_t address, size_t port, size_t numbers) {
  MediaConfig media;
  media.remote_address = info[address].As<Napi::String>().Utf8Value();
  media.remote_port = static_cast<uint16_t>(U32(info, port));
  const auto values = info[numbers].As<Napi::Int32Array>();
  media.codec = static_cast<Codec>(values[0]);   // The engine refuses a number that is none.
  media.send_payload_type = static_cast<uint8_t>(values[1]);
  media.receive_payload_type = static_cast<uint8_t>(values[2]);
  media.send_event_payload_type = static_cast<int16_t>(values[3]);
  media.receive_event_payload_type = static_cast<int16_t>(values[4]);
  media.ptime_ms = static_cast<uint8_t>(values[5]);
  media.send = values[6] != 0;
  media.receive = values[7] != 0;
  media.dtmf = static_cast<DtmfMode>(values[8]);
  const auto suite = static_cast<SrtpSuite>(values[9]);
  media.secure = suite != SrtpSuite::kNone;
  media.receive_roc_max = static_cast<uint32_t>(values[10]);
  const auto keys = info[numbers + 1].As<Napi::Uint8Array>();
  const size_t each = SrtpKeyBytes(suite);
  if (each > 0 && keys.ElementLength() == 2 * each) {
    media.send_key.suite = media.receive_key.suite = suite;
    std::memcpy(media.send_key.bytes.data(), keys.Data(), each);
    std::memcpy(media.receive_key.bytes.data(), keys.Data() + each, each);
  }
  media.event_clock_rate = static_cast<uint32_t>(values[11]);
  media.send_red_payload_type = static_cast<int16_t>(values[12]);
  media.receive_red_payload_type = static_cast<int16_t>(values[13]);
  media.send_noise = values[14] != 0;
  media.send_voip_metrics = values[15] != 0;
  media.send_reference_time = values[16] != 0;
  return media;
}

BrandTable ReadBrands(const Napi::Array& rows) {
  BrandTable table;
  for (uint32_t i = 0; i < rows.Length() && i < kBrandsMax; ++i) {
    const auto row = rows.Get(i).As<Napi::Object>();
    Brand brand;
    brand.name = row.Get("name").As<Napi::String>().Utf8Value();
    brand.cvc_length = static_cast<uint8_t>(row.Get("cvcLength").As<Napi::Number>().Uint32Value());
    brand.precedence = static_cast<uint8_t>(row.Get("precedence").As<Napi::Number>().Uint32Value());
    brand.luhn = row.Get("luhn").As<Napi::Boolean>().Value();
    const auto ranges = row.Get("ranges").As<Napi::Uint32Array>();   // first, last, digits, lengths; again.
    for (size_t at = 0; at + 4 <= ranges.ElementLength(); at += 4) {
      brand.ranges.push_back({ranges[at], ranges[at + 1], static_cast<uint8_t>(ranges[at + 2]), ranges[at + 3]});
    }
    table.brands.push_back(std::move(brand));
  }
  return table;
}

Napi::Value Fault(const Napi::CallbackInfo& info, EngineFault fault) {
  return Napi::Number::New(info.Env(), static_cast<double>(fault));
}

Napi::Value Closed(const Napi::CallbackInfo& info) {
  Napi::Error::New(info.Env(), "the engine is closed").ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

}  // namespace

Napi::Function EngineBox::Define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {InstanceMethod<&EngineBox::AddRecording>("addRecording"),
                      InstanceMethod<&EngineBox::SetReadBackVoice>("setReadBackVoice"),
                      InstanceMethod<&EngineBox::OpenLeg>("openLeg"), InstanceMethod<&EngineBox::UpdateLeg>("updateLeg"),
                      InstanceMethod<&EngineBox::SetRoutes>("setRoutes"), InstanceMethod<&EngineBox::Play>("play"),
                      InstanceMethod<&EngineBox::ArmMask>("armMask"),
                      InstanceMethod<&EngineBox::OpenField>("openField"), InstanceMethod<&EngineBox::OpenKeys>("openKeys"),
                      InstanceMethod<&EngineBox::SendKeys>("sendKeys"), InstanceMethod<&EngineBox::ReadBack>("readBack"), InstanceMethod<&EngineBox::LegOrder>("legOrder"),
                      InstanceMethod<&EngineBox::SetToday>("setToday"), InstanceMethod<&EngineBox::ReadStats>("readStats"),
                      InstanceMethod<&EngineBox::Pulse>("pulse"),
                      InstanceMethod<&EngineBox::Drain>("drain"), InstanceMethod<&EngineBox::OpenEgress>("openEgress"),
                      InstanceMethod<&EngineBox::AddTrust>("addTrust"), InstanceMethod<&EngineBox::AddSigner>("addSigner"),
                      InstanceMethod<&EngineBox::Send>("send"),
                      InstanceMethod<&EngineBox::TakeAnswer>("takeAnswer"), InstanceMethod<&EngineBox::Close>("close")});
}

// JavaScript thread, like every function here. (brands, portFirst, portLast, silenceMs, jitterMsMax, wake)
EngineBox::EngineBox(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineBox>(info) {
  if (!Has(info, {napi_object, napi_number, napi_number, napi_number, napi_number, napi_function})) return;
  std::string error;
  auto vault = Vault::Create(ReadBrands(info[0].As<Napi::Array>()), &error);
  if (vault != nullptr) {
    EngineLimits limits;
    limits.port_first = static_cast<uint16_t>(U32(info, 1));
    limits.port_last = static_cast<uint16_t>(U32(info, 2));
    limits.silence_event_ms = U32(info, 3);
    limits.jitter_ms_max = U32(info, 4);
    engine_ = Engine::Create(limits, std::move(vault), &error);
  }
  if (engine_ == nullptr) {
    Napi::Error::New(info.Env(), error).ThrowAsJavaScriptException();
    return;
  }
  // A queue of one: a second wake while one is on its way says nothing new. It must not keep the process alive.
  wake_ = Wake::New(info.Env(), info[5].As<Napi::Function>(), "hushtone media", 1, 1);
  wake_.Unref(info.Env());
  has_wake_ = true;
  // Hooks run last in, first out: this one stops the threads before the wake function, made above, goes away. A call
  // to one that is going away would give its place up, and Release would touch freed memory.
  napi_add_env_cleanup_hook(info.Env(), AtExit, this);
  // Waker thread.
  engine_->SetWake([this] { (void)wake_.NonBlockingCall(); });
}

EngineBox::~EngineBox() { Shut(); }

// JavaScript thread, while the environment ends.
void EngineBox::AtExit(void* box) { static_cast<EngineBox*>(box)->Shut(); }

void EngineBox::Shut() {
  if (has_wake_) napi_remove_env_cleanup_hook(Env(), AtExit, this);
  if (engine_ != nullptr) engine_->Close();
  if (egress_ != nullptr) egress_->Close();
  egress_.reset();
  engine_.reset();
  if (has_wake_) wake_.Release();
  if (has_egress_wake_) egress_wake_.Release();
  has_wake_ = has_egress_wake_ = false;
}

Napi::Value EngineBox::Close(const Napi::CallbackInfo& info) {
  Shut();
  return info.Env().Undefined();
}

Napi::Value EngineBox::AddRecording(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!HasArray<Napi::Int16Array>(info, 0, napi_int16_array, 1)) return info.Env().Undefined();
  const auto samples = info[0].As<Napi::Int16Array>();
  return Napi::Number::New(info.Env(), engine_->AddRecording({samples.Data(), samples.ElementLength()}));
}

Napi::Value EngineBox::SetReadBackVoice(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number}) || !HasArray<Napi::Int32Array>(info, 1, napi_int32_array, kVoiceNumbers)) {
    return info.Env().Undefined();
  }
  const int32_t* numbers = info[1].As<Napi::Int32Array>().Data();
  Engine::ReadBackVoice voice;
  static_assert(sizeof voice == kVoiceNumbers * sizeof(int32_t));
  std::memcpy(&voice, numbers, sizeof voice);
  engine_->SetReadBackVoice(U32(info, 0), voice);
  return info.Env().Undefined();
}

// (call, localAddress, localPort, remoteAddress, remotePort, media, keys) → [fault, leg, port]
Napi::Value EngineBox::OpenLeg(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_string, napi_number, napi_string, napi_number})) return info.Env().Undefined();
  if (!HasArray<Napi::Int32Array>(info, 5, napi_int32_array, kMediaNumbers)) return info.Env().Undefined();
  if (!HasArray<Napi::Uint8Array>(info, 6, napi_uint8_array, 0)) return info.Env().Undefined();
  LegOpen open;
  open.call = U32(info, 0);
  open.local_address = info[1].As<Napi::String>().Utf8Value();
  open.local_port = static_cast<uint16_t>(U32(info, 2));
  open.media = ReadMedia(info, 3, 4, 5);
  LegHandle leg = 0;
  uint16_t port = 0;
  const EngineFault fault = engine_->OpenLeg(open, &leg, &port);
  auto answer = Napi::Array::New(info.Env(), 3);
  answer.Set(0U, Fault(info, fault));
  answer.Set(1U, Napi::Number::New(info.Env(), leg));
  answer.Set(2U, Napi::Number::New(info.Env(), port));
  return answer;
}

// (request, leg, remoteAddress, remotePort, media, keys) → fault
Napi::Value EngineBox::UpdateLeg(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_string, napi_number})) return info.Env().Undefined();
  if (!HasArray<Napi::Int32Array>(info, 4, napi_int32_array, kMediaNumbers)) return info.Env().Undefined();
  if (!HasArray<Napi::Uint8Array>(info, 5, napi_uint8_array, 0)) return info.Env().Undefined();
  return Fault(info, engine_->UpdateLeg(U32(info, 0), U32(info, 1), ReadMedia(info, 2, 3, 4)));
}

// (request, call, [from, to, masked, from, to, masked …]) → fault
Napi::Value EngineBox::SetRoutes(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number})) return info.Env().Undefined();
  if (!HasArray<Napi::Uint32Array>(info, 2, napi_uint32_array, 0)) return info.Env().Undefined();
  const auto pairs = info[2].As<Napi::Uint32Array>();
  Engine::Route routes[kLegsPerCallMax * kLegsPerCallMax];
  const size_t count = pairs.ElementLength() / kRouteNumbers;
  if (count > std::size(routes)) return Fault(info, EngineFault::kLimit);
  for (size_t i = 0; i < count; ++i) {
    const size_t at = i * kRouteNumbers;
    routes[i] = {pairs[at], pairs[at + 1], pairs[at + 2] != 0};
  }
  return Fault(info, engine_->SetRoutes(U32(info, 0), U32(info, 1), {routes, count}));
}

// (request, leg, fill, neutralEvent or -1) → fault
Napi::Value EngineBox::ArmMask(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_number, napi_number})) return info.Env().Undefined();
  const uint32_t fill = U32(info, 2);
  if (fill > static_cast<uint32_t>(MaskFill::kNoise)) return Fault(info, EngineFault::kBadArgument);
  const MaskOrder order{static_cast<MaskFill>(fill), static_cast<int16_t>(info[3].As<Napi::Number>().Int32Value())};
  return Fault(info, engine_->ArmMask(U32(info, 0), U32(info, 1), order));
}

// (request, leg, recordings, bargeIn, loops) → fault
Napi::Value EngineBox::Play(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_object, napi_boolean, napi_boolean})) return info.Env().Undefined();
  if (!HasArray<Napi::Int32Array>(info, 2, napi_int32_array, 0)) return info.Env().Undefined();
  const auto recordings = info[2].As<Napi::Int32Array>();
  const std::span<const int32_t> list(recordings.Data(), recordings.ElementLength());
  return Fault(info, engine_->Play(U32(info, 0), U32(info, 1), list, Flag(info, 3), Flag(info, 4)));
}

// (request, leg, field, lengthMin, lengthMax, brands) → fault
Napi::Value EngineBox::OpenField(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_number, napi_number, napi_number, napi_number})) return info.Env().Undefined();
  FieldOrder order;
  order.kind = static_cast<FieldKind>(U32(info, 2));
  order.length_min = static_cast<uint8_t>(U32(info, 3));
  order.length_max = static_cast<uint8_t>(U32(info, 4));
  order.brands_allowed = U32(info, 5);
  return Fault(info, engine_->OpenField(U32(info, 0), U32(info, 1), order));
}

// (request, leg, allowedEvents, lengthMax) → fault
Napi::Value EngineBox::OpenKeys(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_number, napi_number})) return info.Env().Undefined();
  return Fault(info, engine_->OpenKeys(U32(info, 0), U32(info, 1), static_cast<uint16_t>(U32(info, 2)),
                                       static_cast<uint8_t>(U32(info, 3))));
}

// (request, leg, field, style, locale) → fault
Napi::Value EngineBox::ReadBack(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_number, napi_number, napi_number})) return info.Env().Undefined();
  return Fault(info, engine_->ReadBack(U32(info, 0), U32(info, 1), static_cast<FieldKind>(U32(info, 2)),
                                       static_cast<ReadBackStyle>(U32(info, 3)), U32(info, 4)));
}

// (request, leg, events, numbers) → fault. `numbers`: contract.ts: KEYS_TO_SEND.
Napi::Value EngineBox::SendKeys(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number})) return info.Env().Undefined();
  if (!HasArray<Napi::Uint8Array>(info, 2, napi_uint8_array, 1)) return info.Env().Undefined();
  if (!HasArray<Napi::Float64Array>(info, 3, napi_float64_array, kSendNumbers)) return info.Env().Undefined();
  const auto events = info[2].As<Napi::Uint8Array>();
  const double* numbers = info[3].As<Napi::Float64Array>().Data();
  KeysToSend keys;
  if (events.ElementLength() > keys.events.size()) return Fault(info, EngineFault::kBadArgument);
  std::memcpy(keys.events.data(), events.Data(), events.ElementLength());
  keys.count = static_cast<uint8_t>(events.ElementLength());
  keys.mode = numbers[0] == 1 ? KeyMode::kInband : KeyMode::kEvent;
  keys.level_dbm0 = static_cast<float>(numbers[1]);
  keys.twist_db = static_cast<float>(numbers[2]);
  keys.duration_ms = static_cast<uint16_t>(numbers[3]);
  keys.gap_ms = static_cast<uint16_t>(numbers[4]);
  return Fault(info, engine_->SendKeys(U32(info, 0), U32(info, 1), keys));
}

// (which, request, leg, field) → fault: the orders that need no more than a leg. Numbers as in contract.ts: LEG_ORDERS.
Napi::Value EngineBox::LegOrder(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number, napi_number, napi_number})) return info.Env().Undefined();
  const uint32_t request = U32(info, 1);
  const LegHandle leg = U32(info, 2);
  switch (U32(info, 0)) {
    case 1: return Fault(info, engine_->CloseLeg(request, leg));
    case 2: return Fault(info, engine_->StopPlay(request, leg));
    case 3: return Fault(info, engine_->BeginPayment(request, leg));
    case 4: return Fault(info, engine_->EndPayment(request, leg));
    case 5: return Fault(info, engine_->CloseField(request, leg));
    case 6: return Fault(info, engine_->WipeField(request, leg, static_cast<FieldKind>(U32(info, 3))));
    case 7: return Fault(info, engine_->CloseKeys(request, leg));
    case 8: return Fault(info, engine_->DisarmMask(request, leg));
    default: return Fault(info, EngineFault::kBadArgument);
  }
}

Napi::Value EngineBox::SetToday(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number, napi_number})) return info.Env().Undefined();
  return Fault(info, engine_->SetToday(static_cast<uint16_t>(U32(info, 0)), static_cast<uint8_t>(U32(info, 1))));
}

// (leg, numbers) → fault
Napi::Value EngineBox::ReadStats(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!Has(info, {napi_number}) || !HasArray<Napi::Float64Array>(info, 1, napi_float64_array, kStatNumbers)) {
    return info.Env().Undefined();
  }
  LegStats stats;
  const EngineFault fault = engine_->ReadStats(U32(info, 0), &stats);
  double* out = info[1].As<Napi::Float64Array>().Data();
  size_t count = 0;
  const auto add = [&](auto number) { out[count++] = static_cast<double>(number); };
  add(stats.packets_received);
  add(stats.packets_sent);
  add(stats.packets_lost);
  add(stats.packets_late);
  add(stats.packets_duplicate);
  add(stats.packets_from_elsewhere);
  add(stats.packets_malformed);
  add(stats.frames_concealed);
  add(stats.keys_by_event);
  add(stats.keys_inband);
  add(stats.keys_inband_ignored);
  add(stats.jitter_us);
  add(stats.round_trip_us);
  add(stats.ticks_late);
  add(stats.ticks_skipped);
  add(stats.packets_unauthentic);
  add(stats.packets_replayed);
  add(stats.packets_unprotected);
  add(stats.playout_delay_ms);
  add(stats.peer_report.is_known);
  add(stats.peer_report.fraction_lost);
  add(stats.peer_report.packets_lost);
  add(stats.peer_jitter_us);
  for (const RatedQuality& rated : {stats.rated, stats.rated_by_peer}) {
    add(rated.is_known);
    add(rated.loss_rate);
    add(rated.discard_rate);
    add(rated.r_factor);
    add(rated.mos_lq);
    add(rated.mos_cq);
    add(rated.end_system_delay_ms);
  }
  add(stats.heard.burst_density);
  add(stats.heard.gap_density);
  add(stats.heard.burst_ms);
  add(stats.heard.gap_ms);
  add(stats.remote.family);
  add(stats.remote.port);
  for (size_t i = 0; i < stats.remote.address.size(); i += 4) add(ReadU32(&stats.remote.address[i]));
  return Fault(info, fault);
}

// () → turns of the media thread. Exact up to 2^53 of them, a million years of 5 ms.
Napi::Value EngineBox::Pulse(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  return Napi::Number::New(info.Env(), static_cast<double>(engine_->Pulse()));
}

// (bytes) → [bytes written, events lost so far]. Whole records of sizeof(EngineEvent).
Napi::Value EngineBox::Drain(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Closed(info);
  if (!HasArray<Napi::Uint8Array>(info, 0, napi_uint8_array, sizeof(EngineEvent))) return info.Env().Undefined();
  auto bytes = info[0].As<Napi::Uint8Array>();
  EngineEvent events[64];
  size_t written = 0;
  uint64_t lost = 0;
  while (written + sizeof events <= bytes.ByteLength()) {
    const size_t count = engine_->Drain(events, &lost);
    std::memcpy(bytes.Data() + written, events, count * sizeof(EngineEvent));
    written += count * sizeof(EngineEvent);
    if (count < std::size(events)) break;
  }
  auto answer = Napi::Array::New(info.Env(), 2);
  answer.Set(0U, Napi::Number::New(info.Env(), static_cast<double>(written)));
  answer.Set(1U, Napi::Number::New(info.Env(), static_cast<double>(lost)));
  return answer;
}

}  // namespace hushtone
