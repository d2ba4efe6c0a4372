// UDP sockets of a leg and the addresses they speak of. Control thread binds; media thread receives and sends.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/endpoint.h"

namespace hushtone {

// False where `text` is no IPv4 or IPv6 address in numbers. Names are not looked up: SDP says addresses.
bool ParseAddress(const std::string& text, uint16_t port, Endpoint* out);
socklen_t ToSockaddr(const Endpoint& endpoint, sockaddr_storage* out);
bool FromSockaddr(const sockaddr_storage& address, Endpoint* out);

// RTP has two sockets on one port. `peer` is connected to the peer once one is known: the kernel then finds its packets'
// socket and the way to it without asking again for each, and nobody else's packets can fill its queue. Those come to
// `stray`, as the first ones do that say who the peer is.
struct PortPair {
  int peer = -1;
  int stray = -1;
  int rtcp = -1;
  uint16_t port = 0;   // RTP's, even; RTCP's is the next.
};

// Binds exactly `port` and the next one. False where one of them is taken.
bool BindPair(const std::string& address, uint16_t port, PortPair* out);
void ClosePair(PortPair* pair);
// Takes packets from there only, and sends there. An unknown endpoint: from anywhere, again. False: the kernel will not.
bool ConnectTo(int fd, const Endpoint& peer);

}  // namespace hushtone
