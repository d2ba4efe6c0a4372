// The engine as the addon uses it: real sockets on 127.0.0.1, the media thread on, the real vault. Runs under address,
// undefined and thread sanitizers; waits are for events with a limit, never for a time.
#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "audio/g711.h"
#include "base/bytes.h"
#include "brand_table.h"
#include "call/engine.h"
#include "check.h"
#include "rtp/packet.h"
#include "rtp/telephone_event.h"
#include "vault/field_set.h"

using namespace hushtone;

namespace {

constexpr uint16_t kPortFirst = 16200;
constexpr uint16_t kPortLast = 16399;
constexpr int kWaitMsMax = 10000;      // A test that waits longer fails; nothing here takes a second.

using Clock = std::chrono::steady_clock;

class Peer {
 public:
  explicit Peer(uint32_t ssrc) : ssrc_(ssrc), fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    CHECK(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    socklen_t length = sizeof address;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  uint16_t port() const { return port_; }
  uint16_t engine_port() const { return engine_port_; }
  void To(uint16_t port) { engine_port_ = port; }

  void Send(uint8_t type, uint32_t timestamp, std::span<const uint8_t> payload) {
    uint8_t bytes[kRtpPacketBytesMax];
    RtpPacket packet;
    packet.payload_type = type;
    packet.timestamp = timestamp;
    packet.sequence_number = sequence_++;
    packet.ssrc = ssrc_;
    const size_t head = WriteRtpHeader(packet, bytes);
    std::memcpy(bytes + head, payload.data(), payload.size());
    SendRaw(std::span(bytes, head + payload.size()));
  }

  void SendRaw(std::span<const uint8_t> bytes) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(engine_port_);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    (void)sendto(fd_, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }

  void SendFrame(uint8_t code) {
    Send(0, timestamp_, std::vector<uint8_t>(160, code));
    timestamp_ += 160;
  }

  void Press(uint8_t event) {
    timestamp_ += 1600;
    const uint8_t first[] = {event, 10, 0, 160};
    const uint8_t last[] = {event, 0x8a, 3, 0x20};
    Send(101, timestamp_, first);
    Send(101, timestamp_, last);
    Send(101, timestamp_, last);
  }

  // Everything that waits in the socket.
  std::vector<std::vector<uint8_t>> Receive() {
    std::vector<std::vector<uint8_t>> all;
    uint8_t bytes[kRtpPacketBytesMax];
    for (ssize_t count; (count = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) all.emplace_back(bytes, bytes + count);
    return all;
  }

  // False: nothing within the limit.
  bool WaitForPacket(int limit_ms = kWaitMsMax) const {
    pollfd one{fd_, POLLIN, 0};
    return poll(&one, 1, limit_ms) == 1;
  }

 private:
  const uint32_t ssrc_;
  const int fd_;
  uint16_t port_ = 0;
  uint16_t engine_port_ = 0;
  uint16_t sequence_ = 65500;          // Across the wrap soon.
  uint32_t timestamp_ = 4000000001;
};

class Bench {
 public:
  Bench() {
    std::string error;
    auto vault = Vault::Create(test::LoadBrands(), &error);
    CHECK(vault != nullptr);
    EngineLimits limits;
    limits.port_first = kPortFirst;
    limits.port_last = kPortLast;
    engine = Engine::Create(limits, std::move(vault), &error);
    CHECK(engine != nullptr);
    if (engine == nullptr) std::fprintf(stderr, "%s\n", error.c_str());
    engine->SetWake([this] { wakes.fetch_add(1); });
  }

  LegHandle Open(uint32_t call, Peer& peer, uint16_t local_port = 0, EngineFault expected = EngineFault::kNone) {
    LegOpen open;
    open.call = call;
    open.local_address = "127.0.0.1";
    open.local_port = local_port;
    open.media.remote_address = "127.0.0.1";
    open.media.remote_port = peer.port();
    open.media.send_event_payload_type = open.media.receive_event_payload_type = 101;
    LegHandle leg = 0;
    uint16_t port = 0;
    CHECK(engine->OpenLeg(open, &leg, &port) == expected);
    if (expected == EngineFault::kNone) peer.To(port);
    return leg;
  }

  // Waits until `holds` of an event is true; all events up to it are kept.
  bool WaitFor(const std::function<bool(const EngineEvent&)>& holds) {
    const auto until = Clock::now() + std::chrono::milliseconds(kWaitMsMax);
    while (Clock::now() < until) {
      EngineEvent batch[16];
      uint64_t lost = 0;
      const size_t count = engine->Drain(batch, &lost);
      CHECK(lost == 0);
      bool found = false;
      for (size_t i = 0; i < count; ++i) {
        all.push_back(batch[i]);
        found = found || holds(batch[i]);
      }
      if (found) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }

  // A thread of its own wakes Node: the answer may be read before it ran.
  bool WaitForWake() const {
    const auto until = Clock::now() + std::chrono::milliseconds(kWaitMsMax);
    while (wakes.load() == 0 && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return wakes.load() > 0;
  }

  bool WaitForAnswer(uint32_t request, EngineFault fault = EngineFault::kNone) {
    return WaitFor([&](const EngineEvent& event) {
      return event.kind == static_cast<uint16_t>(EventKind::kAnswer) && event.request == request &&
             event.code == static_cast<uint8_t>(fault);
    });
  }

  bool WaitForKind(EventKind kind) {
    return WaitFor([&](const EngineEvent& event) { return event.kind == static_cast<uint16_t>(kind); });
  }

  size_t Count(EventKind kind) const {
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const EngineEvent& event) {
      return event.kind == static_cast<uint16_t>(kind);
    }));
  }

  std::unique_ptr<Engine> engine;
  std::atomic<uint32_t> wakes{0};
  std::vector<EngineEvent> all;
};

bool IsLoud(const std::vector<uint8_t>& packet, uint8_t code) {
  return packet.size() > 12 && std::count(packet.begin() + 12, packet.end(), code) > 100;
}

// A second of audio from one leg to the other, in real time.
void CarriesACall() {
  Bench bench;
  Peer caller(1), agent(2);
  const LegHandle from = bench.Open(7, caller);
  const LegHandle to = bench.Open(7, agent);
  const Engine::Route routes[] = {{from, to}, {to, from}};
  CHECK(bench.engine->SetRoutes(1, 7, routes) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(1));
  CHECK(bench.WaitForWake());

  auto next = Clock::now();
  std::vector<std::vector<uint8_t>> heard;
  LegStats stats;
  for (int i = 0; i < 50; ++i) {
    caller.SendFrame(0x10);
    // While the media thread counts.
    CHECK(bench.engine->ReadStats(from, &stats) == EngineFault::kNone && stats.packets_received <= static_cast<uint64_t>(i) + 1);
    CHECK(!stats.remote.IsKnown() || stats.remote.port == caller.port());
    next += std::chrono::milliseconds(20);
    std::this_thread::sleep_until(next);
    for (auto& packet : agent.Receive()) heard.push_back(std::move(packet));
  }
  size_t loud = 0;
  for (size_t i = 0; i < heard.size(); ++i) {
    loud += IsLoud(heard[i], 0x10) ? 1u : 0u;
    if (i == 0) continue;
    CHECK(ReadU16(&heard[i][2]) == static_cast<uint16_t>(ReadU16(&heard[i - 1][2]) + 1));
    CHECK(ReadU32(&heard[i][4]) == ReadU32(&heard[i - 1][4]) + 160);
    CHECK(ReadU32(&heard[i][8]) == ReadU32(&heard[0][8]));
  }
  CHECK(heard.size() >= 45 && heard.size() <= 55);
  CHECK(loud >= 35);
  CHECK(bench.engine->ReadStats(from, &stats) == EngineFault::kNone);
  CHECK(stats.packets_received == 50 && stats.packets_lost == 0);
  CHECK(stats.remote.port == caller.port() && stats.remote.address[0] == 127);
  CHECK(bench.engine->CloseLeg(2, from) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(2));
  CHECK(bench.engine->ReadStats(from, &stats) == EngineFault::kNone && stats.packets_received == 50);   // Still.
  CHECK(stats.rated.is_known == 1 && stats.rated.loss_rate == 0 && stats.playout_delay_ms >= 40);        // The last word.
  CHECK(bench.engine->StopPlay(3, from) == EngineFault::kNoLeg);
  CHECK(bench.engine->ReadStats(from + (1U << 16), &stats) == EngineFault::kNoLeg);
}

// Whoever sends to a leg's port and is not its peer is counted and not heard, and takes nothing from the peer; where the
// SDP moves the peer, the socket moves with it.
void StrangersAreCountedAndAMovedPeerIsFollowed() {
  Bench bench;
  Peer caller(1), agent(2), stranger(3), moved(4);
  const LegHandle from = bench.Open(7, caller);
  const LegHandle to = bench.Open(7, agent);
  const Engine::Route routes[] = {{from, to}};
  CHECK(bench.engine->SetRoutes(1, 7, routes) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(1));
  stranger.To(caller.engine_port());
  moved.To(caller.engine_port());
  const auto send = [](Peer& one, Peer& other, int frames) {
    auto next = Clock::now();
    for (int i = 0; i < frames; ++i) {
      one.SendFrame(0x10);
      other.SendFrame(0x90);
      next += std::chrono::milliseconds(20);
      std::this_thread::sleep_until(next);
    }
  };
  send(caller, stranger, 25);
  LegStats stats;
  CHECK(bench.engine->ReadStats(from, &stats) == EngineFault::kNone);
  CHECK(stats.packets_received == 25 && stats.packets_from_elsewhere == 25);
  CHECK(!caller.Receive().empty() && stranger.Receive().empty());

  MediaConfig media;
  media.remote_address = "127.0.0.1";
  media.remote_port = moved.port();
  CHECK(bench.engine->UpdateLeg(2, from, media) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(2));
  (void)caller.Receive();
  send(moved, stranger, 25);
  CHECK(bench.engine->ReadStats(from, &stats) == EngineFault::kNone);
  CHECK(stats.packets_received == 50 && stats.packets_from_elsewhere == 50);
  CHECK(!moved.Receive().empty() && stranger.Receive().empty());
  size_t loud = 0;
  for (const auto& packet : agent.Receive()) {
    CHECK(!IsLoud(packet, 0x90));
    loud += IsLoud(packet, 0x10) ? 1u : 0u;
  }
  CHECK(loud >= 30);
}

// A test card of Stripe's, keyed as events over a playing prompt; the agent hears neither tone nor event.
void TakesACard() {
  Bench bench;
  Peer caller(1), agent(2);
  const LegHandle payer = bench.Open(7, caller);
  const LegHandle listener = bench.Open(7, agent);
  const Engine::Route routes[] = {{payer, listener}};
  CHECK(bench.engine->SetRoutes(1, 7, routes) == EngineFault::kNone);
  const std::vector<int16_t> speech(80000, 4000);
  const int32_t recording = bench.engine->AddRecording(speech);
  CHECK(recording == 0);
  const int32_t list[] = {recording};
  CHECK(bench.engine->BeginPayment(2, payer) == EngineFault::kNone);
  CHECK(bench.engine->Play(3, payer, list, true, false) == EngineFault::kNone);
  FieldOrder order;
  order.kind = FieldKind::kPan;
  order.length_min = 12;
  order.length_max = 19;
  order.brands_allowed = ~BrandMask{0};
  CHECK(bench.engine->OpenField(4, payer, order) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(4));
  CHECK(caller.WaitForPacket());

  caller.SendFrame(0x10);
  for (const char key : std::string("4242424242424242")) {
    caller.Press(static_cast<uint8_t>(key - '0'));
    caller.SendFrame(0x10);
  }
  caller.Press(kEventHash);
  CHECK(bench.WaitForKind(EventKind::kFieldEnded));
  const EngineEvent& ended = bench.all.back();
  CHECK(ended.code == static_cast<uint8_t>(FieldEnd::kHash) && ended.field == static_cast<uint8_t>(FieldKind::kPan));
  CHECK(ended.facts.length == 16 && ended.facts.luhn_ok == 1 && std::memcmp(ended.facts.last4, "4242", 4) == 0);
  CHECK(bench.Count(EventKind::kFieldKey) == 17);
  CHECK(bench.Count(EventKind::kPlayEnded) == 1);   // The first key stopped the prompt.
  CHECK(bench.Count(EventKind::kRelayedKey) == 0);
  for (const EngineEvent& event : bench.all) {
    if (event.kind == static_cast<uint16_t>(EventKind::kFieldKey)) CHECK(event.facts.last4[0] == 0 || event.facts.length == 16);
  }
  for (const auto& packet : agent.Receive()) CHECK((packet[1] & 0x7f) == 0 && IsLoud(packet, 0xff));

  struct Copied {
    FieldSet fields;
    std::atomic<int> found{-1};
  } copied;
  const auto done = [](void* job, bool found) { static_cast<Copied*>(job)->found.store(found ? 1 : 0); };
  CHECK(bench.engine->CopyFields(payer, &copied.fields, done, &copied) == EngineFault::kNone);
  CHECK(bench.engine->EndPayment(5, payer) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(5));
  CHECK(copied.found.load() == 1);
  copied.found.store(-1);
  CHECK(bench.engine->CopyFields(payer, &copied.fields, done, &copied) == EngineFault::kNone);
  CHECK(bench.engine->StopPlay(6, payer) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(6));
  CHECK(copied.found.load() == 0);
}

void AnOrderBeforeCloseIsCarriedOut() {
  Bench bench;
  Peer caller(1);
  const LegHandle leg = bench.Open(1, caller);
  std::atomic<int> done{0};
  FieldSet fields;
  for (int i = 0; i < 500; ++i) {
    CHECK(bench.engine->CopyFields(leg, &fields, [](void* job, bool) { static_cast<std::atomic<int>*>(job)->fetch_add(1); },
                                   &done) == EngineFault::kNone);
  }
  bench.engine->Close();
  CHECK(done.load() == 500);
  CHECK(bench.engine->CopyFields(leg, &fields, nullptr, nullptr) != EngineFault::kNone);
  CHECK(bench.engine->StopPlay(1, leg) != EngineFault::kNone);
  bench.Open(1, caller, 0, EngineFault::kLimit);
  bench.engine->Close();
}

// A leg that comes back after its worker died asks for the port it had.
void TakesPortsInTurnAndByNumber() {
  Bench bench;
  Peer caller(1);
  const uint16_t wanted = kPortLast - 1;
  const LegHandle first = bench.Open(1, caller, wanted);
  Peer other(2);
  bench.Open(2, other, wanted, EngineFault::kNoPort);
  CHECK(bench.engine->CloseLeg(1, first) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(1));
  uint64_t lost = 0;
  (void)bench.engine->Drain({}, &lost);
  const LegHandle again = bench.Open(1, caller, wanted);
  CHECK(again != 0 && again != first);

  LegOpen bad;
  bad.local_address = "127.0.0.1";
  bad.media.ptime_ms = 70;
  LegHandle leg = 0;
  uint16_t port = 0;
  CHECK(bench.engine->OpenLeg(bad, &leg, &port) == EngineFault::kBadArgument);
  bad.media.ptime_ms = 20;
  bad.local_address = "not an address";
  CHECK(bench.engine->OpenLeg(bad, &leg, &port) == EngineFault::kNoPort);

  // The range has 100 pairs, one of them taken.
  size_t opened = 0;
  bad.local_address = "127.0.0.1";
  EngineFault fault = EngineFault::kNone;
  for (uint32_t call = 100; fault == EngineFault::kNone; ++call) {
    bad.call = call;
    fault = bench.engine->OpenLeg(bad, &leg, &port);
    opened += fault == EngineFault::kNone ? 1u : 0u;
  }
  CHECK(fault == EngineFault::kNoPort && opened == (kPortLast - kPortFirst + 1) / 2 - 1);
}

// Calls come and go while packets, good and bad, arrive: what the thread sanitizer is for.
void LegsComeAndGoUnderLoad() {
  Bench bench;
  std::atomic<bool> stop{false};
  std::vector<std::unique_ptr<Peer>> peers;
  for (uint32_t i = 0; i < 8; ++i) peers.push_back(std::make_unique<Peer>(i + 1));
  Peer noise(99);
  std::thread load([&] {
    uint32_t value = 1;
    uint8_t bytes[64];
    while (!stop.load()) {
      for (uint16_t port = kPortFirst; port < kPortFirst + 60; ++port) {
        for (uint8_t& byte : bytes) {
          value = value * 1664525 + 1013904223;
          byte = static_cast<uint8_t>(value >> 24);
        }
        if ((value & 1) != 0) bytes[0] = 0x80;
        if ((value & 2) != 0) bytes[1] = (value & 4) != 0 ? 0 : 101;
        noise.To(port);
        noise.SendRaw(std::span(bytes, value % sizeof bytes));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  });
  uint32_t request = 10;
  for (uint32_t round = 0; round < 12; ++round) {
    std::vector<LegHandle> legs;
    for (auto& peer : peers) legs.push_back(bench.Open(round % 3, *peer));
    std::vector<Engine::Route> routes;
    for (const LegHandle from : legs) {
      for (const LegHandle to : legs) {
        if (from != to) routes.push_back({from, to});
      }
    }
    CHECK(bench.engine->SetRoutes(++request, round % 3, routes) == EngineFault::kNone);
    for (const LegHandle leg : legs) {
      CHECK(bench.engine->BeginPayment(0, leg) == EngineFault::kNone);
      CHECK(bench.engine->OpenKeys(0, leg, 0xfff, 4) == EngineFault::kNone);
    }
    for (auto& peer : peers) {
      peer->SendFrame(0x20);
      peer->Press(static_cast<uint8_t>(round % 12));
      (void)peer->Receive();
    }
    for (const LegHandle leg : legs) {
      LegStats stats;
      CHECK(bench.engine->ReadStats(leg, &stats) == EngineFault::kNone);
    }
    for (const LegHandle leg : legs) CHECK(bench.engine->CloseLeg(++request, leg) == EngineFault::kNone);
    CHECK(bench.WaitForAnswer(request));
  }
  stop.store(true);
  load.join();
}

SrtpKey KeyOf(uint8_t seed) {
  SrtpKey key;
  key.suite = SrtpSuite::kAesCm128HmacSha1_80;
  key.bytes.fill(seed);
  return key;
}

// Keys change while packets come and go: each is heard under its own key and SSRC, and what is done with is freed while the
// leg lives. More changes than a leg may hold keys for at once.
void KeysChangeUnderLoad() {
  Bench bench;
  Peer caller(9);
  LegOpen open;
  open.call = 3;
  open.local_address = "127.0.0.1";
  open.media.remote_address = "127.0.0.1";
  open.media.remote_port = caller.port();
  open.media.send_event_payload_type = open.media.receive_event_payload_type = 101;
  open.media.secure = true;
  open.media.send_key = KeyOf(1);
  open.media.receive_key = KeyOf(101);
  LegHandle leg = 0;
  uint16_t port = 0;
  CHECK(bench.engine->OpenLeg(open, &leg, &port) == EngineFault::kNone);
  caller.To(port);
  std::vector<uint32_t> ssrcs;
  uint32_t heard = 0;
  for (uint8_t round = 1; round <= 30; ++round) {
    if (round > 1) {
      MediaConfig media = open.media;
      media.send_key = KeyOf(round);
      media.receive_key = KeyOf(static_cast<uint8_t>(100 + round));
      CHECK(bench.engine->UpdateLeg(round, leg, media) == EngineFault::kNone);
      CHECK(bench.WaitForAnswer(round));
      // The same again changes nothing.
      CHECK(bench.engine->UpdateLeg(100U + round, leg, media) == EngineFault::kNone);
      CHECK(bench.WaitForAnswer(100U + round));
      (void)caller.Receive();
    }
    auto says = SrtpSender::Create(KeyOf(static_cast<uint8_t>(100 + round)), 9, 1);
    uint8_t packet[256] = {0x80, 0, 0, round};
    WriteU32(packet + 8, 9);
    size_t length = 172;
    CHECK(says->ProtectRtp(packet, &length));
    caller.SendRaw(std::span(packet, length));
    auto hears = SrtpReceiver::Create(KeyOf(round), 0);
    CHECK(caller.WaitForPacket());
    for (auto& sent : caller.Receive()) {
      size_t plain = 0;
      CHECK(hears->OpenRtp(sent, 0, &plain) == SrtpVerdict::kAuthentic && plain == 172);
      if (ssrcs.empty() || ssrcs.back() != ReadU32(&sent[8])) ssrcs.push_back(ReadU32(&sent[8]));
    }
    LegStats stats;
    const auto until = Clock::now() + std::chrono::milliseconds(kWaitMsMax);
    do {
      CHECK(bench.engine->ReadStats(leg, &stats) == EngineFault::kNone);
    } while (stats.packets_received <= heard && Clock::now() < until);
    CHECK(stats.packets_received == ++heard && stats.packets_unauthentic == 0);
  }
  CHECK(ssrcs.size() == 30);
  CHECK(bench.engine->CloseLeg(999, leg) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(999));
}

// A codec of its own kind is made here and freed here, whatever the media thread does meanwhile.
void ChangesTheCodecOfALegThatTalks() {
  Bench bench;
  Peer caller(1);
  const LegHandle leg = bench.Open(7, caller);
  uint32_t request = 100;
  for (int round = 0; round < 20; ++round) {
    for (const Codec codec : {Codec::kG722, Codec::kOpus, Codec::kOpus, Codec::kPcma}) {
      MediaConfig media;
      media.remote_address = "127.0.0.1";
      media.remote_port = caller.port();
      media.codec = codec;
      CHECK(bench.engine->UpdateLeg(++request, leg, media) == EngineFault::kNone);
      caller.SendFrame(0x10);
    }
  }
  CHECK(bench.WaitForAnswer(request));
  MediaConfig wrong;
  wrong.codec = static_cast<Codec>(99);
  CHECK(bench.engine->UpdateLeg(1, leg, wrong) == EngineFault::kBadArgument);
  wrong.codec = Codec::kOpus;
  wrong.ptime_ms = 30;
  CHECK(bench.engine->UpdateLeg(1, leg, wrong) == EngineFault::kBadArgument);
  KeysToSend keys;
  keys.count = 1;
  keys.mode = KeyMode::kInband;
  keys.duration_ms = keys.gap_ms = 20;
  CHECK(bench.engine->SendKeys(++request, leg, keys) == EngineFault::kNone);
  CHECK(bench.WaitForKind(EventKind::kKeysSent));
  keys.gap_ms = 0;
  CHECK(bench.engine->SendKeys(++request, leg, keys) == EngineFault::kBadArgument);
  CHECK(bench.engine->CloseLeg(++request, leg) == EngineFault::kNone);
  CHECK(bench.WaitForAnswer(request));
}

// A sign of life for whoever watches: also from a thread that sleeps, because there is no leg.
void TellsItsTurns() {
  Bench bench;
  Peer caller(9);
  for (const bool with_leg : {false, true}) {
    if (with_leg) bench.Open(8, caller);
    for (int i = 0; i < 3; ++i) {
      const uint64_t before = bench.engine->Pulse();
      const auto until = Clock::now() + std::chrono::milliseconds(kWaitMsMax);
      while (bench.engine->Pulse() == before && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      CHECK(bench.engine->Pulse() > before);
    }
  }
  bench.engine->Close();
  const uint64_t last = bench.engine->Pulse();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(bench.engine->Pulse() == last);
}

}  // namespace

int main() {
  TellsItsTurns();
  CarriesACall();
  ChangesTheCodecOfALegThatTalks();
  StrangersAreCountedAndAMovedPeerIsFollowed();
  KeysChangeUnderLoad();
  TakesACard();
  AnOrderBeforeCloseIsCarriedOut();
  TakesPortsInTurnAndByNumber();
  LegsComeAndGoUnderLoad();
  return test::Finish();
}
