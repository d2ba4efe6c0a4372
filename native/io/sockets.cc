#include "io/sockets.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <unistd.h>

#include <cstring>

namespace hushtone {
namespace {

enum class Sharing : bool { kAlone, kShared };

void Share(int fd, bool shared) {
  const int flag = shared ? 1 : 0;
  (void)setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &flag, sizeof flag);
}

int BindOne(const Endpoint& endpoint, Sharing sharing = Sharing::kAlone) {
  sockaddr_storage address;
  const socklen_t length = ToSockaddr(endpoint, &address);
  const int fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  // RFC 4594 §4.1: telephony bearer traffic is Expedited Forwarding, DSCP 46. Where it is refused the call still works.
  const int tos = 46 << 2;
  if (endpoint.family == 4) {
    (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
  } else {
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof tos);
  }
  if (sharing == Sharing::kShared) Share(fd, true);
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0) return fd;
  close(fd);
  return -1;
}

// The first socket binds alone, so that a port that another process has is seen to be taken; only then it is shared, with
// this second one, and with nobody from then on.
int BindBeside(int first, const Endpoint& endpoint) {
  Share(first, true);
  const int second = BindOne(endpoint, Sharing::kShared);
  Share(first, false);
  if (second >= 0) Share(second, false);
  return second;
}

}  // namespace

bool ParseAddress(const std::string& text, uint16_t port, Endpoint* out) {
  *out = Endpoint{};
  out->port = port;
  if (inet_pton(AF_INET, text.c_str(), out->address.data()) == 1) {
    out->family = 4;
    return true;
  }
  if (inet_pton(AF_INET6, text.c_str(), out->address.data()) == 1) {
    out->family = 6;
    return true;
  }
  return false;
}

socklen_t ToSockaddr(const Endpoint& endpoint, sockaddr_storage* out) {
  std::memset(out, 0, sizeof *out);
  if (endpoint.family == 4) {
    auto* v4 = reinterpret_cast<sockaddr_in*>(out);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.address.data(), 4);
    return sizeof *v4;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(endpoint.port);
  std::memcpy(&v6->sin6_addr, endpoint.address.data(), 16);
  return sizeof *v6;
}

bool FromSockaddr(const sockaddr_storage& address, Endpoint* out) {
  *out = Endpoint{};
  if (address.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address);
    out->family = 4;
    out->port = ntohs(v4->sin_port);
    std::memcpy(out->address.data(), &v4->sin_addr, 4);
    return true;
  }
  if (address.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address);
    out->family = 6;
    out->port = ntohs(v6->sin6_port);
    std::memcpy(out->address.data(), &v6->sin6_addr, 16);
    return true;
  }
  return false;
}

bool BindPair(const std::string& address, uint16_t port, PortPair* out) {
  Endpoint endpoint;
  if (!ParseAddress(address, port, &endpoint)) return false;
  out->peer = BindOne(endpoint);
  if (out->peer < 0) return false;
  out->stray = BindBeside(out->peer, endpoint);
  ++endpoint.port;
  out->rtcp = BindOne(endpoint);
  if (out->stray < 0 || out->rtcp < 0) {
    ClosePair(out);
    return false;
  }
  out->port = port;
  return true;
}

void ClosePair(PortPair* pair) {
  for (const int fd : {pair->peer, pair->stray, pair->rtcp}) {
    if (fd >= 0) close(fd);
  }
  *pair = PortPair{};
}

bool ConnectTo(int fd, const Endpoint& peer) {
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr);
  address.ss_family = AF_UNSPEC;
  if (peer.IsKnown()) length = ToSockaddr(peer, &address);
  return connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0;
}

}  // namespace hushtone
