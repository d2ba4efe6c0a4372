// RTP packets and telephone-events, as tables.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "rtp/event_sender.h"
#include "rtp/packet.h"
#include "rtp/redundancy.h"
#include "rtp/telephone_event.h"

using namespace hushtone;

namespace {

struct PacketRow {
  const char* name;
  std::vector<uint8_t> bytes;
  RtpFault fault;
  size_t payload_bytes;
};

const PacketRow kPackets[] = {
    {"plain", {0x80, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9}, RtpFault::kNone, 2},
    {"marker", {0x80, 0xe0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, RtpFault::kNone, 0},
    {"one byte short", {0x80, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0}, RtpFault::kTooShort, 0},
    {"version 1", {0x40, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, RtpFault::kNotVersion2, 0},
    {"a sender report", {0x80, 200, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3}, RtpFault::kIsRtcp, 0},
    {"one CSRC", {0x81, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 9}, RtpFault::kNone, 1},
    {"CSRC cut", {0x82, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4}, RtpFault::kCsrcCut, 0},
    {"extension of one word", {0x90, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 1, 1, 1, 1, 1, 9, 9, 9},
     RtpFault::kNone, 3},
    {"extension cut", {0x90, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde, 0, 2, 1, 1, 1, 1}, RtpFault::kExtensionCut, 0},
    {"extension head cut", {0x90, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0xbe, 0xde}, RtpFault::kExtensionCut, 0},
    {"padding of two", {0xa0, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 0, 2}, RtpFault::kNone, 1},
    {"padding of none", {0xa0, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 0, 0}, RtpFault::kPaddingWrong, 0},
    {"padding beyond the header", {0xa0, 0x60, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 4}, RtpFault::kPaddingWrong, 0},
};

void TestPackets() {
  for (const PacketRow& row : kPackets) {
    RtpPacket packet;
    const RtpFault fault = ParseRtp(row.bytes, &packet);
    CHECK(fault == row.fault);
    if (fault == RtpFault::kNone) CHECK(packet.payload.size() == row.payload_bytes);
    if (fault != row.fault) std::fprintf(stderr, "  in row '%s'\n", row.name);
  }
  RtpPacket out;
  out.payload_type = 101;
  out.marker = true;
  out.sequence_number = 0xfffe;
  out.timestamp = 0xfedcba98;
  out.ssrc = 0x01020304;
  uint8_t bytes[kRtpHeaderBytes];
  CHECK(WriteRtpHeader(out, bytes) == kRtpHeaderBytes);
  RtpPacket back;
  CHECK(ParseRtp(bytes, &back) == RtpFault::kNone);
  CHECK(back.payload_type == 101 && back.marker && back.sequence_number == 0xfffe);
  CHECK(back.timestamp == 0xfedcba98 && back.ssrc == 0x01020304);
}

struct EventPacket {
  uint32_t timestamp;
  uint8_t event;
  bool end;
  uint16_t duration_ts;
};

struct PressRow {
  const char* name;
  std::vector<EventPacket> packets;
  const char* keys;
  uint32_t last_duration_ts;
};

const PressRow kPresses[] = {
    {"reports a repeated digit when every END packet of the first press is lost",
     {{1000, 5, false, 160}, {1000, 5, false, 320}, {5000, 5, false, 160}, {5000, 5, true, 800}}, "55", 800},
    {"reports a press of which only an END packet arrived", {{1000, 7, true, 800}}, "7", 800},
    {"reports one press for three END packets", {{1000, 7, false, 160}, {1000, 7, true, 800}, {1000, 7, true, 800}, {1000, 7, true, 800}},
     "7", 800},
    {"ignores a packet of an earlier press that arrives late",
     {{1000, 1, false, 160}, {5000, 2, false, 160}, {1000, 1, true, 800}, {5000, 2, true, 640}}, "12", 640},
    {"reports one press for a key held through two segments",
     {{1000, 3, false, 160}, {1000, 3, false, 65535}, {66535, 3, false, 160}, {66535, 3, true, 4000}}, "3", 69535},
    {"reports one press when the last updates of a full segment are lost",
     {{1000, 3, false, 160}, {1000, 3, false, 62400}, {66440, 3, false, 160}, {66440, 3, true, 4000}}, "3", 69440},
    {"reports two presses of a key eight seconds apart whose END packets are lost",
     {{1000, 3, false, 160}, {1000, 3, false, 800}, {66535, 3, false, 160}}, "33", 160},
    {"reports two presses when the first segment was ended", {{1000, 3, true, 65535}, {66535, 3, false, 160}}, "33", 160},
    {"keeps order across timestamp wrap", {{0xffffff00, 4, true, 800}, {0x00000700, 6, true, 800}, {0xffffff00, 4, true, 800}}, "46", 800},
    {"reports nothing for flash and fax events", {{1000, 16, false, 160}, {2000, 32, false, 160}}, "", 0},
    {"reports star, hash and A to D", {{1000, 10, true, 800}, {3000, 11, true, 800}, {5000, 12, true, 800}, {7000, 15, true, 800}}, "*#AD", 800},
};

void TestPresses() {
  for (const PressRow& row : kPresses) {
    KeyPressReceiver receiver;
    std::string keys;
    uint32_t duration = 0;
    for (const EventPacket& packet : row.packets) {
      const TelephoneEvent event{packet.event, packet.end, 10, packet.duration_ts};
      const auto update = receiver.OnPacket(packet.timestamp, event);
      if (!update) continue;
      if (update->begins) keys += "0123456789*#ABCD"[update->event];
      duration = update->duration_ts;
    }
    CHECK(keys == row.keys);
    CHECK(duration == row.last_duration_ts);
    if (keys != row.keys || duration != row.last_duration_ts) {
      std::fprintf(stderr, "  in row '%s': %s, %u\n", row.name, keys.c_str(), duration);
    }
  }
  // Another stream's timestamps say nothing of this one's.
  KeyPressReceiver receiver;
  CHECK(receiver.OnPacket(900000, {1, true, 10, 800})->begins);
  receiver.Reset();
  CHECK(receiver.OnPacket(1000, {1, true, 10, 800})->begins);
}

void TestEvents() {
  TelephoneEvent event;
  const uint8_t bytes[] = {11, 0x8a, 0x03, 0x20};
  CHECK(ParseTelephoneEvent(bytes, &event));
  CHECK(event.event == 11 && event.end && event.volume == 10 && event.duration_ts == 800);
  uint8_t back[kTelephoneEventBytes];
  WriteTelephoneEvent(event, back);
  CHECK(std::memcmp(bytes, back, sizeof bytes) == 0);
  CHECK(!ParseTelephoneEvent(std::span(bytes, 3), &event));
  CHECK(!ParseTelephoneEvent({}, &event));
}

struct SentEvent {
  uint32_t frame, timestamp, duration_ts;
  bool end, marker;
};

std::vector<SentEvent> SendEvents(EventSender& sender, uint32_t frame_ts, uint32_t frames, uint32_t release_at) {
  std::vector<SentEvent> sent;
  for (uint32_t i = 0; i < frames; ++i) {
    if (i == release_at) sender.Release();
    const auto packet = sender.Next(frame_ts, 1000 + i * frame_ts);
    if (packet) sent.push_back({i, packet->timestamp, packet->event.duration_ts, packet->event.end, packet->marker});
  }
  return sent;
}

// What was sent, heard by our own receiver, whichever packets are lost: "5" or "55".
std::string HeardOf(const std::vector<SentEvent>& sent, uint32_t clock_rate, size_t lose_from, size_t lose_to) {
  KeyPressReceiver receiver;
  receiver.SetClockRate(clock_rate);
  std::string keys;
  for (size_t i = 0; i < sent.size(); ++i) {
    if (i >= lose_from && i < lose_to) continue;
    const TelephoneEvent event{5, sent[i].end, 10, static_cast<uint16_t>(sent[i].duration_ts)};
    const auto update = receiver.OnPacket(sent[i].timestamp, event);
    if (update && update->begins) keys += '5';
  }
  return keys;
}

void TestSender() {
  // A press of 100 ms: five updates, the last of them three times, all with the timestamp of the beginning.
  for (const uint32_t rate : {8000u, 16000u, 48000u}) {
    const uint32_t frame_ts = rate / 50;
    EventSender sender;
    CHECK(sender.Begin(5, 10, 5 * frame_ts));
    const auto sent = SendEvents(sender, frame_ts, 20, 99);
    CHECK(sent.size() == 7);
    for (size_t i = 0; i < sent.size(); ++i) {
      CHECK(sent[i].timestamp == 1000);
      CHECK(sent[i].duration_ts == std::min<uint32_t>(static_cast<uint32_t>(i + 1), 5) * frame_ts);
      CHECK(sent[i].end == (i >= 4) && sent[i].marker == (i == 0));
    }
    CHECK(!sender.IsActive() && sender.earlier_count() == 1 && sender.earlier(0).event.end);
  }
  // A length between two frames is said as it is; a key let go at once lasts three frames.
  EventSender odd;
  CHECK(odd.Begin(5, 10, 440));
  CHECK(SendEvents(odd, 160, 20, 99).back().duration_ts == 440);
  EventSender quick;
  CHECK(quick.Begin(5, 10));
  CHECK(SendEvents(quick, 160, 20, 0).back().duration_ts == 480);

  // RFC 4733 §2.5.1.3, at each clock: 20 s are 3 segments at 8 kHz and 15 at 48, of which 8 are sent.
  struct Row { uint32_t rate, seconds, segments; };
  for (const Row& row : {Row{8000, 20, 3}, Row{8000, 8, 1}, Row{16000, 5, 2}, Row{48000, 5, 4}, Row{8000, 120, 9}}) {
    const uint32_t frame_ts = row.rate / 50;
    EventSender sender;
    CHECK(sender.Begin(5, 10));
    const auto sent = SendEvents(sender, frame_ts, row.seconds * 50 + 20, row.seconds * 50 - 1);
    size_t segments = 1, markers = 0, ends = 0;
    for (size_t i = 0; i < sent.size(); ++i) {
      markers += sent[i].marker ? 1u : 0u;
      ends += sent[i].end ? 1u : 0u;
      if (i == 0 || sent[i].timestamp == sent[i - 1].timestamp) continue;
      ++segments;
      CHECK(sent[i].timestamp == sent[i - 1].timestamp + 0xffff);
      for (size_t n = 1; n <= 3; ++n) CHECK(sent[i - n].duration_ts == 0xffff && !sent[i - n].end);
    }
    CHECK(segments == row.segments);
    CHECK(markers == 1 && ends == 3);
    CHECK(!sender.IsActive());
    const uint32_t whole = sent.back().timestamp - 1000 + sent.back().duration_ts;
    if (row.seconds <= 60) CHECK(whole == row.seconds * row.rate);
    CHECK(HeardOf(sent, row.rate, 0, 0) == "5");
    for (size_t at = 0; at + 10 < sent.size(); at += 37) CHECK(HeardOf(sent, row.rate, at, at + 10) == "5");
  }
  // Exactly one segment needs no second.
  EventSender full;
  CHECK(full.Begin(5, 10, 0xffff));
  const auto sent = SendEvents(full, 160, 500, 999);
  CHECK(sent.back().timestamp == 1000 && sent.back().duration_ts == 0xffff && sent.back().end);
}

void TestRedundancy() {
  const uint8_t old_event[] = {1, 0x8a, 3, 0x20};
  const uint8_t event[] = {2, 10, 0, 160};
  const RedBlock blocks[] = {{101, 0x3fff, old_event}, {101, 800, {}}, {101, 0, event}};
  uint8_t bytes[64];
  const size_t length = WriteRed(blocks, bytes);
  CHECK(length == 4 + 4 + 1 + 4 + 4);
  CHECK(bytes[0] == (0x80 | 101) && bytes[1] == 0xff && bytes[2] == 0xfc && bytes[3] == 4);
  std::array<RedBlock, kRedBlocksMax> read;
  size_t count = 0;
  CHECK(ParseRed(std::span(bytes, length), &read, &count));
  CHECK(count == 3);
  for (size_t i = 0; i < count; ++i) {
    CHECK(read[i].payload_type == 101 && read[i].timestamp_offset == blocks[i].timestamp_offset);
    CHECK(std::equal(read[i].payload.begin(), read[i].payload.end(), blocks[i].payload.begin(), blocks[i].payload.end()));
  }
  for (size_t cut = 0; cut < 13; ++cut) CHECK(!ParseRed(std::span(bytes, cut), &read, &count));
  CHECK(ParseRed(std::span(bytes, 13), &read, &count) && read[2].payload.empty());   // An empty primary is none of our business.
  std::vector<uint8_t> many(200, 0x80 | 101);
  CHECK(!ParseRed(many, &read, &count));
}

}  // namespace

int main() {
  TestSender();
  TestRedundancy();
  TestPackets();
  TestEvents();
  TestPresses();
  return test::Finish();
}
