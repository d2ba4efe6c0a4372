// Masked listeners in calls: who hears the payer when, what becomes of keys, and what an attacker on the agent's leg makes
// of it over a network that loses and delays packets.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <random>
#include <vector>

#include "bench/attacker.h"
#include "bench/presses.h"
#include "check.h"
#include "core_bench.h"
#include "dtmf/detector.h"

using namespace hushtone;
using namespace hushtone::bench;
using hushtone::test::Bench;
using hushtone::test::Sent;

namespace {

constexpr uint16_t kPayer = 0, kAgent = 1, kSupervisor = 2;
constexpr uint8_t kEventType = 101;

void Arm(Bench& bench, MaskOrder order = {}, uint16_t leg = kPayer) {
  Command command;
  command.kind = Command::Kind::kArmMask;
  command.mask = order;
  command.request = 50;
  bench.Order(leg, command);
}

// 20 ms of a voice that no rule takes for a key: 150 Hz.
std::vector<uint8_t> VoiceFrame(size_t frame) {
  std::vector<uint8_t> codes;
  for (size_t i = 0; i < 160; ++i) {
    const double t = static_cast<double>(frame * 160 + i) / 8000;
    codes.push_back(EncodeSample(Law::kMu, static_cast<int16_t>(8000 * std::sin(2 * std::numbers::pi * 150 * t))));
  }
  return codes;
}

void Speak(Bench& bench, size_t* frame, size_t count) {
  for (size_t i = 0; i < count; ++i, ++*frame) {
    bench.Rtp(kPayer, 0, static_cast<uint32_t>(*frame * 160), VoiceFrame(*frame));
    bench.Run(20);
  }
}

// What a leg heard since `from`, sample by sample.
std::vector<int16_t> Heard(const Bench& bench, uint16_t leg, size_t from = 0) {
  std::vector<int16_t> samples;
  for (size_t i = from; i < bench.sent.size(); ++i) {
    const Sent& one = bench.sent[i];
    if (one.leg != leg || (one.bytes[1] & 0x7f) != 0) continue;
    for (size_t k = kRtpHeaderBytes; k < one.bytes.size(); ++k) samples.push_back(DecodeSample(Law::kMu, one.bytes[k]));
  }
  return samples;
}

bool IsQuiet(const std::vector<int16_t>& samples) {
  return std::all_of(samples.begin(), samples.end(), [](int16_t sample) { return sample > -300 && sample < 300; });
}

size_t MaskEvents(Bench& bench, MaskChange change) {
  size_t count = 0;
  for (const EngineEvent& event : bench.Events(EventKind::kMaskChanged)) {
    count += event.code == static_cast<uint8_t>(change) ? 1u : 0u;
  }
  return count;
}

// The payer, an agent who hears him masked, and a supervisor who hears him openly.
void OpenCall(Bench& bench) {
  for (const uint16_t leg : {kPayer, kAgent, kSupervisor}) bench.Open(leg, 0);
  bench.Route({{kPayer, kAgent, true}, {kPayer, kSupervisor, false}, {kAgent, kPayer, false}});
}

// More at once than are proven at once: the others wait in their order.
void AProofWaitsForItsTurn() {
  constexpr size_t kMasks = kProofsMax + 4;
  MaskPool pool(kMasks);
  std::vector<Mask*> masks;
  for (size_t i = 0; i < kMasks; ++i) masks.push_back(pool.Take(MaskOrder{}));
  CHECK(pool.Take(MaskOrder{}) == nullptr);
  const auto in_proof = [&] { return std::count_if(masks.begin(), masks.end(), [](const Mask* mask) { return mask->proof != nullptr; }); };
  CHECK(in_proof() == kProofsMax);
  for (size_t i = 0; i < kMasks; ++i) CHECK((masks[i]->proof != nullptr) == (i < kProofsMax));
  Mask* const first = masks[kProofsMax];
  Mask* const last = masks[kMasks - 1];
  pool.Give(masks[kProofsMax + 1]);                   // Leaves from the middle of the line.
  masks[3]->proven = true;
  pool.EndProof(masks[3]);
  CHECK(masks[3]->proof == nullptr && first->proof != nullptr && in_proof() == kProofsMax);
  pool.Give(last);                                    // And from its end; then somebody comes again.
  Mask* const again = pool.Take(MaskOrder{});
  CHECK(again != nullptr && again->proof == nullptr);
  pool.Give(masks[3]);                                // Has no place to give on.
  pool.Give(masks[0]);
  CHECK(masks[kProofsMax + 2]->proof != nullptr && again->proof == nullptr);
  pool.Give(masks[1]);
  CHECK(again->proof != nullptr);
  pool.Give(masks[2]);                                // Nobody waits any more.
  CHECK(pool.Take(MaskOrder{})->proof != nullptr);
}

void AMaskedListenerHearsThePayerOnceTheMaskIsProven() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Speak(bench, &frame, 20);
  CHECK(IsQuiet(Heard(bench, kAgent)));
  Arm(bench);
  Speak(bench, &frame, 5);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 0);   // Still being proven.
  CHECK(IsQuiet(Heard(bench, kAgent)));
  Speak(bench, &frame, 35);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 1);
  CHECK(bench.Events(EventKind::kMaskChanged)[0].value_ms == kMaskDelayMs);
  const size_t now = bench.sent.size();
  Speak(bench, &frame, 20);
  CHECK(!IsQuiet(Heard(bench, kAgent, now)));
  CHECK(IsQuiet(Heard(bench, kSupervisor)));            // Open is silent while he pays.
}

void ArmedBeforeThePaymentItLosesNoWord() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  Speak(bench, &frame, 20);
  Arm(bench);
  const size_t from = bench.sent.size();
  Speak(bench, &frame, 60);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 1);
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Speak(bench, &frame, 60);
  const std::vector<int16_t> heard = Heard(bench, kAgent, from);
  size_t quiet = 0;
  size_t quietest = 0;
  for (const int16_t sample : heard) {
    quiet = std::abs(sample) < 300 ? quiet + 1 : 0;
    quietest = std::max(quietest, quiet);
  }
  CHECK(quietest < 16);   // 2 ms: a sine's zero crossing.
}

void AMaskThatIsNotProvenArmsNothing() {
  Bench bench([](MaskProof&, MaskLine&, size_t) { return ProofResult::kToneLeft; });
  OpenCall(bench);
  size_t frame = 0;
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Arm(bench);
  Speak(bench, &frame, 60);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 0);
  CHECK(MaskEvents(bench, MaskChange::kFailed) == 1);
  CHECK(bench.Events(EventKind::kMaskChanged)[0].field == static_cast<uint8_t>(ProofResult::kToneLeft));
  CHECK(IsQuiet(Heard(bench, kAgent)));
}

// Concealment may say a tone again. Whatever it is, the masked listener hears none of it, nor of the fade behind it; the
// voice goes on after that.
void WhatIsConcealedIsHushed() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  MaskOrder order;
  order.fill = MaskFill::kSilence;
  Arm(bench, order);
  Speak(bench, &frame, 60);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 1);
  const size_t from = bench.sent.size();
  ++frame;                                              // One packet is lost.
  bench.Run(20);
  Speak(bench, &frame, 20);
  const std::vector<int16_t> heard = Heard(bench, kAgent, from);
  size_t quiet = 0;
  size_t quietest = 0;
  for (const int16_t sample : heard) {
    quiet = std::abs(sample) < 300 ? quiet + 1 : 0;
    quietest = std::max(quietest, quiet);
  }
  CHECK(bench.legs[kPayer]->counters.frames_concealed == 1);
  CHECK(quietest >= 300 && quietest < 480);             // Two frames and the mask's edges.
  CHECK(!IsQuiet({heard.end() - 320, heard.end()}));
}

void MasksAreLimited() {
  EngineLimits limits;
  limits.masks_max = 1;
  Bench bench(&ProveSomeFrames, limits);
  bench.Open(0, 0);
  bench.Open(1, 1);
  Arm(bench, {}, 0);
  Arm(bench, {}, 1);
  const auto answers = bench.Events(EventKind::kAnswer);
  CHECK(answers.size() == 2);
  CHECK(answers[0].code == static_cast<uint8_t>(EngineFault::kNone));
  CHECK(answers[1].code == static_cast<uint8_t>(EngineFault::kLimit));
  bench.Order(0, Command::Kind::kCloseLeg);
  Arm(bench, {}, 1);
  CHECK(bench.Events(EventKind::kAnswer)[2].code == static_cast<uint8_t>(EngineFault::kNone));
}

void ALegMadeAgainIsBlockedUntilItsMaskIsProvenAgain() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Arm(bench);
  Speak(bench, &frame, 60);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 1);
  bench.Order(kPayer, Command::Kind::kCloseLeg);

  bench.Open(kPayer, 0);
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  bench.Route({{kPayer, kAgent, true}, {kPayer, kSupervisor, false}});
  Speak(bench, &frame, 1);   // What broke off fades.
  size_t from = bench.sent.size();
  Speak(bench, &frame, 40);
  CHECK(IsQuiet(Heard(bench, kAgent, from)));
  Arm(bench);
  Speak(bench, &frame, 40);
  CHECK(MaskEvents(bench, MaskChange::kArmed) == 2);
  from = bench.sent.size();
  Speak(bench, &frame, 20);
  CHECK(!IsQuiet(Heard(bench, kAgent, from)));
}

void NoKeyIsRelayedFromArmingOn() {
  Bench bench;
  OpenCall(bench);
  Arm(bench);
  for (uint8_t key = 0; key < 10; ++key) {
    bench.Press(kPayer, key);
    bench.Run(100);
  }
  CHECK(bench.CountSent(kAgent, kEventType) == 0);
  CHECK(bench.CountSent(kSupervisor, kEventType) == 0);
  CHECK(bench.Events(EventKind::kRelayedKey).empty());
  bench.Order(kPayer, Command::Kind::kDisarmMask);
  bench.Run(1000);
  CHECK(MaskEvents(bench, MaskChange::kOpen) == 1);
  bench.Press(kPayer, 5);
  bench.Run(400);
  CHECK(bench.CountSent(kAgent, kEventType) > 0);
}

void ANeutralEventSaysThatAKeyWasPressedAndNotWhich() {
  Bench bench;
  OpenCall(bench);
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Arm(bench, {MaskFill::kNoise, 11});
  for (uint8_t key = 0; key < 10; ++key) {
    bench.Press(kPayer, key);
    bench.Run(300);
  }
  size_t presses = 0;
  for (const Sent& one : bench.sent) {
    if ((one.bytes[1] & 0x7f) != kEventType) continue;
    CHECK(one.leg == kAgent);
    CHECK(one.bytes[12] == 11);
    presses += (one.bytes[1] & 0x80) != 0 ? 1u : 0u;
  }
  CHECK(presses == 10);
}

void AMaskIsNotTakenOffDuringAPayment() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Arm(bench);
  Speak(bench, &frame, 60);
  bench.Order(kPayer, Command::Kind::kDisarmMask, 60);
  CHECK(bench.Events(EventKind::kAnswer).back().code == static_cast<uint8_t>(EngineFault::kBadArgument));
  bench.Order(kPayer, Command::Kind::kEndPayment);
  bench.Order(kPayer, Command::Kind::kDisarmMask, 61);
  CHECK(bench.Events(EventKind::kAnswer).back().code == static_cast<uint8_t>(EngineFault::kNone));
  Speak(bench, &frame, 40);
  CHECK(MaskEvents(bench, MaskChange::kOpen) == 1);
}

void ArmedAgainBeforeItWasOpenItTellsSo() {
  for (const size_t frames : {size_t{0}, size_t{1}, size_t{6}}) {
    Bench bench;
    OpenCall(bench);
    size_t frame = 0;
    bench.Order(kPayer, Command::Kind::kBeginPayment);
    Arm(bench);
    Speak(bench, &frame, 60);
    bench.Order(kPayer, Command::Kind::kEndPayment);
    bench.Order(kPayer, Command::Kind::kDisarmMask);
    Speak(bench, &frame, frames);
    bench.Order(kPayer, Command::Kind::kBeginPayment);
    Arm(bench);
    Speak(bench, &frame, 60);
    CHECK(MaskEvents(bench, MaskChange::kArmed) == 2);
    CHECK(MaskEvents(bench, MaskChange::kOpen) == 0);
  }
}

// The caller's phone sends back what it plays: an echo of the digits, which is no tone.
void TheEchoOfAReadBackIsHushed() {
  Bench bench;
  OpenCall(bench);
  size_t frame = 0;
  Engine::ReadBackVoice voice{};
  auto recording = std::make_unique<int16_t[]>(4000);
  std::fill_n(recording.get(), 4000, int16_t{5000});
  const int32_t spoken = bench.recordings.Add(std::move(recording), 4000);
  std::fill(std::begin(voice.digits), std::end(voice.digits), spoken);
  Command set;
  set.kind = Command::Kind::kSetVoice;
  set.voice = &voice;
  bench.core->Execute(set, bench);
  bench.Order(kPayer, Command::Kind::kBeginPayment);
  Arm(bench, {MaskFill::kSilence, kNoNeutralEvent});
  Speak(bench, &frame, 60);

  Command read;
  read.kind = Command::Kind::kReadBack;
  read.field = FieldKind::kPan;
  read.style = ReadBackStyle::kDigits;
  read.request = 70;
  const size_t from = bench.sent.size();
  bench.Order(kPayer, read);
  Speak(bench, &frame, 90);   // Two digits of half a second, and 800 ms of echo.
  const std::vector<int16_t> agent = Heard(bench, kAgent, from);
  CHECK(IsQuiet({agent.begin() + kMaskDelaySamples, agent.end()}));
  CHECK(IsQuiet(Heard(bench, kSupervisor, from)));
  CHECK(!IsQuiet(Heard(bench, kPayer, from)));
  const size_t after = bench.sent.size();
  Speak(bench, &frame, 30);
  CHECK(!IsQuiet(Heard(bench, kAgent, after)));
}

// ------------------------------------------------------------------------------------------------------- attack

struct Network {
  double loss = 0.05, burst = 0.5;   // Share lost; how likely the next is lost too.
  uint32_t jitter_ms = 40;           // Each packet comes 0 to so much late, some behind the next.
};

// Presses in-band, by event or both, sent as a phone does, to the end of the line. Returns what the agent heard.
std::vector<int16_t> SendPresses(Bench& bench, const Presses& presses, const Network& network, bool inband, bool events,
                                 uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  struct Packet { uint64_t at_us; uint8_t type; uint32_t timestamp; std::vector<uint8_t> payload; uint16_t sequence; };
  std::vector<Packet> packets;
  uint16_t sequence = 500;
  bool lost = false;
  size_t press = 0;
  for (size_t at = 0; at + 160 <= presses.samples.size(); at += 160) {
    const double ms = static_cast<double>(at) / 8;
    while (press < presses.truth.size() && presses.truth[press].offset_ms < ms) ++press;
    const bool is_pressed = press < presses.truth.size() && presses.truth[press].onset_ms <= ms;
    Packet packet{bench.now_us + at * 125, 0, static_cast<uint32_t>(at), {}, sequence++};
    if (events && is_pressed) {
      static const std::string kEvents = "0123456789*#ABCD";
      const auto onset = static_cast<uint32_t>(presses.truth[press].onset_ms * 8);
      const auto event = static_cast<uint8_t>(kEvents.find(presses.truth[press].key));
      const auto duration = static_cast<uint32_t>(at) + 160 - onset;
      packet.type = kEventType;
      packet.timestamp = onset;
      packet.payload = {event, 10, static_cast<uint8_t>(duration >> 8), static_cast<uint8_t>(duration & 0xff)};
    } else {
      const bool begins = press < presses.truth.size() && presses.truth[press].onset_ms * 8 < static_cast<double>(at + 160);
      for (size_t i = 0; i < 160; ++i) {
        const bool tone = is_pressed || begins;
        packet.payload.push_back(inband || !tone ? EncodeSample(Law::kMu, presses.samples[at + i]) : kMuSilence);
      }
    }
    lost = lost ? uniform(random) < network.burst : uniform(random) < network.loss * (1 - network.burst);
    packet.at_us += static_cast<uint64_t>(uniform(random) * network.jitter_ms * 1000);
    if (!lost) packets.push_back(std::move(packet));
  }
  std::stable_sort(packets.begin(), packets.end(), [](const Packet& a, const Packet& b) { return a.at_us < b.at_us; });
  size_t next = 0;
  const size_t from = bench.sent.size();
  const uint64_t end_us = bench.now_us + presses.samples.size() * 125 + 500000;
  while (bench.now_us < end_us) {
    for (; next < packets.size() && packets[next].at_us <= bench.now_us; ++next) {
      bench.sequence = packets[next].sequence;
      bench.Rtp(kPayer, packets[next].type, packets[next].timestamp, packets[next].payload);
    }
    bench.Run(5);
  }
  return Heard(bench, kAgent, from);
}

// The jitter buffer adds 40 to 200 ms, the mask 60: he looks wherever the press may be.
size_t Recovered(const std::vector<int16_t>& heard, const Presses& presses, double late_ms, size_t* count) {
  Attacker attacker;
  size_t recovered = 0;
  for (AttackedPress press : presses.truth) {
    press.offset_ms += 60;
    const char key = attacker.Guess(heard, press, late_ms);
    if (key == '?') continue;
    ++*count;
    recovered += key == press.key ? 1u : 0u;
  }
  return recovered;
}

size_t KeysHeard(const std::vector<int16_t>& samples) {
  DtmfDetector detector;
  size_t keys = 0;
  detector.Feed(samples, [&](const InbandPress& press) { keys += press.begins ? 1u : 0u; });
  return keys;
}

void AnAttackerOnTheAgentsLegDoesNoBetterThanChance() {
  constexpr size_t kPresses = 160;
  PressMaker maker(21, {});
  size_t count = 0;
  size_t recovered = 0;
  const struct { const char* name; bool inband, events; } rows[] = {
      {"in-band", true, false}, {"event", false, true}, {"both", true, true}};
  for (const auto& row : rows) {
    const Presses presses = maker.Make({.name = row.name, .on_ms = 80, .off_ms = 120}, kPresses);
    Bench open;
    OpenCall(open);
    open.Route({{kPayer, kAgent, false}});
    size_t open_count = 0;
    const std::vector<int16_t> unmasked = SendPresses(open, presses, {}, row.inband, row.events, 31);
    const size_t read = Recovered(unmasked, presses, 40, &open_count);

    Bench bench;
    OpenCall(bench);
    bench.Order(kPayer, Command::Kind::kBeginPayment);
    Arm(bench);
    size_t frame = 0;
    Speak(bench, &frame, 60);
    CHECK(MaskEvents(bench, MaskChange::kArmed) == 1);
    const std::vector<int16_t> masked = SendPresses(bench, presses, {}, row.inband, row.events, 31);
    const size_t before = count;
    const size_t found = Recovered(masked, presses, 40 + kMaskDelayMs, &count);
    recovered += found;
    std::printf("%-8s attacker %zu of %zu, unmasked %zu; decoder %zu; events to the agent %zu\n", row.name, found, count - before, read,
                KeysHeard(masked), bench.CountSent(kAgent, kEventType));
    if (row.inband && !row.events) CHECK(read > open_count * 7 / 10);
    CHECK(KeysHeard(masked) == 0);
    CHECK(bench.CountSent(kAgent, kEventType) == 0);
  }
  const double share = static_cast<double>(recovered) / static_cast<double>(count);
  const double limit = 0.0625 + 3 * std::sqrt(0.0625 * 0.9375 / static_cast<double>(count));
  std::printf("attacker %.2f %% of %zu, limit %.2f %%\n", 100 * share, count, 100 * limit);
  CHECK(share <= limit);
}

}  // namespace

int main() {
  AProofWaitsForItsTurn();
  AMaskedListenerHearsThePayerOnceTheMaskIsProven();
  ArmedBeforeThePaymentItLosesNoWord();
  AMaskThatIsNotProvenArmsNothing();
  WhatIsConcealedIsHushed();
  MasksAreLimited();
  ALegMadeAgainIsBlockedUntilItsMaskIsProvenAgain();
  NoKeyIsRelayedFromArmingOn();
  ANeutralEventSaysThatAKeyWasPressedAndNotWhich();
  AMaskIsNotTakenOffDuringAPayment();
  ArmedAgainBeforeItWasOpenItTellsSo();
  TheEchoOfAReadBackIsHushed();
  AnAttackerOnTheAgentsLegDoesNoBetterThanChance();
  return hushtone::test::Finish();
}
