// Calls without threads or a clock: packets in, packets and events out, 5 ms at a time.
#include "call/media_core.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "check.h"
#include "core_bench.h"

using namespace hushtone;
using hushtone::test::Bench;
using hushtone::test::CountingVault;
using hushtone::test::Sent;

namespace {

int32_t Say(Bench& bench, int16_t level, size_t samples) {
  auto recording = std::make_unique<int16_t[]>(samples);
  std::fill_n(recording.get(), samples, level);
  return bench.recordings.Add(std::move(recording), samples);
}

void Play(Bench& bench, uint16_t leg, int32_t recording, bool barge_in, uint32_t request) {
  Command command;
  command.kind = Command::Kind::kPlay;
  command.recordings[0] = recording;
  command.count = 1;
  command.flag = barge_in;
  command.request = request;
  bench.Order(leg, command);
}

void SendsOnePacketEach20Ms() {
  Bench bench;
  bench.Open(0, 0);
  bench.Run(1000);
  CHECK(bench.sent.size() == 50);
  for (size_t i = 1; i < bench.sent.size(); ++i) {
    CHECK(ReadU16(&bench.sent[i].bytes[2]) == static_cast<uint16_t>(ReadU16(&bench.sent[i - 1].bytes[2]) + 1));
    CHECK(ReadU32(&bench.sent[i].bytes[4]) == ReadU32(&bench.sent[i - 1].bytes[4]) + 160);
  }
  CHECK((bench.sent[0].bytes[1] & 0x80) != 0);
  CHECK((bench.sent[1].bytes[1] & 0x80) == 0);
}

void SendsEveryPacketTime() {
  for (const unsigned milliseconds : {10u, 20u, 30u, 40u, 50u, 60u}) {
    const auto ptime = static_cast<uint8_t>(milliseconds);
    Bench bench;
    LegMedia media;
    media.ptime_ms = ptime;
    bench.Open(0, 0, media);
    bench.Run(6000);
    const size_t expected = 6000u / ptime;
    CHECK(bench.sent.size() + 2 >= expected && bench.sent.size() <= expected);
    CHECK(bench.sent.back().bytes.size() == kRtpHeaderBytes + size_t{ptime} * 8);
  }
}

void CarriesAudioAlongRoutesOnly() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Open(2, 0);
  bench.Route({{0, 1}});
  const uint8_t loud = 0x10;
  for (uint32_t i = 0; i < 20; ++i) {
    bench.Rtp(0, 0, i * 160, std::vector<uint8_t>(160, loud));
    bench.Run(20);
  }
  bool heard_1 = false, heard_2 = false;
  for (const Sent& one : bench.sent) {
    const bool is_loud = std::count(one.bytes.begin() + 12, one.bytes.end(), loud) > 100;
    heard_1 = heard_1 || (one.leg == 1 && is_loud);
    heard_2 = heard_2 || ((one.leg == 2 || one.leg == 0) && is_loud);
  }
  CHECK(heard_1);
  CHECK(!heard_2);
}

void NobodyHearsAPayer() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}, {1, 0}});
  bench.Order(0, Command::Kind::kBeginPayment, 1);
  for (uint32_t i = 0; i < 20; ++i) {
    bench.Rtp(0, 0, i * 160, std::vector<uint8_t>(160, 0x10));
    bench.Press(0, 5);
    bench.Run(20);
  }
  for (const Sent& one : bench.sent) {
    if (one.leg == 1) CHECK(std::count(one.bytes.begin() + 12, one.bytes.end(), 0xff) == 160);
  }
  CHECK(bench.CountSent(1, 101) == 0);
  CHECK(bench.Events(EventKind::kRelayedKey).empty());
  CHECK(bench.Events(EventKind::kFieldKey).size() == 20);
  CHECK(bench.Events(EventKind::kOpenKey).empty());
}

void RelaysKeysOutsidePayments() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  bench.Press(0, 7);
  bench.Run(400);
  size_t ends = 0;
  for (const Sent& one : bench.sent) {
    if (one.leg != 1 || (one.bytes[1] & 0x7f) != 101) continue;
    CHECK(one.bytes[12] == 7);
    ends += (one.bytes[13] & 0x80) != 0 ? 1u : 0u;
  }
  CHECK(bench.CountSent(1, 101) >= 5);
  CHECK(ends == 3);
}

void AKeyStopsThePrompt() {
  Bench bench;
  bench.Open(0, 0);
  Play(bench, 0, Say(bench, 4000, 80000), true, 9);
  bench.Run(200);
  CHECK(bench.Events(EventKind::kPlayEnded).empty());
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Press(0, 1);
  const auto ended = bench.Events(EventKind::kPlayEnded);
  CHECK(ended.size() == 1 && ended[0].code == 1 && ended[0].request == 9);
  bench.Run(100);
  const Sent& last = bench.sent.back();
  CHECK(std::count(last.bytes.begin() + 12, last.bytes.end(), 0xff) == 160);
  CHECK(bench.Events(EventKind::kPlayEnded).size() == 1);
}

void APromptThatIsNotForBargeInPlaysToItsEnd() {
  Bench bench;
  bench.Open(0, 0);
  Play(bench, 0, Say(bench, 4000, 1600), false, 9);
  bench.Press(0, 1);
  bench.Run(300);
  const auto ended = bench.Events(EventKind::kPlayEnded);
  CHECK(ended.size() == 1 && ended[0].code == 0);
}

void TypeAheadEntersTheNextField() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  for (const int key : {1, 2, 3}) bench.Press(0, static_cast<uint8_t>(key));
  CHECK(bench.Events(EventKind::kFieldKey).size() == 3);
  for (const EngineEvent& event : bench.Events(EventKind::kFieldKey)) CHECK(event.field == 0);
  bench.Field(0, FieldKind::kCvc, 2);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 5);
  const auto ended = bench.Events(EventKind::kFieldEnded);
  CHECK(ended.size() == 1 && ended[0].code == static_cast<uint8_t>(FieldEnd::kFull) && ended[0].facts.length == 2);
  bench.Field(0, FieldKind::kExpiry, 4);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 6);
}

void TypeAheadNeverBecomesAnOpenKey() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  for (const int key : {4, 1, 1}) bench.Press(0, static_cast<uint8_t>(key));
  Command open;
  open.kind = Command::Kind::kOpenKeys;
  open.allowed_events = 1U << 1 | 1U << 2;
  open.length_max = 1;
  bench.Order(0, open);
  CHECK(bench.Events(EventKind::kOpenKey).empty());
  CHECK(bench.vault->waiting.empty());
  bench.Press(0, 9);   // Not allowed: neither an answer nor a digit.
  bench.Press(0, 2);
  bench.Press(0, 1);   // The collection is full: sensitive again.
  const auto keys = bench.Events(EventKind::kOpenKey);
  CHECK(keys.size() == 1 && keys[0].code == 2);
  CHECK(bench.vault->waiting.size() == 1);
}

void WhoComesLaterFromElsewhereIsNotHeard() {
  Bench bench;
  bench.Open(0, 0);
  bench.Rtp(0, 0, 0, std::vector<uint8_t>(160, 0x10), 50000);
  bench.Rtp(0, 101, 800, {5, 0x8a, 3, 0x20}, 50002);
  bench.Order(0, Command::Kind::kBeginPayment);
  CHECK(bench.legs[0]->counters.packets_from_elsewhere == 1);
  CHECK(bench.Events(EventKind::kFieldKey).empty());
  bench.Run(20);
  CHECK(bench.sent.back().to.port == 50000);
}

void AStrangerWhoWasFasterGivesWayToTheAddressOfTheSdp() {
  Bench bench;
  bench.Open(0, 0);
  bench.Rtp(0, 0, 0, std::vector<uint8_t>(160, 0x10), 50000);
  bench.Run(20);
  CHECK(bench.sent.back().to.port == 50000);
  bench.Rtp(0, 0, 0, std::vector<uint8_t>(160, 0x10), 40000);
  bench.Rtp(0, 0, 160, std::vector<uint8_t>(160, 0x10), 50000);
  CHECK(bench.legs[0]->counters.packets_from_elsewhere == 1);
  bench.Run(20);
  CHECK(bench.sent.back().to.port == 40000);
}

void AfterThreeSecondsTheSourceStays() {
  Bench bench;
  bench.Open(0, 0);
  bench.Rtp(0, 0, 0, std::vector<uint8_t>(160, 0x10), 50000);
  bench.Run(3020);
  bench.Rtp(0, 0, 0, std::vector<uint8_t>(160, 0x10), 40000);
  CHECK(bench.legs[0]->counters.packets_from_elsewhere == 1);
  bench.Run(20);
  CHECK(bench.sent.back().to.port == 50000);
}

void ClosingTellsAndEndsThePayment() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Open(2, 0);
  bench.Route({{0, 2}, {2, 0}, {1, 2}});
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Order(0, Command::Kind::kCloseLeg, 42);
  CHECK(bench.closed.size() == 1 && bench.closed[0] == 0);
  CHECK(bench.vault->ended == 1);
  CHECK(bench.reports.size() == 1 && bench.reports[0].bytes[1] == 203);
  const auto answers = bench.Events(EventKind::kAnswer);
  CHECK(answers.size() == 1 && answers[0].request == 42 && answers[0].code == 0);
  // The route between the others stands, and nothing else.
  bench.sent.clear();
  for (uint32_t i = 0; i < 20; ++i) {
    bench.Rtp(1, 0, i * 160, std::vector<uint8_t>(160, 0x10));
    bench.Run(20);
  }
  size_t loud[3] = {0, 0, 0};
  for (const Sent& one : bench.sent) loud[one.leg] += std::count(one.bytes.begin() + 12, one.bytes.end(), 0x10) > 100 ? 1u : 0u;
  CHECK(loud[0] == 0 && loud[1] == 0 && loud[2] > 10);
  bench.Order(0, Command::Kind::kStopPlay, 43);
  CHECK(bench.Events(EventKind::kAnswer).back().code == static_cast<uint8_t>(EngineFault::kNoLeg));
}

void ReadBackIsHeardByThePayerOnly() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}, {1, 0}});
  Engine::ReadBackVoice voice{};
  for (int16_t i = 0; i < 10; ++i) voice.digits[i] = Say(bench, static_cast<int16_t>(1000 * (i + 1)), 320);
  Command set;
  set.kind = Command::Kind::kSetVoice;
  set.voice = &voice;
  bench.core->Execute(set, bench);
  bench.Order(0, Command::Kind::kBeginPayment);
  Command say;
  say.kind = Command::Kind::kReadBack;
  say.field = FieldKind::kPan;
  say.request = 5;
  bench.Order(0, say);
  bench.Run(200);
  const uint8_t four = EncodeSample(Law::kMu, 5000), two = EncodeSample(Law::kMu, 3000);
  std::string heard;
  for (const Sent& one : bench.sent) {
    const uint8_t code = one.bytes[50];
    if (one.leg == 0 && code == four) heard += '4';
    if (one.leg == 0 && code == two) heard += '2';
    if (one.leg == 1) CHECK(code == 0xff);
  }
  CHECK(heard == "4422");   // 40 ms each, so two packets each.
  CHECK(bench.Events(EventKind::kPlayEnded).size() == 1);
}

void SaysWhenThePeerFallsSilent() {
  Bench bench;
  bench.Open(0, 0);
  bench.Run(29000);
  CHECK(bench.Events(EventKind::kLegSilent).empty());
  bench.Run(5000);
  CHECK(bench.Events(EventKind::kLegSilent).size() == 1);
  CHECK(!bench.reports.empty());
}

void HoldStopsSending() {
  Bench bench;
  bench.Open(0, 0);
  bench.Run(100);
  Command hold;
  hold.kind = Command::Kind::kUpdateLeg;
  hold.media.remote = Endpoint{4, 40000, {127, 0, 0, 1}};
  hold.media.send = false;
  bench.Order(0, hold);
  bench.sent.clear();
  bench.Run(100);
  CHECK(bench.sent.empty());
  Command resume = hold;
  resume.media.send = true;
  bench.Order(0, resume);
  bench.Run(100);
  CHECK(bench.sent.size() == 5);
}

// RFC 3264 §8.4: 0.0.0.0 asks for neither RTP nor RTCP, whatever the direction says; a leg whose media are not agreed
// yet has it too.
void NothingGoesToTheUnspecifiedAddress() {
  for (const bool send : {false, true}) {
    Bench bench;
    bench.Open(0, 0);
    bench.Run(100);
    Command nowhere;
    nowhere.kind = Command::Kind::kUpdateLeg;
    nowhere.media.remote = Endpoint{4, 9, {}};
    nowhere.media.send = send;
    bench.Order(0, nowhere);
    bench.sent.clear();
    bench.Run(20000);
    CHECK(bench.sent.empty());
    CHECK(bench.reports.empty());
    bench.Order(0, Command::Kind::kCloseLeg);
    CHECK(bench.reports.empty());   // Nor a BYE.
  }
  Bench bench;
  bench.Open(0, 0);
  Command nowhere;
  nowhere.kind = Command::Kind::kUpdateLeg;
  nowhere.media.remote = Endpoint{4, 9, {}};
  bench.Order(0, nowhere);
  bench.Run(100);
  Command agreed = nowhere;
  agreed.media.remote = Endpoint{4, 40000, {127, 0, 0, 1}};
  bench.Order(0, agreed);
  bench.sent.clear();
  bench.Run(100);
  CHECK(bench.sent.size() == 5);
  CHECK(bench.sent[0].to.port == 40000);
}

// One event packet, with an SSRC and sequence number of its own stream.
void EventFrom(Bench& bench, uint32_t ssrc, uint16_t sequence, uint32_t timestamp, std::vector<uint8_t> payload, uint8_t type = 101) {
  std::vector<uint8_t> bytes(kRtpHeaderBytes);
  RtpPacket packet;
  packet.payload_type = type;
  packet.sequence_number = sequence;
  packet.timestamp = timestamp;
  packet.ssrc = ssrc;
  WriteRtpHeader(packet, bytes.data());
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  bench.core->OnRtp(0, bytes, Endpoint{4, 40000, {127, 0, 0, 1}}, bench.now_us);
}

std::string RelayedTo(const Bench& bench, uint16_t leg, size_t* ends) {
  std::string keys;
  uint32_t last = 0;
  *ends = 0;
  for (const Sent& one : bench.sent) {
    if (one.leg != leg || (one.bytes[1] & 0x7f) != 101) continue;
    const uint32_t timestamp = ReadU32(&one.bytes[4]);
    if (timestamp != last) keys += "0123456789*#"[one.bytes[12]];
    last = timestamp;
    *ends += (one.bytes[13] & 0x80) != 0 ? 1u : 0u;
  }
  return keys;
}

void RelaysFastKeysOneAfterTheOther() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  for (const int key : {1, 1, 2, 3}) bench.Press(0, static_cast<uint8_t>(key));   // A burst after a stall of the network.
  bench.Run(1000);
  size_t ends = 0;
  CHECK(RelayedTo(bench, 1, &ends) == "1123");
  CHECK(ends == 12);
}

void ARelayedKeyWhoseEndIsLostEnds() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  for (const int duration : {1, 2, 3}) bench.Rtp(0, 101, 7000, {5, 10, static_cast<uint8_t>(duration), 0});
  bench.Run(1000);
  size_t ends = 0;
  CHECK(RelayedTo(bench, 1, &ends) == "5");
  CHECK(ends == 3);
  CHECK(bench.CountSent(1, 101) < 20);
}

void ARelayedKeyEndsWhereAPaymentBegins() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  bench.Rtp(0, 101, 7000, {5, 10, 0, 160});
  bench.Run(20);
  bench.Order(0, Command::Kind::kBeginPayment);
  for (uint32_t i = 0; i < 50; ++i) {
    bench.Rtp(0, 101, 7000, {5, 10, 1, 0});
    bench.Run(20);
  }
  size_t ends = 0;
  CHECK(RelayedTo(bench, 1, &ends) == "5");
  CHECK(ends == 3);
  CHECK(bench.Events(EventKind::kFieldKey).empty());
}

void EventsUnderAnSsrcOfTheirOwnCountOnce() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  for (uint16_t i = 0; i < 10; ++i) {
    bench.Rtp(0, 0, 160u * i, std::vector<uint8_t>(160, 0x10));
    EventFrom(bench, 4242, static_cast<uint16_t>(9000 + i), 500, {7, static_cast<uint8_t>(i < 7 ? 10 : 0x8a), static_cast<uint8_t>(i), 160});
    bench.Run(20);
  }
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  CHECK(bench.legs[0]->counters.packets_lost == 0);
  CHECK(bench.legs[0]->counters.frames_concealed == 0);
}

// A new SSRC, another payload type or another source begins presses of its own, whatever its timestamps.
void AnotherStreamBeginsItsOwnPresses() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  EventFrom(bench, 1, 10, 900000, {1, 0x8a, 3, 0x20});
  EventFrom(bench, 2, 60000, 1000, {1, 0x8a, 3, 0x20});
  CHECK(bench.Events(EventKind::kFieldKey).size() == 2);
  Command update;
  update.kind = Command::Kind::kUpdateLeg;
  update.media.remote = Endpoint{4, 40000, {127, 0, 0, 1}};
  update.media.receive_event_payload_type = 96;
  bench.Order(0, update);
  EventFrom(bench, 2, 60001, 500, {1, 0x8a, 3, 0x20}, 96);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 3);
}

void WhatEndedAPaymentIsNoKeyAfterIt() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Rtp(0, 101, 7000, {11, 10, 0, 160});
  bench.Rtp(0, 101, 7000, {11, 0x8a, 3, 0x20});
  bench.Order(0, Command::Kind::kEndPayment);
  bench.Rtp(0, 101, 7000, {11, 0x8a, 3, 0x20});
  bench.Rtp(0, 101, 7000, {11, 0x8a, 3, 0x20});
  bench.Run(500);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  CHECK(bench.CountSent(1, 101) == 0);
  bench.Rtp(0, 101, 12000, {11, 0x8a, 3, 0x20});
  bench.Run(500);
  CHECK(bench.CountSent(1, 101) > 3);
}

std::vector<uint8_t> ToneCodes(double row_hz, double column_hz, uint32_t from, size_t count) {
  std::vector<uint8_t> codes(count);
  for (size_t i = 0; i < count; ++i) {
    const double t = 2 * 3.14159265358979 * (from + static_cast<double>(i)) / 8000;
    codes[i] = EncodeSample(Law::kMu, static_cast<int16_t>(6000 * std::sin(row_hz * t) + 6000 * std::sin(column_hz * t)));
  }
  return codes;
}

// The tone of a key that was heard in-band goes on over the end of a payment: it is still one press.
void AToneThatGoesOnOverAPaymentsEndIsOnePress() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  const auto feed = [&bench](uint32_t frame, bool on) {
    bench.Rtp(0, 0, frame * 160, on ? ToneCodes(770, 1336, frame * 160, 160) : std::vector<uint8_t>(160, 0xff));
    bench.Run(20);
  };
  for (uint32_t i = 0; i < 10; ++i) feed(i, true);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  bench.Order(0, Command::Kind::kEndPayment);
  bench.Order(0, Command::Kind::kBeginPayment);
  for (uint32_t i = 10; i < 30; ++i) feed(i, true);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  for (uint32_t i = 30; i < 40; ++i) feed(i, false);
  for (uint32_t i = 40; i < 50; ++i) feed(i, true);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 2);
}

// The machine table of leg/dtmf_merger.h, at the leg: tones count until the first event comes.
void EventsSilenceTones() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  uint32_t frame = 0;
  const auto tone = [&](size_t frames, bool on) {
    for (size_t i = 0; i < frames; ++i, ++frame) {
      bench.Rtp(0, 0, frame * 160, on ? ToneCodes(697, 1209, frame * 160, 160) : std::vector<uint8_t>(160, 0xff));
      bench.Run(20);
    }
  };
  tone(5, true);
  tone(5, false);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);   // In-band, before any event.
  bench.Rtp(0, 101, frame * 160, {1, 0x8a, 3, 0x20});      // The event of the same finger: merged.
  tone(5, false);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  tone(5, true);                                           // From now on tones are counted only.
  tone(5, false);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
  CHECK(bench.legs[0]->counters.keys_ignored == 1);
  bench.Rtp(0, 101, frame * 160, {1, 0x8a, 3, 0x20});
  CHECK(bench.Events(EventKind::kFieldKey).size() == 2);
}

void LettersEnterNoField() {
  Bench bench;
  bench.Open(0, 0);
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Field(0, FieldKind::kPan, 19);
  for (const int key : {12, 13, 14, 15}) bench.Press(0, static_cast<uint8_t>(key));
  CHECK(bench.Events(EventKind::kFieldKey).empty());
  bench.Press(0, 4);
  CHECK(bench.Events(EventKind::kFieldKey).size() == 1);
}

void AKeyThatMeansNothingStopsNoPrompt() {
  Bench bench;
  bench.Open(0, 0);
  const int32_t prompt = Say(bench, 1000, 8000);
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Field(0, FieldKind::kPan, 19);
  Play(bench, 0, prompt, true, 7);
  for (const int letter : {12, 13, 14, 15}) bench.Press(0, static_cast<uint8_t>(letter));
  CHECK(bench.Events(EventKind::kPlayEnded).empty());
  bench.Press(0, 4);
  CHECK(bench.Events(EventKind::kPlayEnded).size() == 1);

  Command menu;
  menu.kind = Command::Kind::kOpenKeys;
  menu.allowed_events = 1U << 1 | 1U << 2;
  menu.length_max = 1;
  bench.Order(0, menu);
  Play(bench, 0, prompt, true, 8);
  bench.Press(0, 5);
  CHECK(bench.Events(EventKind::kPlayEnded).size() == 1);
  bench.Press(0, 2);
  CHECK(bench.Events(EventKind::kPlayEnded).size() == 2);
}

void ASkippedClockLeavesAGapInTheTimestamps() {
  Bench bench;
  bench.Open(0, 0);
  bench.Run(200);
  const size_t before = bench.sent.size();
  bench.core->Skip(300);
  bench.tick += 300 / kSlotMs;
  bench.now_us += 300000;
  bench.Run(40);
  CHECK(bench.sent.size() == before + 2);
  const auto& last = bench.sent[before - 1].bytes;
  const auto& next = bench.sent[before].bytes;
  CHECK(ReadU32(&next[4]) == ReadU32(&last[4]) + 160 + 300 * 8);
  CHECK(ReadU16(&next[2]) == static_cast<uint16_t>(ReadU16(&last[2]) + 1));
  CHECK((next[1] & 0x80) != 0);
}

void ALateTickMovesNoPacketToTheNext() {
  Bench bench;
  bench.Open(0, 0);
  uint64_t clock_us = bench.now_us;
  uint32_t noise = 1;
  for (uint64_t tick = 0; tick < 4000; ++tick) {
    clock_us += kSlotMs * 1000;
    noise = noise * 1664525 + 1013904223;
    const size_t before = bench.sent.size();
    bench.core->Tick(tick, clock_us + noise % 1500, bench);   // Up to 1.5 ms late.
    CHECK(bench.sent.size() - before == (tick % kSlots == 0 ? 1u : 0u));
  }
}

void RtcpFromElsewhereSaysNothing() {
  Bench bench;
  bench.Open(0, 0);
  ReceptionReport report;
  report.ssrc = 1000;
  report.last_sr = 1;
  uint8_t bytes[kRtcpBytesMax];
  const char name[] = {'x'};
  const size_t length = WriteReport(5, nullptr, &report, name, bytes);
  bench.core->OnRtcp(0, std::span(bytes, length), Endpoint{4, 40001, {10, 0, 0, 1}}, bench.now_us);
  CHECK(bench.legs[0]->counters.packets_from_elsewhere == 1);
}

void ReportsWhatWasLost() {
  Bench bench;
  bench.Open(0, 0);
  for (uint32_t i = 0; i < 500; ++i) {
    if (i % 10 == 3) ++bench.sequence;
    if (i % 10 != 3) bench.Rtp(0, 0, i * 160, std::vector<uint8_t>(160, 0x10));
    bench.Run(20);
  }
  CHECK(bench.legs[0]->counters.packets_lost == 50);
  CHECK(!bench.reports.empty());
  RtcpSeen seen;
  CHECK(ParseRtcp(bench.reports.back().bytes, 77, &seen));
  CHECK(seen.has_sender_report && seen.has_report_on_us);
  CHECK(seen.report.packets_lost > 10 && seen.report.packets_lost <= 50);
  CHECK(seen.report.fraction_lost >= 20 && seen.report.fraction_lost <= 32);   // A tenth of 256.
  CHECK(bench.reports.back().to.port == 40001);
}

// Loud at both ears of a three-way call: summed in 32 bit and clipped once, not wrapped.
void SumsAreClippedOnce() {
  Bench bench;
  for (uint16_t leg = 0; leg < 3; ++leg) bench.Open(leg, 0);
  bench.Route({{0, 2}, {1, 2}});
  for (uint32_t i = 0; i < 20; ++i) {
    bench.Rtp(0, 0, i * 160, std::vector<uint8_t>(160, 0x80));   // +32,124
    bench.Rtp(1, 0, i * 160, std::vector<uint8_t>(160, 0x80));
    bench.Run(20);
  }
  const Sent* last = nullptr;
  for (const Sent& one : bench.sent) last = one.leg == 2 ? &one : last;
  CHECK(last != nullptr && std::count(last->bytes.begin() + 12, last->bytes.end(), 0x80) == 160);
}

// The samples that a leg's peer was sent, G.711 only.
std::vector<int16_t> SentSamples(const Bench& bench, uint16_t leg) {
  std::vector<int16_t> samples;
  for (const Sent& one : bench.sent) {
    if (one.leg != leg || (one.bytes[1] & 0x7f) != 0) continue;
    for (size_t i = kRtpHeaderBytes; i < one.bytes.size(); ++i) samples.push_back(DecodeSample(Law::kMu, one.bytes[i]));
  }
  return samples;
}

KeysToSend KeysOf(std::vector<uint8_t> events, KeyMode mode, uint16_t duration_ms, uint16_t gap_ms) {
  KeysToSend keys;
  std::copy(events.begin(), events.end(), keys.events.begin());
  keys.count = static_cast<uint8_t>(events.size());
  keys.mode = mode;
  keys.duration_ms = duration_ms;
  keys.gap_ms = gap_ms;
  return keys;
}

void SendKeys(Bench& bench, uint16_t leg, const KeysToSend& keys, uint32_t request) {
  Command command;
  command.kind = Command::Kind::kSendKeys;
  command.keys = keys;
  command.request = request;
  bench.Order(leg, command);
}

uint8_t AnswerTo(Bench& bench, uint32_t request) {
  for (const EngineEvent& event : bench.Events(EventKind::kAnswer)) {
    if (event.request == request) return event.code;
  }
  return 0xff;
}

// Durations and gaps as ordered, in the clock that was agreed.
void SendsKeysAsEvents() {
  struct Row { Codec codec; uint32_t clock_rate; };
  for (const Row& row : {Row{Codec::kPcmu, 8000}, Row{Codec::kG722, 8000}, Row{Codec::kOpus, 48000}}) {
    Bench bench;
    LegMedia media;
    media.codec = row.codec;
    media.event_clock_rate = row.clock_rate;
    bench.Open(0, 0, media);
    SendKeys(bench, 0, KeysOf({1, 1, 11}, KeyMode::kEvent, 100, 80), 7);
    bench.Run(1000);
    CHECK(AnswerTo(bench, 7) == 0);
    CHECK(bench.Events(EventKind::kKeysSent).size() == 1 && bench.all.back().request == 7);
    std::vector<uint32_t> begins, lengths;
    std::string keys;
    for (const Sent& one : bench.sent) {
      if ((one.bytes[1] & 0x7f) != 101) continue;
      if ((one.bytes[1] & 0x80) != 0) {
        begins.push_back(ReadU32(&one.bytes[4]));
        keys += "0123456789*#"[one.bytes[12]];
        lengths.push_back(0);
      }
      lengths.back() = ReadU16(&one.bytes[14]);
    }
    const uint32_t ms = row.clock_rate / 1000;
    CHECK(keys == "11#");
    for (const uint32_t length : lengths) CHECK(length == 100 * ms);
    CHECK(begins.size() == 3 && begins[1] - begins[0] == 180 * ms && begins[2] - begins[1] == 180 * ms);
  }
}

double LevelDbm0(std::span<const int16_t> samples, double hz) {
  double cosine = 0, sine = 0;
  for (size_t i = 0; i < samples.size(); ++i) {
    cosine += samples[i] * std::cos(2 * 3.14159265358979 * hz * static_cast<double>(i) / 8000);
    sine += samples[i] * std::sin(2 * 3.14159265358979 * hz * static_cast<double>(i) / 8000);
  }
  const double amplitude = 2 * std::sqrt(cosine * cosine + sine * sine) / static_cast<double>(samples.size());
  return 20 * std::log10(amplitude / 32124) + 3.17;
}

void SendsKeysAsTonesOfAStatedLevelAndTwist() {
  struct Row { float level, twist; };
  for (const Row& row : {Row{-10, 0}, Row{-3, 0}, Row{-10, 4}, Row{-10, -8}, Row{-36, 0}}) {
    Bench bench;
    bench.Open(0, 0);
    KeysToSend keys = KeysOf({5, 13}, KeyMode::kInband, 1000, 45);
    keys.level_dbm0 = row.level;
    keys.twist_db = row.twist;
    SendKeys(bench, 0, keys, 7);
    bench.Run(2400);
    CHECK(bench.Events(EventKind::kKeysSent).size() == 1);
    CHECK(bench.CountSent(0, 101) == 0);
    const std::vector<int16_t> samples = SentSamples(bench, 0);
    // Of a second 10 ms are left out at each end. Key 13, "B", begins 1,045 ms later.
    const std::span<const int16_t> five(samples.data() + 80, 8000 - 160), letter(samples.data() + 8360 + 80, 8000 - 160);
    const double row_level = row.level - row.twist / 2, column_level = row.level + row.twist / 2;
    CHECK(std::abs(LevelDbm0(five, 770) - row_level) < 0.2 && std::abs(LevelDbm0(five, 1336) - column_level) < 0.2);
    CHECK(std::abs(LevelDbm0(letter, 770) - row_level) < 0.2 && std::abs(LevelDbm0(letter, 1633) - column_level) < 0.2);
    CHECK(std::all_of(samples.begin() + 8000, samples.begin() + 8360, [](int16_t sample) { return sample == 0; }));
    CHECK(samples[16360 - 1] == 0 || std::abs(samples[16360 - 1]) < 4000);
  }
}

// Key by key, what we send is what our own detector hears.
void TonesOfOursAreHeardByOurDetector() {
  Bench bench;
  bench.Open(0, 0);
  SendKeys(bench, 0, KeysOf({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, KeyMode::kInband, 60, 60), 7);
  bench.Run(3000);
  DtmfDetector detector;
  std::string heard;
  detector.Feed(SentSamples(bench, 0), [&](const InbandPress& press) {
    if (press.begins) heard += "0123456789*#ABCD"[press.event];
  });
  CHECK(heard == "0123456789*#ABCD");
}

void RefusesKeysThatCannotBeSent() {
  Bench bench;
  LegMedia other_clock;
  other_clock.event_clock_rate = 48000;
  bench.Open(0, 0);
  bench.Open(1, 0, other_clock);
  const KeysToSend keys = KeysOf({1}, KeyMode::kEvent, 100, 100);
  SendKeys(bench, 0, keys, 1);
  SendKeys(bench, 0, keys, 2);
  SendKeys(bench, 1, keys, 3);
  bench.Run(1000);
  bench.Order(0, Command::Kind::kBeginPayment);
  SendKeys(bench, 0, keys, 4);
  CHECK(AnswerTo(bench, 1) == 0);
  CHECK(AnswerTo(bench, 2) == static_cast<uint8_t>(EngineFault::kLimit));
  CHECK(AnswerTo(bench, 3) == static_cast<uint8_t>(EngineFault::kNoEvents));
  CHECK(AnswerTo(bench, 4) == static_cast<uint8_t>(EngineFault::kBadArgument));
  CHECK(AreSendable(keys));
  const auto changed = [&](auto change) {
    KeysToSend one = keys;
    change(one);
    return AreSendable(one);
  };
  CHECK(!changed([](KeysToSend& one) { one.count = 0; }));
  CHECK(!changed([](KeysToSend& one) { one.events[0] = 16; }));
  CHECK(!changed([](KeysToSend& one) { one.level_dbm0 = 0; }));
  CHECK(!changed([](KeysToSend& one) { one.twist_db = 20; }));
  CHECK(!changed([](KeysToSend& one) { one.level_dbm0 = -60; }));
  CHECK(!changed([](KeysToSend& one) { one.duration_ms = 10; }));
  CHECK(!changed([](KeysToSend& one) { one.gap_ms = 0; }));
}

LegMedia WithRed() {
  LegMedia media;
  media.send_event_payload_type = media.receive_event_payload_type = 101;
  media.send_red_payload_type = media.receive_red_payload_type = 97;
  return media;
}

// Every packet of the first two presses is lost: the third's says them again.
void PressesThatWereLostComeWithTheNext() {
  Bench bench;
  bench.Open(0, 0, WithRed());
  bench.Order(0, Command::Kind::kBeginPayment);
  const std::vector<uint8_t> third{0x80 | 101, 1600 * 2 >> 6, (1600 * 2 & 0x3f) << 2, 4, 0x80 | 101, 1600 >> 6, (1600 & 0x3f) << 2, 4, 101,
                                   1, 0x8a, 3, 0x20, 2, 0x8a, 3, 0x20, 3, 10, 0, 160};
  bench.Rtp(0, 97, 9000, third);
  bench.Rtp(0, 97, 9000, third);
  const auto keys = bench.Events(EventKind::kFieldKey);
  CHECK(keys.size() == 3);
  CHECK(bench.vault->waiting == (std::vector<uint8_t>{1, 2, 3}));
  bench.Rtp(0, 97, 9000, {0x80, 1});
  CHECK(bench.legs[0]->counters.packets_malformed == 1);
}

// And ours say theirs: whichever 7 of the 21 event packets are lost, all keys are there.
void SendsPressesAgainWhereAgreed() {
  Bench bench;
  bench.Open(0, 0, WithRed());
  SendKeys(bench, 0, KeysOf({1, 2, 3}, KeyMode::kEvent, 100, 100), 7);
  bench.Run(1000);
  std::vector<std::vector<uint8_t>> packets;
  for (const Sent& one : bench.sent) {
    if ((one.bytes[1] & 0x7f) == 97) packets.push_back(one.bytes);
  }
  CHECK(packets.size() == 21);
  for (size_t from = 0; from + 7 < packets.size(); ++from) {
    Bench peer;
    peer.Open(0, 0, WithRed());
    peer.Order(0, Command::Kind::kBeginPayment);
    for (size_t i = 0; i < packets.size(); ++i) {
      std::vector<uint8_t> packet = packets[i];        // A packet with a key is wiped.
      if (i < from || i >= from + 7) peer.core->OnRtp(0, packet, Endpoint{4, 40000, {127, 0, 0, 1}}, peer.now_us);
    }
    CHECK(peer.Events(EventKind::kFieldKey).size() == 3);
  }
}

void APressOfWhichOnlyTheEndCameIsRelayedAndEnds() {
  Bench bench;
  bench.Open(0, 0);
  bench.Open(1, 0);
  bench.Route({{0, 1}});
  bench.Rtp(0, 101, 7000, {5, 0x8a, 3, 0x20});
  bench.Run(1000);
  size_t ends = 0;
  CHECK(RelayedTo(bench, 1, &ends) == "5");
  CHECK(ends == 3);
}

// A lost packet of a tone: what is put in its place is marked, so that a mask can hide it, and so is the fade behind it.
void SaysWhatIsConcealed() {
  Bench bench;
  bench.Open(0, 0);
  std::string marked;
  for (uint32_t i = 0; i < 30; ++i) {
    std::vector<uint8_t> codes(160);
    for (uint32_t n = 0; n < 160; ++n) {
      const double t = 2 * 3.14159265358979 * (i * 160 + n) / 8000;
      codes[n] = EncodeSample(Law::kMu, static_cast<int16_t>(6000 * std::sin(770 * t) + 6000 * std::sin(1336 * t)));
    }
    if (i != 15) bench.Rtp(0, 0, i * 160, codes);
    bench.Run(20);
    marked += bench.legs[0]->HeardConcealed() ? '1' : '0';
  }
  CHECK(marked == "000000000000000001100000000000");
  CHECK(bench.legs[0]->counters.keys_inband == 1);     // One press, before and behind the loss.
}

void AnnouncesSilenceWhereAgreed() {
  Bench bench;
  LegMedia media;
  media.send_noise = true;
  bench.Open(0, 0, media);
  bench.Run(5000);
  CHECK(bench.CountSent(0, 0) < 12);
  CHECK(bench.CountSent(0, kComfortNoisePayloadType) >= 4 && bench.CountSent(0, kComfortNoisePayloadType) <= 6);
  CHECK(bench.sent.back().bytes.size() == kRtpHeaderBytes + 1 && bench.sent.back().bytes[12] == 127);
  bench.sent.clear();
  Play(bench, 0, Say(bench, 1000, 8000), false, 1);
  bench.Run(40);
  CHECK(bench.sent.size() >= 1 && bench.sent[0].bytes[1] == 0x80);   // Its first packet is marked.
  CHECK(ReadU32(&bench.sent[0].bytes[4]) == 5000 + 250 * 160);       // And stands where its time is.
}

// Audio crosses between codecs, and a re-INVITE may change one; what was not needed any more is given back.
void CarriesAudioBetweenCodecs() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Bench bench;
    LegMedia media;
    media.codec = codec;
    media.send_payload_type = media.receive_payload_type = 96;
    bench.Open(0, 0, media);
    bench.Open(1, 0);
    bench.Route({{0, 1}, {1, 0}});
    auto encoder = MakeEncoder(codec);
    auto decoder = MakeDecoder(codec);
    double heard_by_1 = 0, heard_by_0 = 0;
    for (uint32_t i = 0; i < 100; ++i) {
      std::array<int16_t, kFrameSamples> frame;
      std::vector<uint8_t> codes(kFrameSamples);
      for (uint32_t n = 0; n < kFrameSamples; ++n) {
        frame[n] = static_cast<int16_t>(8000 * std::sin(2 * 3.14159265358979 * 500 * n / 8000));
        codes[n] = EncodeSample(Law::kMu, static_cast<int16_t>(8000 * std::sin(2 * 3.14159265358979 * 900 * n / 8000)));
      }
      std::vector<uint8_t> packet(kEncodedBytesMax);
      packet.resize(encoder->Encode(frame, packet.data()));
      bench.Rtp(0, 96, i * 160 * TimestampScale(codec), packet);
      bench.Rtp(1, 0, i * 160, codes);
      bench.sent.clear();
      bench.Run(20);
      for (const Sent& one : bench.sent) {
        if (one.leg == 1) heard_by_1 = LevelDbm0(SentSamples(bench, 1), 500);
        if (one.leg != 0) continue;
        std::array<int16_t, kDecodedSamplesMax> out;
        const size_t count = decoder->Decode(std::span(one.bytes).subspan(kRtpHeaderBytes), out.data());
        CHECK(count == kFrameSamples);
        heard_by_0 = LevelDbm0(std::span(out.data(), count), 900);
      }
    }
    const double truth = 20 * std::log10(8000.0 / 32124) + 3.17;
    CHECK(std::abs(heard_by_1 - truth) < 1.5 && std::abs(heard_by_0 - truth) < 1.5);
    CHECK(bench.legs[0]->counters.frames_concealed == 0);
    CHECK(bench.legs[0]->counters.jitter_us < 20000);

    Command update;
    update.kind = Command::Kind::kUpdateLeg;
    update.media = bench.legs[0]->media();
    update.media.ptime_ms = 20;
    bench.Order(0, update);                            // The same codec: its state stays.
    CHECK(bench.retired == 0);
    update.media.codec = Codec::kPcmu;
    bench.Order(0, update);
    CHECK(bench.retired == 1);
    update.media.codec = codec;
    update.coded = CodedAudio::Create(codec, 200).release();
    bench.Order(0, update);
    CHECK(bench.retired == 1);
    update.coded = CodedAudio::Create(codec, 200).release();
    bench.Order(9, update);                            // No such leg: nothing is lost.
    CHECK(bench.retired == 2);
    bench.sent.clear();
    bench.Run(200);
    CHECK(bench.CountSent(0, 96) == 10);
  }
}

}  // namespace

int main() {
  SendsKeysAsEvents();
  SendsKeysAsTonesOfAStatedLevelAndTwist();
  TonesOfOursAreHeardByOurDetector();
  RefusesKeysThatCannotBeSent();
  PressesThatWereLostComeWithTheNext();
  SendsPressesAgainWhereAgreed();
  APressOfWhichOnlyTheEndCameIsRelayedAndEnds();
  SaysWhatIsConcealed();
  AnnouncesSilenceWhereAgreed();
  CarriesAudioBetweenCodecs();
  SendsOnePacketEach20Ms();
  SendsEveryPacketTime();
  CarriesAudioAlongRoutesOnly();
  NobodyHearsAPayer();
  RelaysKeysOutsidePayments();
  AKeyStopsThePrompt();
  APromptThatIsNotForBargeInPlaysToItsEnd();
  TypeAheadEntersTheNextField();
  TypeAheadNeverBecomesAnOpenKey();
  WhoComesLaterFromElsewhereIsNotHeard();
  AStrangerWhoWasFasterGivesWayToTheAddressOfTheSdp();
  AfterThreeSecondsTheSourceStays();
  ClosingTellsAndEndsThePayment();
  ReadBackIsHeardByThePayerOnly();
  SaysWhenThePeerFallsSilent();
  HoldStopsSending();
  NothingGoesToTheUnspecifiedAddress();
  RelaysFastKeysOneAfterTheOther();
  ARelayedKeyWhoseEndIsLostEnds();
  ARelayedKeyEndsWhereAPaymentBegins();
  EventsUnderAnSsrcOfTheirOwnCountOnce();
  AnotherStreamBeginsItsOwnPresses();
  WhatEndedAPaymentIsNoKeyAfterIt();
  AToneThatGoesOnOverAPaymentsEndIsOnePress();
  EventsSilenceTones();
  LettersEnterNoField();
  AKeyThatMeansNothingStopsNoPrompt();
  ASkippedClockLeavesAGapInTheTimestamps();
  ALateTickMovesNoPacketToTheNext();
  RtcpFromElsewhereSaysNothing();
  ReportsWhatWasLost();
  SumsAreClippedOnce();
  return test::Finish();
}
