// Egress for JavaScript: members of EngineBox, because egress lives no longer than the engine it copies fields from. No
// function here takes or returns a card value: templates go in, scrubbed answers come out. JavaScript thread.
#include <cstring>
#include <string>

#include "addon/engine_box.h"

namespace hushtone {
namespace {

// Reads the members of one object; the first wrong one is thrown, and everything after it reads as nothing.
class Members {
 public:
  Members(Napi::Env env, const Napi::Value& value) : env_(env), object_(Napi::Object::New(env)) {
    if (value.IsObject()) object_ = value.As<Napi::Object>();
    else Fail("request");
  }
  uint32_t U32(const char* name) {
    const Napi::Value value = object_.Get(name);
    if (!value.IsNumber()) Fail(name);
    return failed_ ? 0 : value.As<Napi::Number>().Uint32Value();
  }
  bool Bool(const char* name) {
    const Napi::Value value = object_.Get(name);
    if (!value.IsBoolean()) Fail(name);
    return !failed_ && value.As<Napi::Boolean>().Value();
  }
  std::string Text(const char* name) { return TextOf(object_.Get(name), name); }
  HttpHeaders Headers(const char* name) {
    HttpHeaders headers;
    const Napi::Value value = object_.Get(name);
    if (!value.IsArray()) Fail(name);
    if (failed_) return headers;
    const auto list = value.As<Napi::Array>();
    for (uint32_t i = 0; i + 1 < list.Length(); i += 2) headers.emplace_back(TextOf(list.Get(i), name), TextOf(list.Get(i + 1), name));
    return headers;
  }
  bool failed() const { return failed_; }

 private:
  std::string TextOf(const Napi::Value& value, const char* name) {
    if (!value.IsString()) Fail(name);
    return failed_ ? std::string() : value.As<Napi::String>().Utf8Value();
  }
  void Fail(const char* name) {
    if (!failed_) Napi::TypeError::New(env_, std::string(name) + " has another type").ThrowAsJavaScriptException();
    failed_ = true;
  }
  Napi::Env env_;
  Napi::Object object_;
  bool failed_ = false;
};

Napi::Value Throw(const Napi::CallbackInfo& info, const std::string& message) {
  Napi::Error::New(info.Env(), message).ThrowAsJavaScriptException();
  return info.Env().Undefined();
}

}  // namespace

// (wake): once; throws where the machine refuses locked memory.
Napi::Value EngineBox::OpenEgress(const Napi::CallbackInfo& info) {
  if (engine_ == nullptr) return Throw(info, "the engine is closed");
  if (egress_ != nullptr || info.Length() < 1 || !info[0].IsFunction()) return Throw(info, "openEgress takes a function, once");
  egress_wake_ = Wake::New(info.Env(), info[0].As<Napi::Function>(), "hushtone egress", 1, 1);
  egress_wake_.Unref(info.Env());
  has_egress_wake_ = true;
  // The hook that stops the threads must run before this wake function's own: see the constructor.
  napi_remove_env_cleanup_hook(info.Env(), AtExit, this);
  napi_add_env_cleanup_hook(info.Env(), AtExit, this);
  std::string error;
  // Egress thread.
  egress_ = EgressThread::Create(engine_.get(), [this] { (void)egress_wake_.NonBlockingCall(); }, &error);
  return egress_ == nullptr ? Throw(info, "egress: " + error) : info.Env().Undefined();
}

// (pem) → index for send's `trust`; throws where no certificate is in it.
Napi::Value EngineBox::AddTrust(const Napi::CallbackInfo& info) {
  if (egress_ == nullptr) return Throw(info, "egress is not open");
  if (info.Length() < 1 || !info[0].IsString()) return Throw(info, "addTrust takes a string");
  std::string error;
  const int index = egress_->AddTrust(info[0].As<Napi::String>().Utf8Value(), &error);
  return index < 0 ? Throw(info, error) : Napi::Number::New(info.Env(), index);
}

// ({ header, kind, encoding, prefix, suffix, secret }) → number for send's `signer`; throws in words.
Napi::Value EngineBox::AddSigner(const Napi::CallbackInfo& info) {
  if (egress_ == nullptr) return Throw(info, "egress is not open");
  Members members(info.Env(), info[0]);
  SignRule rule;
  rule.header = members.Text("header");
  const uint32_t kind = members.U32("kind");
  const uint32_t encoding = members.U32("encoding");
  rule.prefix = members.Text("prefix");
  rule.suffix = members.Text("suffix");
  std::string secret = members.Text("secret");
  if (members.failed()) return info.Env().Undefined();
  rule.kind = kind == 0 ? SignKind::kSha256 : SignKind::kHmacSha256;
  rule.encoding = encoding == 0 ? SignEncoding::kHex : SignEncoding::kBase64;
  std::string error;
  const uint32_t number = egress_->AddSigner(rule, secret, &error);
  Wipe(secret.data(), secret.size());
  return number == 0 ? Throw(info, error) : Napi::Number::New(info.Env(), number);
}

// ({ id, leg, method, tls, host, port, path, headers, format, body, timeoutMs, fields, plainAnywhere, trust, signer })
// → null, or [EgressFault, reason]
Napi::Value EngineBox::Send(const Napi::CallbackInfo& info) {
  if (egress_ == nullptr) return Throw(info, "egress is not open");
  Members members(info.Env(), info[0]);
  EgressRequest request;
  request.id = members.U32("id");
  request.leg = members.U32("leg");
  request.method = members.Text("method");
  request.target.tls = members.Bool("tls");
  request.target.host = members.Text("host");
  request.target.port = static_cast<uint16_t>(members.U32("port"));
  request.target.path = members.Text("path");
  request.headers = members.Headers("headers");
  const uint32_t format = members.U32("format");
  request.format = format <= static_cast<uint32_t>(BodyFormat::kXml) ? static_cast<BodyFormat>(format) : BodyFormat::kNone;
  request.body = members.Text("body");
  request.timeout_ms = members.U32("timeoutMs");
  request.fields_allowed = members.U32("fields");
  request.plain_anywhere = members.Bool("plainAnywhere");
  request.trust = members.U32("trust");
  request.signer = members.U32("signer");
  if (members.failed()) return info.Env().Undefined();
  std::string reason;
  const EgressFault fault = egress_->Start(std::move(request), &reason);
  if (fault == EgressFault::kNone) return info.Env().Null();
  auto answer = Napi::Array::New(info.Env(), 2);
  answer.Set(0U, Napi::Number::New(info.Env(), static_cast<double>(fault)));
  answer.Set(1U, Napi::String::New(info.Env(), reason));
  return answer;
}

// () → { id, kind, status, headers: [name, value, …], body, reason }, or null
Napi::Value EngineBox::TakeAnswer(const Napi::CallbackInfo& info) {
  EgressResult result;
  if (egress_ == nullptr || !egress_->TakeResult(&result)) return info.Env().Null();
  auto headers = Napi::Array::New(info.Env(), result.headers.size() * 2);
  for (uint32_t i = 0; i < result.headers.size(); ++i) {
    headers.Set(i * 2, Napi::String::New(info.Env(), result.headers[i].first));
    headers.Set(i * 2 + 1, Napi::String::New(info.Env(), result.headers[i].second));
  }
  auto answer = Napi::Object::New(info.Env());
  answer.Set("id", Napi::Number::New(info.Env(), result.id));
  answer.Set("kind", Napi::Number::New(info.Env(), static_cast<double>(result.kind)));
  answer.Set("status", Napi::Number::New(info.Env(), result.status));
  answer.Set("headers", headers);
  answer.Set("body", Napi::String::New(info.Env(), result.body));
  answer.Set("reason", Napi::String::New(info.Env(), result.reason));
  return answer;
}

}  // namespace hushtone
