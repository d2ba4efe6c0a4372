// What the addon gives to JavaScript. Loaded by src/worker only.
#include <napi.h>

#include "addon/engine_box.h"
#include "addon/offline.h"

namespace {

// JavaScript thread. The size and offsets of the event record, for the test that compares them with contract.ts.
Napi::Value EventLayout(const Napi::CallbackInfo& info) {
  using hushtone::EngineEvent;
  using hushtone::FieldFacts;
  const size_t numbers[] = {sizeof(EngineEvent), offsetof(EngineEvent, kind), offsetof(EngineEvent, code),
                            offsetof(EngineEvent, field), offsetof(EngineEvent, leg), offsetof(EngineEvent, request),
                            offsetof(EngineEvent, value_ms), offsetof(EngineEvent, facts), offsetof(FieldFacts, length),
                            offsetof(FieldFacts, luhn_ok), offsetof(FieldFacts, complete), offsetof(FieldFacts, full),
                            offsetof(FieldFacts, date_valid), offsetof(FieldFacts, cvc_length), offsetof(FieldFacts, last4),
                            offsetof(FieldFacts, brands)};
  auto answer = Napi::Array::New(info.Env(), std::size(numbers));
  for (uint32_t i = 0; i < std::size(numbers); ++i) answer.Set(i, Napi::Number::New(info.Env(), static_cast<double>(numbers[i])));
  return answer;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  exports.Set("Engine", hushtone::EngineBox::Define(env));
  exports.Set("eventLayout", Napi::Function::New<EventLayout>(env));
  hushtone::DefineOffline(env, exports);
  hushtone::DefineOfflinePackets(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(hushtone, Init)
