// RTP packets and telephone-events, as tables.
#include <cstring>
#include <string>
#include <vector>

#include "check.h"
#include "rtp/packet.h"
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

}  // namespace

int main() {
  TestPackets();
  TestEvents();
  TestPresses();
  return test::Finish();
}
