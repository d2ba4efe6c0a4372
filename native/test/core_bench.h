// A MediaCore without threads or a clock: packets in, packets and events out, 5 ms at a time.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "call/media_core.h"
#include "check.h"

namespace hushtone::test {

// Counts keys as the real vault does, for the calls it gets: what it does with digits is tested with it.
class CountingVault final : public Vault {
 public:
  VaultHandle Begin() override { return ++begun; }
  void End(VaultHandle) override { ++ended; }
  bool OpenField(VaultHandle, const FieldOrder& order) override {
    field = order;
    length = 0;
    return true;
  }
  bool NextTypeAhead(VaultHandle payment, KeyResult* result) override {
    if (waiting.empty()) return false;
    const uint8_t event = waiting.front();
    waiting.erase(waiting.begin());
    return OnKey(payment, event, result);
  }
  void WipeTypeAhead(VaultHandle) override { waiting.clear(); }
  bool OnKey(VaultHandle, uint8_t event, KeyResult* result) override {
    *result = KeyResult{};
    if (event > kEventHash) return false;
    result->key = event == kEventHash ? Key::kHash : event == kEventStar ? Key::kStar : Key::kDigit;
    result->field = field.kind;
    if (field.kind == FieldKind::kNone) {
      waiting.push_back(event);
      return true;
    }
    if (result->key == Key::kDigit) ++length;
    result->facts.length = length;
    if (result->key == Key::kHash || length == field.length_max) {
      result->end = result->key == Key::kHash ? FieldEnd::kHash : FieldEnd::kFull;
      field.kind = FieldKind::kNone;
    }
    return true;
  }
  FieldFacts CloseField(VaultHandle) override {
    FieldFacts facts;
    facts.length = length;
    return facts;
  }
  void WipeField(VaultHandle, FieldKind) override {}
  size_t DigitsForReadBack(VaultHandle, FieldKind, uint8_t* digits, size_t) override {
    const uint8_t said[] = {4, 2};
    std::memcpy(digits, said, sizeof said);
    return sizeof said;
  }
  bool CopyFields(VaultHandle, FieldSet*) override { return true; }
  void SetToday(uint16_t, uint8_t) override {}

  VaultHandle begun = 0;
  uint32_t ended = 0;
  FieldOrder field;
  uint8_t length = 0;
  std::vector<uint8_t> waiting;
};

struct Sent {
  uint16_t leg;
  std::vector<uint8_t> bytes;
  Endpoint to;
};

class Bench final : public PacketSink {
 public:
  explicit Bench(ProveMask prove = &ProveSomeFrames, const EngineLimits& limits = {}) : events(4096) {
    auto owned = std::make_unique<CountingVault>();
    vault = owned.get();
    core = std::make_unique<MediaCore>(limits, std::move(owned), recordings, events, prove);
  }
  ~Bench() override { core->CloseAll(*this); }

  void Open(uint16_t index, uint16_t call, LegMedia media = {}) {
    media.remote = Endpoint{4, static_cast<uint16_t>(40000 + 2 * index), {127, 0, 0, 1}};
    if (media.send_event_payload_type == -1) media.send_event_payload_type = media.receive_event_payload_type = 101;
    legs.push_back(std::make_unique<Leg>(media, 1000u + index, uint16_t{10}, 5000u, 200u, CodedAudio::Create(media.codec, 200)));
    Command command;
    command.kind = Command::Kind::kOpenLeg;
    command.opened = legs.back().get();
    command.media = media;
    command.call = call;
    Order(index, command);
  }

  void Order(uint16_t index, Command& command) {
    command.leg = index;
    command.handle = index | 1U << 16;
    core->Execute(command, *this);
  }

  void Order(uint16_t index, Command::Kind kind, uint32_t request = 0) {
    Command command;
    command.kind = kind;
    command.request = request;
    Order(index, command);
  }

  struct Pair { uint16_t from; uint16_t to; bool masked = false; };
  void Route(const std::vector<Pair>& pairs, uint16_t call = 0) {
    Command command;
    command.kind = Command::Kind::kSetRoutes;
    command.call = call;
    for (const Pair& pair : pairs) CHECK(command.AddRoute(pair.from, pair.to, pair.masked));
    core->Execute(command, *this);
  }

  void Field(uint16_t index, FieldKind field, uint8_t length_max) {
    Command command;
    command.kind = Command::Kind::kOpenField;
    command.order = FieldOrder{field, 1, length_max, 0};
    Order(index, command);
  }

  void Rtp(uint16_t index, uint8_t type, uint32_t timestamp, std::vector<uint8_t> payload, uint16_t from_port = 0) {
    std::vector<uint8_t> bytes(kRtpHeaderBytes);
    RtpPacket packet;
    packet.payload_type = type;
    packet.sequence_number = sequence++;
    packet.timestamp = timestamp;
    packet.ssrc = 77u + index;
    WriteRtpHeader(packet, bytes.data());
    bytes.insert(bytes.end(), payload.begin(), payload.end());
    const Endpoint from{4, from_port != 0 ? from_port : static_cast<uint16_t>(40000 + 2 * index), {127, 0, 0, 1}};
    core->OnRtp(index, bytes, from, now_us);
  }

  void Press(uint16_t index, uint8_t event) {
    const uint32_t timestamp = press_timestamp += 1600;
    Rtp(index, 101, timestamp, {event, 10, 0, 160});
    Rtp(index, 101, timestamp, {event, 0x8a, 3, 0x20});
  }

  void Run(uint64_t ms) {
    for (uint64_t i = 0; i < ms / kSlotMs; ++i) {
      now_us += kSlotMs * 1000;
      core->Tick(tick++, now_us, *this);
    }
  }

  std::vector<EngineEvent> Events(EventKind kind) {
    EngineEvent event;
    while (events.Pop(&event)) all.push_back(event);
    std::vector<EngineEvent> found;
    for (const EngineEvent& one : all) {
      if (one.kind == static_cast<uint16_t>(kind)) found.push_back(one);
    }
    return found;
  }

  size_t CountSent(uint16_t index, uint8_t type) const {
    size_t count = 0;
    for (const Sent& one : sent) count += one.leg == index && (one.bytes[1] & 0x7f) == type ? 1u : 0u;
    return count;
  }

  void SendRtp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) override {
    sent.push_back({leg, {bytes.begin(), bytes.end()}, to});
  }
  void SendRtcp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) override {
    reports.push_back({leg, {bytes.begin(), bytes.end()}, to});
  }
  void Closed(uint16_t leg) override { closed.push_back(leg); }
  void Retired(std::unique_ptr<CodedAudio> coded) override { retired += coded != nullptr ? 1u : 0u; }

  RecordingTable recordings;
  SpscRing<EngineEvent> events;
  CountingVault* vault = nullptr;
  std::unique_ptr<MediaCore> core;
  std::vector<std::unique_ptr<Leg>> legs;
  std::vector<EngineEvent> all;
  std::vector<Sent> sent, reports;
  std::vector<uint16_t> closed;
  size_t retired = 0;
  uint64_t now_us = 1'000'000'000;
  uint64_t tick = 0;
  uint16_t sequence = 100;
  uint32_t press_timestamp = 90000;
};

}  // namespace hushtone::test
