// RTCP as RFC 3550 §6 has it: what we write is read back, and what is cut or wrong counts for nothing.
#include "rtp/rtcp.h"

#include <cstring>
#include <vector>

#include "base/bytes.h"
#include "check.h"

using namespace hushtone;

namespace {

constexpr char kName[] = {'h', 'u', 's', 'h', 't', 'o', 'n', 'e'};

void SaysWhatItWasTold() {
  const SenderInfo sender{0x0123456789abcdefULL, 4000, 50, 8000};
  ReceptionReport report;
  report.ssrc = 0xa1b2c3d4;
  report.fraction_lost = 25;
  report.packets_lost = -3;   // More arrived than were expected: duplicates.
  report.highest_sequence = 0x0001ffff;
  report.jitter_ts = 12;
  report.last_sr = 0x45678901;
  report.delay_since_last_sr = 65536;
  uint8_t bytes[kRtcpBytesMax];
  const size_t length = WriteReport(0x11223344, &sender, &report, kName, bytes);
  CHECK(length <= kRtcpBytesMax && length % 4 == 0);
  CHECK(bytes[0] == 0x81 && bytes[1] == 200);
  CHECK(ReadU32(bytes + 4) == 0x11223344 && ReadU32(bytes + 16) == 4000 && ReadU32(bytes + 20) == 50);
  RtcpSeen seen;
  CHECK(ParseRtcp(std::span(bytes, length), 0xa1b2c3d4, &seen));
  CHECK(seen.has_sender_report && seen.ntp == sender.ntp);
  CHECK(seen.has_report_on_us && seen.report.packets_lost == -3 && seen.report.fraction_lost == 25);
  CHECK(seen.report.highest_sequence == 0x0001ffff && seen.report.jitter_ts == 12);
  CHECK(seen.report.last_sr == 0x45678901 && seen.report.delay_since_last_sr == 65536);
  CHECK(!seen.has_bye);
  // About another stream: not about us.
  CHECK(ParseRtcp(std::span(bytes, length), 1, &seen));
  CHECK(seen.has_sender_report && !seen.has_report_on_us);
}

// RFC 3550 §6.4.2: one who sent nothing reports with an RR; §6.1: every compound packet carries a CNAME.
void AListenerSendsAReceiverReport() {
  uint8_t bytes[kRtcpBytesMax];
  const size_t length = WriteReport(7, nullptr, nullptr, kName, bytes);
  CHECK(bytes[0] == 0x80 && bytes[1] == 201 && ReadU16(bytes + 2) == 1);
  CHECK(bytes[8] == 0x81 && bytes[9] == 202 && ReadU32(bytes + 12) == 7 && bytes[16] == 1 && bytes[17] == sizeof kName);
  CHECK(std::memcmp(bytes + 18, kName, sizeof kName) == 0 && bytes[18 + sizeof kName] == 0);
  CHECK(8 + 4 * (size_t{ReadU16(bytes + 10)} + 1) == length);
}

void ABareByeIsHeard() {
  uint8_t bytes[kRtcpBytesMax];
  RtcpSeen seen;
  CHECK(ParseRtcp(std::span(bytes, WriteBye(9, bytes)), 9, &seen));
  CHECK(seen.has_bye);
}

void EveryCutOfACompoundPacketIsRefusedOrWhole() {
  const SenderInfo sender{1, 2, 3, 4};
  ReceptionReport report;
  report.ssrc = 5;
  uint8_t bytes[kRtcpBytesMax * 2];
  size_t length = WriteReport(6, &sender, &report, kName, bytes);
  const size_t first = 4 * (size_t{ReadU16(bytes + 2)} + 1);
  const size_t second = length;
  length += WriteBye(6, bytes + length);
  for (size_t cut = 0; cut <= length; ++cut) {
    const std::vector<uint8_t> part(bytes, bytes + cut);   // Its own memory, so that reading past it is seen.
    RtcpSeen seen;
    CHECK(ParseRtcp(part, 5, &seen) == (cut == first || cut == second || cut == length));
    if (cut < first) CHECK(!seen.has_sender_report && !seen.has_report_on_us);
  }
}

struct BadRow {
  const char* name;
  std::vector<uint8_t> bytes;
};

const BadRow kBad[] = {
    {"version 1", {0x40, 203, 0, 1, 0, 0, 0, 9}},
    {"two sources in a BYE of one", {0x82, 203, 0, 1, 0, 0, 0, 9}},
    {"length beyond the packet", {0x80, 201, 0, 9, 0, 0, 0, 9}},
    {"a report block that is not there", {0x81, 201, 0, 1, 0, 0, 0, 9}},
    {"a sender report without sender info", {0x80, 200, 0, 1, 0, 0, 0, 9}},
    {"three bytes behind the last packet", {0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 203, 0}},
    {"zeros", {0, 0, 0, 0}},
};

void RefusesWhatIsNotFramed() {
  for (const BadRow& row : kBad) {
    RtcpSeen seen;
    const bool parsed = ParseRtcp(row.bytes, 9, &seen);
    CHECK(!parsed);
    CHECK(!seen.has_bye && !seen.has_sender_report && !seen.has_report_on_us);
    if (parsed) std::fprintf(stderr, "  in row '%s'\n", row.name);
  }
}

}  // namespace

int main() {
  SaysWhatItWasTold();
  AListenerSendsAReceiverReport();
  ABareByeIsHeard();
  EveryCutOfACompoundPacketIsRefusedOrWhole();
  RefusesWhatIsNotFramed();
  return test::Finish();
}
