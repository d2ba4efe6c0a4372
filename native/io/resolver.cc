#include "io/resolver.h"

#include <netdb.h>
#include <netinet/in.h>

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

namespace hushtone {
namespace {

void Resolve(Resolution& resolution, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int result = getaddrinfo(resolution.host.c_str(), std::to_string(resolution.port).c_str(), &hints, &found);
  if (result != 0) {
    resolution.error = gai_strerror(result);
    return;
  }
  for (const addrinfo* at = found; at != nullptr && resolution.addresses.size() < kAddressesMax; at = at->ai_next) {
    Address address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.size = at->ai_addrlen;
    resolution.addresses.push_back(address);
  }
  freeaddrinfo(found);
}

}  // namespace

struct Resolver::Shared {
  std::mutex mutex;
  std::condition_variable wanted;
  std::deque<std::shared_ptr<Resolution>> waiting;
  size_t busy = 0;
  bool stopping = false;
  std::function<void()> notify;
};

bool Address::IsLoopback() const {
  if (storage.ss_family == AF_INET) {
    return ntohl(reinterpret_cast<const sockaddr_in*>(&storage)->sin_addr.s_addr) >> 24 == 127;
  }
  return storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_addr);
}

Resolver::Resolver(std::function<void()> notify) : shared_(std::make_shared<Shared>()) {
  shared_->notify = std::move(notify);
  for (size_t i = 0; i < kResolverThreads; ++i) threads_.emplace_back(Run, shared_);
}

Resolver::~Resolver() {
  bool busy = false;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
    shared_->notify = nullptr;
    shared_->waiting.clear();
    busy = shared_->busy > 0;
  }
  shared_->wanted.notify_all();
  // getaddrinfo cannot be interrupted: a thread inside it is left to end by itself; it owns all that it touches.
  for (std::thread& thread : threads_) {
    if (busy) thread.detach();
    else thread.join();
  }
}

bool Resolver::IsNumeric(const std::string& host) {
  Resolution resolution;
  resolution.host = host;
  Resolve(resolution, AI_NUMERICHOST);
  return !resolution.addresses.empty();
}

std::shared_ptr<Resolution> Resolver::Ask(const std::string& host, uint16_t port) {
  auto resolution = std::make_shared<Resolution>();
  resolution->host = host;
  resolution->port = port;
  Resolve(*resolution, AI_NUMERICHOST);
  if (!resolution->addresses.empty()) {
    resolution->done = true;
    return resolution;
  }
  resolution->error.clear();
  const std::lock_guard lock(shared_->mutex);
  if (shared_->waiting.size() >= kResolutionsWaitingMax) return nullptr;
  shared_->waiting.push_back(resolution);
  shared_->wanted.notify_one();
  return resolution;
}

void Resolver::Run(std::shared_ptr<Shared> shared) {
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->wanted.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
    if (shared->stopping) return;
    const std::shared_ptr<Resolution> resolution = shared->waiting.front();
    shared->waiting.pop_front();
    ++shared->busy;
    lock.unlock();
    Resolve(*resolution, AI_ADDRCONFIG);
    resolution->done.store(true, std::memory_order_release);
    lock.lock();
    --shared->busy;
    if (shared->notify) shared->notify();
  }
}

}  // namespace hushtone
