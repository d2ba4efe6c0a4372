// Sends filled requests to gateways: one thread, non-blocking sockets, a locked place for each request under way.
//
// Threads. Create, AddTrust, AddSigner, Start, TakeResult and Close: the control thread. Fields arrive on the media thread
// (Engine::CopyFields), which only marks the job and signals. Everything else happens on the egress thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "call/engine.h"
#include "egress/http.h"
#include "egress/sign.h"
#include "egress/template.h"
#include "io/resolver.h"
#include "io/tls_session.h"

namespace hushtone {

constexpr size_t kEgressJobsMax = 48;          // Requests under way; more wait in the worker's host.
constexpr uint32_t kConnectMsMax = 3000;       // For one address; the next one is tried after it.
constexpr uint32_t kEgressTimeoutMsMax = 120000;
constexpr size_t kTrustsMax = 64;
constexpr size_t kSignersMax = 64;

struct EgressRequest {
  uint32_t id = 0;
  LegHandle leg = 0;                           // Whose payment fills the template; 0: none.
  std::string method;
  HttpTarget target;
  HttpHeaders headers;
  BodyFormat format = BodyFormat::kNone;
  std::string body;                            // The template.
  uint32_t timeout_ms = 0;                     // For everything, from Start to the answer.
  FieldMask fields_allowed = 0;                // What may go to this target, by the worker's own configuration.
  bool plain_anywhere = false;                 // Without it plain HTTP reaches this machine only.
  uint32_t trust = 0;                          // Of AddTrust.
  uint32_t signer = 0;                         // Of AddSigner; 0: none.
};

struct EgressResult {
  enum class Kind : uint8_t { kAnswered = 0, kNotSent = 1, kNoAnswer = 2 };
  uint32_t id = 0;
  Kind kind = Kind::kNotSent;
  unsigned status = 0;
  HttpHeaders headers;                         // Scrubbed, as is the body.
  std::string body;
  std::string reason;
};

enum class EgressFault : uint8_t { kNone = 0, kBusy, kTemplate, kNotAllowed, kRequest, kNoPayment };

class EgressThread {
 public:
  static std::unique_ptr<EgressThread> Create(Engine* engine, std::function<void()> wake, std::string* error);
  ~EgressThread();
  EgressThread(const EgressThread&) = delete;
  EgressThread& operator=(const EgressThread&) = delete;

  // Index for EgressRequest::trust; -1 with a reason.
  int AddTrust(const std::string& pem, std::string* error);
  // Number for EgressRequest::signer; 0 with a reason. The caller wipes what it has of the secret.
  uint32_t AddSigner(const SignRule& rule, std::string_view secret, std::string* error);
  EgressFault Start(EgressRequest&& request, std::string* fault);
  bool TakeResult(EgressResult* result);
  // After Engine::Close: the media thread may hold a job until then. The second call does nothing.
  void Close();

 private:
  struct Job;
  EgressThread(Engine* engine, std::function<void()> wake, std::unique_ptr<LockedMemory> memory);
  void Run();
  int PollTimeoutMs(uint64_t now) const;
  void Step(Job& job, uint64_t now);
  void Begin(Job& job);
  void Connect(Job& job, uint64_t now);
  void CheckConnected(Job& job, uint64_t now);
  void StartTalking(Job& job);
  void Talk(Job& job);
  bool FillRequest(Job& job);
  bool SignBody(Job& job);
  bool Flush(Job& job);
  bool Receive(Job& job);
  bool ReadPlain(Job& job);
  bool ReadTls(Job& job, bool closed);
  void Judge(Job& job, bool closed);
  void Answered(Job& job, const HttpAnswer& answer);
  void Fail(Job& job, const std::string& reason);
  void Finish(Job& job, EgressResult&& result);
  void Signal() const;

  Engine* const engine_;
  const std::function<void()> wake_;
  const std::unique_ptr<LockedMemory> memory_;
  std::span<uint8_t> scratch_;
  std::vector<std::unique_ptr<Job>> jobs_;
  std::vector<std::unique_ptr<TlsTrust>> trusts_;    // Neither moves once made: the egress thread reads them.
  std::vector<std::unique_ptr<Signer>> signers_;
  std::unique_ptr<Resolver> resolver_;
  std::mutex results_mutex_;
  std::vector<EgressResult> results_;          // At most one a job: bounded by kEgressJobsMax.
  int signal_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace hushtone
