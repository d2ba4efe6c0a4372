// Host names to addresses on threads of their own, because getaddrinfo blocks for as long as it likes.
#pragma once

#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace hushtone {

constexpr size_t kResolverThreads = 2;
constexpr size_t kResolutionsWaitingMax = 256;
constexpr size_t kAddressesMax = 8;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool IsLoopback() const;
};

// Shared by the one who asked and the thread that answers; the asker may lose interest.
struct Resolution {
  std::string host;
  uint16_t port = 0;
  std::vector<Address> addresses;
  std::string error;
  std::atomic<bool> done{false};
};

class Resolver {
 public:
  // `notify` is called on a resolver thread after each answer.
  explicit Resolver(std::function<void()> notify);
  ~Resolver();
  // Numbers are answered at once. Null: too many wait.
  std::shared_ptr<Resolution> Ask(const std::string& host, uint16_t port);
  static bool IsNumeric(const std::string& host);

 private:
  struct Shared;
  static void Run(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
};

}  // namespace hushtone
