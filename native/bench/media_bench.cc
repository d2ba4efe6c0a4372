// The engine under load from outside: LEGS legs in two-leg calls, everyone heard by the other, for SECONDS. Prints where
// each leg listens (for a generator), then what a packet cost.
//   media_bench LEGS PORT_FIRST PEER_PORT_FIRST SECONDS LEGS_FILE [masked]
// masked: the first leg of every call has a mask, armed and proven before the measuring begins, and the other hears it so.
// Leg i expects its peer at 127.0.0.1:PEER_PORT_FIRST+i. LEGS_FILE gets "<peer port> 127.0.0.1 <leg port>" a line.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "call/engine.h"

using namespace hushtone;

namespace {

constexpr auto kMargin = std::chrono::milliseconds(1500);
constexpr int kArmSecondsMax = 30;
constexpr int kSparePorts = 256;         // Others may hold some of the range.

double CpuSeconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

LegStats Sum(Engine& engine, const std::vector<LegHandle>& legs) {
  LegStats sum;
  for (const LegHandle leg : legs) {
    LegStats stats;
    if (engine.ReadStats(leg, &stats) != EngineFault::kNone) continue;
    sum.packets_received += stats.packets_received;
    sum.packets_sent += stats.packets_sent;
    sum.packets_lost += stats.packets_lost;
    sum.packets_late += stats.packets_late;
  }
  return sum;
}

// Every call's mask has been proven and armed.
bool WaitForMasks(Engine& engine, size_t count) {
  size_t armed = 0;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kArmSecondsMax);
  while (armed < count && std::chrono::steady_clock::now() < until) {
    EngineEvent events[64];
    uint64_t lost = 0;
    const size_t taken = engine.Drain(events, &lost);
    for (size_t i = 0; i < taken; ++i) {
      const bool is_mask = events[i].kind == static_cast<uint16_t>(EventKind::kMaskChanged);
      armed += is_mask && events[i].code == static_cast<uint8_t>(MaskChange::kArmed) ? 1u : 0u;
    }
    if (taken == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return armed == count;
}

long ResidentKb() {
  long pages = 0;
  if (FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

}  // namespace

int main(int count, char** arguments) {
  const bool masked = count == 7 && std::strcmp(arguments[6], "masked") == 0;
  if (count != 6 && !masked) {
    std::fprintf(stderr, "usage: media_bench LEGS PORT_FIRST PEER_PORT_FIRST SECONDS LEGS_FILE [masked]\n");
    return 2;
  }
  const int legs = std::atoi(arguments[1]);
  const int port_first = std::atoi(arguments[2]);
  const int peer_first = std::atoi(arguments[3]);
  const int seconds = std::atoi(arguments[4]);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  std::string error;
  BrandTable brands;
  brands.brands.resize(1);
  brands.brands[0].name = "any";
  auto vault = Vault::Create(brands, &error);
  EngineLimits limits;
  limits.port_first = static_cast<uint16_t>(port_first);
  limits.port_last = static_cast<uint16_t>(port_first + 2 * legs + kSparePorts - 1);
  auto engine = vault == nullptr ? nullptr : Engine::Create(limits, std::move(vault), &error);
  if (engine == nullptr) {
    std::fprintf(stderr, "media_bench: %s\n", error.c_str());
    return 1;
  }
  const long resident_before = ResidentKb();
  FILE* file = std::fopen(arguments[5], "w");
  if (file == nullptr) return 1;
  std::vector<LegHandle> handles;
  for (int i = 0; i < legs; ++i) {
    LegOpen open;
    open.call = static_cast<uint32_t>(i / 2);
    open.local_address = "127.0.0.1";
    open.media.remote_address = "127.0.0.1";
    open.media.remote_port = static_cast<uint16_t>(peer_first + i);
    open.media.send_event_payload_type = open.media.receive_event_payload_type = 101;
    LegHandle leg = 0;
    uint16_t port = 0;
    if (engine->OpenLeg(open, &leg, &port) != EngineFault::kNone) {
      std::fprintf(stderr, "media_bench: leg %d cannot be opened\n", i);
      return 1;
    }
    handles.push_back(leg);
    std::fprintf(file, "%d 127.0.0.1 %d\n", peer_first + i, int{port});
    if (i % 2 == 0) continue;
    const LegHandle first = handles[handles.size() - 2];
    const Engine::Route routes[] = {{first, leg, masked}, {leg, first}};
    while (engine->SetRoutes(0, open.call, routes) == EngineFault::kRingFull) std::this_thread::yield();
    while (masked && engine->ArmMask(0, first, MaskOrder{}) == EngineFault::kRingFull) std::this_thread::yield();
  }
  std::fclose(file);
  if (masked && !WaitForMasks(*engine, static_cast<size_t>(legs) / 2)) {
    std::fprintf(stderr, "media_bench: not every mask was armed within %d s\n", kArmSecondsMax);
    return 1;
  }
  std::printf("ready\n");
  std::fflush(stdout);
  // The generator starts at "ready" and ends SECONDS - 1 behind it: only what lies well between counts.
  std::this_thread::sleep_for(kMargin);
  const LegStats before = Sum(*engine, handles);
  const double cpu_before = CpuSeconds();
  std::this_thread::sleep_for(std::chrono::seconds(seconds) - 2 * kMargin);
  LegStats sum = Sum(*engine, handles);
  const double cpu = CpuSeconds() - cpu_before;
  sum.packets_received -= before.packets_received;
  sum.packets_sent -= before.packets_sent;
  // Masks are taken when the engine starts; each call's own counts to it.
  const double mask_kb = masked ? static_cast<double>(sizeof(Mask)) / 1024 : 0;
  // A packet is one received and one sent, as the relay's is.
  const double packets = static_cast<double>(sum.packets_received + sum.packets_sent) / 2.0;
  std::printf("{\"legs\":%d,\"packets\":%llu,\"sent\":%llu,\"lost\":%llu,\"late\":%llu,\"cpuS\":%.3f,\"usPerPacket\":%.3f,\"kbPerCall\":%.1f}\n",
              legs, static_cast<unsigned long long>(sum.packets_received), static_cast<unsigned long long>(sum.packets_sent),
              static_cast<unsigned long long>(sum.packets_lost), static_cast<unsigned long long>(sum.packets_late), cpu,
              cpu * 1e6 / (packets > 0 ? packets : 1), static_cast<double>(ResidentKb() - resident_before) / (legs / 2.0) + mask_kb);
  std::fflush(stdout);
  // Until the generator has ended too: what it sends last must find somebody.
  std::this_thread::sleep_for(2 * kMargin);
  return 0;
}
