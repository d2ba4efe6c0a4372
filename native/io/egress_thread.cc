#include "io/egress_thread.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "egress/scrub.h"

namespace hushtone {
namespace {

constexpr size_t kFieldsBytes = (sizeof(FieldSet) + 63) / 64 * 64;
constexpr size_t kJobBytes = kFieldsBytes + kSignatureBytesMax + kRequestBytesMax + kAnswerBytesMax;
constexpr size_t kScratchBytes = kAnswerBytesMax * 2;  // Decoded runs, and decoded runs in them.
constexpr size_t kReceiveBytes = 16 * 1024;
constexpr unsigned kCentury = 2000;

uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

uint64_t UnixSeconds() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec);
}

std::string LowerText(std::span<const uint8_t> bytes) {
  std::string text(bytes.begin(), bytes.end());
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

}  // namespace

struct EgressThread::Job {
  // Free and Copying belong to control and media thread, the rest to the egress thread.
  enum class State : uint8_t { kFree, kCopying, kReady, kResolving, kConnecting, kHandshaking, kTalking };

  Job(uint8_t* memory, int signal_fd)
      : fields(new (memory) FieldSet),
        signature({memory + kFieldsBytes, kSignatureBytesMax}),
        filled({memory + kJobBytes - kAnswerBytesMax - kRequestBytesMax, kRequestBytesMax}),
        answer({memory + kJobBytes - kAnswerBytesMax, kAnswerBytesMax}), signal(signal_fd) {}

  std::atomic<State> state{State::kFree};
  FieldSet* const fields;                    // These four lie in locked memory.
  SecretBuffer signature;
  SecretBuffer filled;
  const std::span<uint8_t> answer;
  const int signal;
  bool found = false;
  EgressRequest request;
  uint64_t deadline_ms = 0;
  uint64_t connect_deadline_ms = 0;
  std::shared_ptr<Resolution> resolution;
  size_t next_address = 0;
  std::string last_error;
  int fd = -1;
  bool wants_write = false;
  std::unique_ptr<TlsSession> tls;
  std::vector<uint8_t> output;               // Ciphertext on its way.
  size_t output_sent = 0;
  size_t filled_sent = 0;                    // Plain HTTP only.
  bool sent_any = false;                     // A byte of the request went to the kernel.
  size_t answer_size = 0;
};

std::unique_ptr<EgressThread> EgressThread::Create(Engine* engine, std::function<void()> wake, std::string* error) {
  auto memory = LockedMemory::Create(kJobBytes * kEgressJobsMax + kScratchBytes, error);
  if (memory == nullptr) return nullptr;
  std::unique_ptr<EgressThread> egress(new EgressThread(engine, std::move(wake), std::move(memory)));
  if (egress->signal_ < 0) {
    *error = std::string("eventfd: ") + std::strerror(errno);
    return nullptr;
  }
  egress->resolver_ = std::make_unique<Resolver>([signal = egress->signal_] {
    const uint64_t one = 1;
    [[maybe_unused]] const auto written = write(signal, &one, sizeof one);
  });
  egress->thread_ = std::thread([raw = egress.get()] { raw->Run(); });
  return egress;
}

EgressThread::EgressThread(Engine* engine, std::function<void()> wake, std::unique_ptr<LockedMemory> memory)
    : engine_(engine), wake_(std::move(wake)), memory_(std::move(memory)),
      scratch_(memory_->data() + kJobBytes * kEgressJobsMax, kScratchBytes),
      signal_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  trusts_.reserve(kTrustsMax);
  signers_.reserve(kSignersMax);
  for (size_t i = 0; i < kEgressJobsMax; ++i) jobs_.push_back(std::make_unique<Job>(memory_->data() + i * kJobBytes, signal_));
}

EgressThread::~EgressThread() { Close(); }

void EgressThread::Close() {
  if (stopping_.exchange(true)) return;
  Signal();
  if (thread_.joinable()) thread_.join();
  resolver_.reset();
  signers_.clear();  // Wipes their secrets.
  for (auto& job : jobs_) {
    if (job->fd >= 0) close(job->fd);
    job->tls.reset();
    job->fields->Clear();
    job->signature.Clear();
    job->filled.Clear();
    Wipe(job->answer.data(), job->answer.size());
  }
  if (signal_ >= 0) close(signal_);
  signal_ = -1;
}

void EgressThread::Signal() const {
  const uint64_t one = 1;
  [[maybe_unused]] const auto written = write(signal_, &one, sizeof one);
}

int EgressThread::AddTrust(const std::string& pem, std::string* error) {
  if (trusts_.size() == kTrustsMax) {
    *error = "more than " + std::to_string(kTrustsMax) + " sets of authorities";
    return -1;
  }
  auto trust = TlsTrust::Create(pem, error);
  if (trust == nullptr) return -1;
  trusts_.push_back(std::move(trust));
  return static_cast<int>(trusts_.size() - 1);
}

uint32_t EgressThread::AddSigner(const SignRule& rule, std::string_view secret, std::string* error) {
  if (signers_.size() == kSignersMax) {
    *error = "more than " + std::to_string(kSignersMax) + " signatures";
    return 0;
  }
  auto signer = Signer::Create(rule, secret, error);
  if (signer == nullptr) return 0;
  signers_.push_back(std::move(signer));
  return static_cast<uint32_t>(signers_.size());
}

EgressFault EgressThread::Start(EgressRequest&& request, std::string* fault) {
  FieldMask asked = 0;
  if (!CheckTemplate(request.body, &asked, fault)) return EgressFault::kTemplate;
  if (!CheckRequest(request.method, request.target, request.headers, fault)) return EgressFault::kRequest;
  if ((asked & ~request.fields_allowed) != 0) return *fault = "template asks for a field that may not go there", EgressFault::kNotAllowed;
  if (asked != 0 && request.leg == 0) return *fault = "template asks for a field, but no payment is named", EgressFault::kTemplate;
  if (request.target.tls && request.trust >= trusts_.size()) return *fault = "no such authorities", EgressFault::kRequest;
  if (request.signer > signers_.size()) return *fault = "no such signature", EgressFault::kRequest;
  if (request.signer != 0 && HasHeader(request.headers, signers_[request.signer - 1]->header())) {
    return *fault = "header " + signers_[request.signer - 1]->header() + " is the signature's", EgressFault::kRequest;
  }
  const auto free = std::find_if(jobs_.begin(), jobs_.end(), [](const auto& job) {
    return job->state.load(std::memory_order_acquire) == Job::State::kFree;
  });
  if (free == jobs_.end()) return *fault = "all places are taken", EgressFault::kBusy;
  Job& job = **free;
  job.request = std::move(request);
  job.deadline_ms = NowMs() + std::min(job.request.timeout_ms, kEgressTimeoutMsMax);
  job.found = job.request.leg == 0;
  if (job.request.leg == 0) {
    job.state.store(Job::State::kReady, std::memory_order_release);
    Signal();
    return EgressFault::kNone;
  }
  job.state.store(Job::State::kCopying, std::memory_order_release);
  const auto done = [](void* context, bool found) {  // Media thread.
    auto* ready = static_cast<Job*>(context);
    ready->found = found;
    ready->state.store(Job::State::kReady, std::memory_order_release);
    const uint64_t one = 1;
    [[maybe_unused]] const auto written = write(ready->signal, &one, sizeof one);
  };
  if (engine_->CopyFields(job.request.leg, job.fields, done, &job) != EngineFault::kNone) {
    job.state.store(Job::State::kFree, std::memory_order_release);
    return *fault = "no such payment", EgressFault::kNoPayment;
  }
  return EgressFault::kNone;
}

bool EgressThread::TakeResult(EgressResult* result) {
  const std::lock_guard lock(results_mutex_);
  if (results_.empty()) return false;
  *result = std::move(results_.front());
  results_.erase(results_.begin());
  return true;
}

void EgressThread::Run() {
  std::vector<pollfd> polled;
  while (!stopping_.load()) {
    polled.assign(1, {signal_, POLLIN, 0});
    for (const auto& job : jobs_) {
      if (job->state.load(std::memory_order_acquire) >= Job::State::kConnecting && job->fd >= 0) {
        polled.push_back({job->fd, static_cast<short>(job->wants_write ? POLLIN | POLLOUT : POLLIN), 0});
      }
    }
    poll(polled.data(), polled.size(), PollTimeoutMs(NowMs()));
    uint64_t count = 0;
    [[maybe_unused]] const auto drained = read(signal_, &count, sizeof count);
    const uint64_t now = NowMs();
    for (const auto& job : jobs_) {
      if (job->state.load(std::memory_order_acquire) >= Job::State::kReady) Step(*job, now);
    }
  }
}

int EgressThread::PollTimeoutMs(uint64_t now) const {
  uint64_t next = now + 60000;
  for (const auto& job : jobs_) {
    const auto state = job->state.load(std::memory_order_acquire);
    if (state < Job::State::kReady) continue;
    next = std::min(next, job->deadline_ms);
    if (state == Job::State::kConnecting) next = std::min(next, job->connect_deadline_ms);
  }
  return next <= now ? 0 : static_cast<int>(next - now);
}

void EgressThread::Step(Job& job, uint64_t now) {
  if (now >= job.deadline_ms) return Fail(job, "time limit of " + std::to_string(job.request.timeout_ms) + " ms is over");
  switch (job.state.load(std::memory_order_relaxed)) {
    case Job::State::kFree:
    case Job::State::kCopying: return;
    case Job::State::kReady: Begin(job); [[fallthrough]];
    case Job::State::kResolving:
      if (job.state.load(std::memory_order_relaxed) != Job::State::kResolving) return;
      if (!job.resolution->done.load(std::memory_order_acquire)) return;
      if (job.resolution->addresses.empty()) return Fail(job, "host has no address: " + job.resolution->error);
      return Connect(job, now);
    case Job::State::kConnecting: return CheckConnected(job, now);
    case Job::State::kHandshaking:
    case Job::State::kTalking: return Talk(job);
  }
}

void EgressThread::Begin(Job& job) {
  if (!job.found) return Fail(job, "the payment has ended");
  job.resolution = resolver_->Ask(job.request.target.host, job.request.target.port);
  if (job.resolution == nullptr) return Fail(job, "too many host names wait for their address");
  job.next_address = 0;
  job.last_error.clear();
  job.state.store(Job::State::kResolving, std::memory_order_relaxed);
}

void EgressThread::Connect(Job& job, uint64_t now) {
  while (job.next_address < job.resolution->addresses.size()) {
    const Address& address = job.resolution->addresses[job.next_address++];
    if (!job.request.target.tls && !job.request.plain_anywhere && !address.IsLoopback()) {
      job.last_error = "plain http may reach this machine only";
      continue;
    }
    job.fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (job.fd < 0) {
      job.last_error = std::string("socket: ") + std::strerror(errno);
      continue;
    }
    const int on = 1;
    setsockopt(job.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(job.fd, reinterpret_cast<const sockaddr*>(&address.storage), address.size) == 0 || errno == EINPROGRESS) {
      job.connect_deadline_ms = now + kConnectMsMax;
      job.wants_write = true;
      job.state.store(Job::State::kConnecting, std::memory_order_relaxed);
      return;
    }
    job.last_error = std::string("connect: ") + std::strerror(errno);
    close(job.fd);
    job.fd = -1;
  }
  Fail(job, job.last_error.empty() ? "host has no address" : job.last_error);
}

void EgressThread::CheckConnected(Job& job, uint64_t now) {
  pollfd one{job.fd, POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  if (poll(&one, 1, 0) == 0) {
    if (now < job.connect_deadline_ms) return;
    error = ETIMEDOUT;
  } else {
    getsockopt(job.fd, SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error == 0) return StartTalking(job);
  job.last_error = std::string("connect: ") + std::strerror(error);
  close(job.fd);
  job.fd = -1;
  Connect(job, now);
}

void EgressThread::StartTalking(Job& job) {
  job.state.store(Job::State::kTalking, std::memory_order_relaxed);
  if (job.request.target.tls) {
    const std::string& host = job.request.target.host;
    job.tls = TlsSession::Create(*trusts_[job.request.trust], host, Resolver::IsNumeric(host));
    if (job.tls == nullptr) return Fail(job, "tls: no session");
    job.state.store(Job::State::kHandshaking, std::memory_order_relaxed);
  } else if (!FillRequest(job)) {
    return;
  }
  Talk(job);
}

// Fills head and body into locked memory. The body is filled first, at the buffer's end, because the head names its
// length; then the two are pushed together.
bool EgressThread::FillRequest(Job& job) {
  std::string fault;
  if (job.request.format != BodyFormat::kNone) {
    if (!FillTemplate(job.request.body, *job.fields, kCentury, &job.filled, &fault)) {
      Fail(job, fault);
      return false;
    }
  }
  // The body's length is known now: start again with the head, then fill once more behind it.
  const size_t body_size = job.filled.size();
  if (job.request.signer != 0 && !SignBody(job)) return false;
  const SecretHeader signature = job.request.signer == 0
      ? SecretHeader{} : SecretHeader{signers_[job.request.signer - 1]->header(), job.signature.bytes()};
  job.filled.Clear();
  AppendHead(job.request.method, job.request.target, job.request.headers, job.request.format, body_size, signature, &job.filled);
  const bool filled = job.request.format == BodyFormat::kNone ||
                      FillTemplate(job.request.body, *job.fields, kCentury, &job.filled, &fault);
  if (!filled || job.filled.overflowed()) {
    Fail(job, fault.empty() ? "filled request is longer than its buffer" : fault);
    return false;
  }
  return true;
}

bool EgressThread::SignBody(Job& job) {
  if (signers_[job.request.signer - 1]->Sign(UnixSeconds(), job.filled.bytes(), &job.signature)) return true;
  Fail(job, "the body could not be signed");
  return false;
}

void EgressThread::Talk(Job& job) {
  bool closed = !Receive(job);
  if (job.state.load(std::memory_order_relaxed) == Job::State::kFree) return;
  if (job.state.load(std::memory_order_relaxed) == Job::State::kHandshaking) {
    std::string fault;
    const auto state = job.tls->Handshake(&fault);
    if (state == TlsSession::State::kFault) {
      Flush(job);  // The alert, so that the other side's log says why.
      return Fail(job, "tls: " + fault);
    }
    if (state == TlsSession::State::kWait) {
      if (!Flush(job)) return Fail(job, "tls: connection ended in the handshake");
      if (closed) return Fail(job, "tls: connection ended in the handshake");
      return;
    }
    if (!Flush(job)) return Fail(job, "tls: connection ended in the handshake");
    if (!FillRequest(job)) return;
    const bool written = job.tls->Write(job.filled.bytes()) == TlsSession::State::kDone;
    job.filled.Clear();
    if (!written) return Fail(job, "tls: request could not be encrypted");
    job.state.store(Job::State::kTalking, std::memory_order_relaxed);
    job.sent_any = true;  // From here on a byte may be on its way.
  }
  const bool flushed = Flush(job);
  if (job.tls != nullptr && !ReadTls(job, closed)) closed = true;
  if (job.state.load(std::memory_order_relaxed) == Job::State::kFree) return;
  Judge(job, closed || (!flushed && job.answer_size == 0));
}

// False: the connection is broken.
bool EgressThread::Flush(Job& job) {
  const bool plain = job.tls == nullptr;
  if (!plain) job.tls->TakeOutput(&job.output);
  const std::span<const uint8_t> bytes = plain ? std::span<const uint8_t>(job.filled.bytes()) : std::span<const uint8_t>(job.output);
  size_t& sent = plain ? job.filled_sent : job.output_sent;
  while (sent < bytes.size()) {
    const ssize_t count = send(job.fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      job.wants_write = true;
      return true;
    }
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
    if (plain) job.sent_any = true;
  }
  job.wants_write = false;
  if (plain && sent > 0) {
    job.filled.Clear();
    sent = 0;
  } else if (!plain) {
    job.output.clear();
    sent = 0;
  }
  return true;
}

// False: no more will come.
bool EgressThread::Receive(Job& job) { return job.tls == nullptr ? ReadPlain(job) : ReadTls(job, false); }

bool EgressThread::ReadPlain(Job& job) {
  while (job.answer_size < job.answer.size()) {
    const ssize_t count = recv(job.fd, job.answer.data() + job.answer_size, job.answer.size() - job.answer_size, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return true;
    if (count <= 0) return false;
    job.answer_size += static_cast<size_t>(count);
  }
  Fail(job, "answer is longer than " + std::to_string(kAnswerBytesMax) + " bytes");
  return false;
}

bool EgressThread::ReadTls(Job& job, bool closed) {
  uint8_t ciphertext[kReceiveBytes];
  while (!closed) {
    const ssize_t count = recv(job.fd, ciphertext, sizeof ciphertext, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) {
      closed = true;
      break;
    }
    job.tls->Feed({ciphertext, static_cast<size_t>(count)});
    if (count < static_cast<ssize_t>(sizeof ciphertext)) break;
  }
  if (job.state.load(std::memory_order_relaxed) != Job::State::kTalking) return !closed;
  for (;;) {
    if (job.answer_size == job.answer.size()) {
      Fail(job, "answer is longer than " + std::to_string(kAnswerBytesMax) + " bytes");
      return false;
    }
    size_t count = 0;
    const auto state = job.tls->Read(job.answer.subspan(job.answer_size), &count);
    if (state == TlsSession::State::kDone) {
      job.answer_size += count;
      continue;
    }
    return state == TlsSession::State::kWait && !closed;
  }
}

void EgressThread::Judge(Job& job, bool closed) {
  HttpAnswer answer;
  const char* fault = nullptr;
  switch (ParseAnswer(job.answer.first(job.answer_size), closed, &answer, &fault)) {
    case AnswerState::kMore: return;
    case AnswerState::kFault: return Fail(job, fault);
    case AnswerState::kDone: return Answered(job, answer);
  }
}

void EgressThread::Answered(Job& job, const HttpAnswer& answer) {
  for (size_t h = 0; h < answer.header_count; ++h) {
    if (LowerText(answer.headers[h].name) == "content-encoding" && LowerText(answer.headers[h].value) != "identity") {
      return Fail(job, "answer is compressed, which was not asked for and cannot be scrubbed");
    }
  }
  EgressResult result;
  result.kind = EgressResult::Kind::kAnswered;
  result.status = answer.status;
  const size_t head_size = answer.body.empty() ? job.answer_size : static_cast<size_t>(answer.body.data() - job.answer.data());
  Scrub(job.answer.first(head_size), *job.fields, scratch_);
  Scrub(answer.body, *job.fields, scratch_);
  ScrubEcho(job.answer.first(job.answer_size), job.signature.bytes());
  QuoteStars(answer.body);
  for (size_t h = 0; h < answer.header_count; ++h) {
    const auto& value = answer.headers[h].value;
    result.headers.emplace_back(LowerText(answer.headers[h].name), std::string(value.begin(), value.end()));
  }
  result.body.assign(answer.body.begin(), answer.body.end());
  Finish(job, std::move(result));
}

void EgressThread::Fail(Job& job, const std::string& reason) {
  EgressResult result;
  result.kind = job.sent_any ? EgressResult::Kind::kNoAnswer : EgressResult::Kind::kNotSent;
  result.reason = reason;
  Finish(job, std::move(result));
}

void EgressThread::Finish(Job& job, EgressResult&& result) {
  if (job.tls != nullptr && job.fd >= 0) {
    job.tls->Goodbye();
    job.tls->TakeOutput(&job.output);
    if (job.output.size() > job.output_sent) {
      send(job.fd, job.output.data() + job.output_sent, job.output.size() - job.output_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
  }
  job.tls.reset();
  if (job.fd >= 0) close(job.fd);
  job.fd = -1;
  job.fields->Clear();
  job.signature.Clear();
  job.filled.Clear();
  Wipe(job.answer.data(), job.answer_size);
  result.id = job.request.id;
  job.request = {};
  job.resolution.reset();
  job.output.clear();
  job.output_sent = job.filled_sent = job.answer_size = 0;
  job.sent_any = job.wants_write = false;
  {
    const std::lock_guard lock(results_mutex_);
    results_.push_back(std::move(result));
  }
  job.state.store(Job::State::kFree, std::memory_order_release);
  wake_();
}

}  // namespace hushtone
