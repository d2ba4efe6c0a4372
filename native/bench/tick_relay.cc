// What the sockets of our way of working cost, and nothing else: wakes every 5 ms, takes one packet from each socket that
// has one, and sends all of them in one pass, each out of its neighbour's socket. No clock, no buffer, no decoding.
//   tick_relay SOCKETS PORT_FIRST PEER_PORT_FIRST SECONDS
// Socket i is bound to 127.0.0.1:PORT_FIRST+i and connected to PEER_PORT_FIRST+i, as those of ../shared/tools/rtp/relay.c are.
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

constexpr uint64_t kStepNs = 5'000'000;
constexpr int kReadyMax = 1024;
constexpr size_t kPacketBytesMax = 1500;

struct Packet {
  int out = -1;
  ssize_t length = 0;
  std::array<uint8_t, kPacketBytesMax> bytes;
};

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    std::fprintf(stderr, "usage: tick_relay SOCKETS PORT_FIRST PEER_PORT_FIRST SECONDS\n");
    return 2;
  }
  const int sockets = std::atoi(arguments[1]);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<int> fds;
  for (int i = 0; i < sockets; ++i) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const sockaddr_in here = Loopback(std::atoi(arguments[2]) + i);
    const sockaddr_in peer = Loopback(std::atoi(arguments[3]) + i);
    if (bind(fd, reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0 ||
        connect(fd, reinterpret_cast<const sockaddr*>(&peer), sizeof peer) != 0) {
      std::perror("tick_relay: socket");
      return 1;
    }
    epoll_event watch{};
    watch.events = EPOLLIN;
    watch.data.u32 = static_cast<uint32_t>(i);
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &watch);
    fds.push_back(fd);
  }

  std::vector<Packet> packets(kReadyMax);
  uint64_t relayed = 0;
  uint64_t next_ns = MonotonicNs();
  const uint64_t end_ns = next_ns + static_cast<uint64_t>(std::atoi(arguments[4])) * 1'000'000'000;
  while (next_ns < end_ns) {
    next_ns += kStepNs;
    const timespec until{static_cast<time_t>(next_ns / 1'000'000'000), static_cast<long>(next_ns % 1'000'000'000)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
    epoll_event ready[kReadyMax];
    const int ready_count = epoll_wait(epoll, ready, kReadyMax, 0);
    size_t taken = 0;
    for (int i = 0; i < ready_count; ++i) {
      Packet& packet = packets[taken];
      packet.length = recv(fds[ready[i].data.u32], packet.bytes.data(), packet.bytes.size(), 0);
      packet.out = fds[ready[i].data.u32 ^ 1];
      if (packet.length > 0) ++taken;
    }
    for (size_t i = 0; i < taken; ++i) {
      (void)send(packets[i].out, packets[i].bytes.data(), static_cast<size_t>(packets[i].length), MSG_NOSIGNAL);
    }
    relayed += taken;
  }
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto us = [](const timeval& time) { return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec); };
  std::printf("tick_relay packets %llu us_per_packet %.3f\n", static_cast<unsigned long long>(relayed),
              (us(used.ru_utime) + us(used.ru_stime)) / static_cast<double>(relayed > 0 ? relayed : 1));
  return 0;
}
