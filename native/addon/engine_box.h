// What JavaScript holds of an engine: one object an environment may make, closed by `close()`, by its destructor or by the
// environment's end, whichever is first.
#pragma once

#include <napi.h>

#include <memory>

#include "call/engine.h"
#include "io/egress_thread.h"

namespace hushtone {

// Runs on the JavaScript thread. `callback` is null, and JavaScript can no longer run, once the environment is closing,
// so only a thrown JavaScript error is acted on.
inline void CallWake(Napi::Env env, Napi::Function callback, std::nullptr_t*, void*) {
  if (env == nullptr || callback.IsEmpty()) return;
  napi_value receiver = nullptr;
  if (napi_get_undefined(env, &receiver) != napi_ok) return;
  if (napi_call_function(env, receiver, callback, 0, nullptr, nullptr) != napi_pending_exception) return;
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) napi_fatal_exception(env, error);
}
using Wake = Napi::TypedThreadSafeFunction<std::nullptr_t, void, CallWake>;

class EngineBox final : public Napi::ObjectWrap<EngineBox> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit EngineBox(const Napi::CallbackInfo& info);
  ~EngineBox() override;

 private:
  Napi::Value AddRecording(const Napi::CallbackInfo& info);
  Napi::Value SetReadBackVoice(const Napi::CallbackInfo& info);
  Napi::Value OpenLeg(const Napi::CallbackInfo& info);
  Napi::Value UpdateLeg(const Napi::CallbackInfo& info);
  Napi::Value SetRoutes(const Napi::CallbackInfo& info);
  Napi::Value ArmMask(const Napi::CallbackInfo& info);
  Napi::Value Play(const Napi::CallbackInfo& info);
  Napi::Value OpenField(const Napi::CallbackInfo& info);
  Napi::Value OpenKeys(const Napi::CallbackInfo& info);
  Napi::Value SendKeys(const Napi::CallbackInfo& info);
  Napi::Value ReadBack(const Napi::CallbackInfo& info);
  Napi::Value LegOrder(const Napi::CallbackInfo& info);
  Napi::Value SetToday(const Napi::CallbackInfo& info);
  Napi::Value ReadStats(const Napi::CallbackInfo& info);
  Napi::Value Pulse(const Napi::CallbackInfo& info);
  Napi::Value Drain(const Napi::CallbackInfo& info);
  Napi::Value OpenEgress(const Napi::CallbackInfo& info);
  Napi::Value AddTrust(const Napi::CallbackInfo& info);
  Napi::Value AddSigner(const Napi::CallbackInfo& info);
  Napi::Value Send(const Napi::CallbackInfo& info);
  Napi::Value TakeAnswer(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  void Shut();
  static void AtExit(void* box);

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<EgressThread> egress_;   // Closed after the engine, whose media thread may hold a job of it.
  Wake wake_;
  Wake egress_wake_;
  bool has_wake_ = false;
  bool has_egress_wake_ = false;
};

}  // namespace hushtone
