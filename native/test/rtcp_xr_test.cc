// RTCP XR as RFC 3611 has it: our blocks octet by octet, and what peers may send, cut, padded, unknown or in another length.
#include "rtp/rtcp_xr.h"

#include <algorithm>
#include <vector>

#include "base/bytes.h"
#include "check.h"
#include "rtp/rtcp.h"

using namespace hushtone;

namespace {

constexpr uint32_t kOurs = 0x11223344;
constexpr uint32_t kPeers = 0xa1b2c3d4;

VoipMetrics Metrics() {
  VoipMetrics metrics;
  metrics.ssrc = kOurs;
  metrics.loss_rate = 12;
  metrics.discard_rate = 3;
  metrics.burst_density = 85;
  metrics.gap_density = 9;
  metrics.burst_ms = 0x0102;
  metrics.gap_ms = 0x0304;
  metrics.round_trip_ms = 0x0506;
  metrics.end_system_delay_ms = 0x0708;
  metrics.r_factor = 77;
  metrics.mos_lq = 40;
  metrics.mos_cq = 39;
  metrics.receiver = 0xf4;
  metrics.buffer_nominal_ms = 60;
  metrics.buffer_max_ms = 120;
  metrics.buffer_limit_ms = 0x0109;
  return metrics;
}

std::vector<uint8_t> Packet(const XrToSend& blocks) {
  std::vector<uint8_t> bytes(kXrBytesMax);
  bytes.resize(WriteXr(kPeers, blocks, bytes.data()));
  return bytes;
}

// §2, §4.7: head, block head, then the fields in their order.
void WritesEveryFieldInItsPlace() {
  const VoipMetrics metrics = Metrics();
  XrToSend blocks;
  blocks.metrics = &metrics;
  const std::vector<uint8_t> expected = {
      0x80, 207, 0, 10, 0xa1, 0xb2, 0xc3, 0xd4,       // Eleven words; who says it.
      7, 0, 0, 8, 0x11, 0x22, 0x33, 0x44,             // BT 7, nine words; of whose stream.
      12, 3, 85, 9, 1, 2, 3, 4, 5, 6, 7, 8,           // Loss, discards, densities; burst and gap; round trip and end system.
      127, 127, 127, 16, 77, 127, 40, 39,             // Levels and echo are not measured; Gmin; R, ext. R, MOS.
      0xf4, 0, 0, 60, 0, 120, 1, 9,                   // Receiver; jitter buffer.
  };
  CHECK(Packet(blocks) == expected);
}

void ReadsWhatItWrote() {
  const VoipMetrics metrics = Metrics();
  const uint64_t ntp = 0x0123456789abcdefULL;
  const ReferenceAnswer answer{kOurs, 0x456789ab, 0x8000};
  const XrToSend blocks{&metrics, &ntp, &answer};
  const std::vector<uint8_t> bytes = Packet(blocks);
  CHECK(bytes.size() == kXrBytesMax);
  XrSeen seen;
  CHECK(ParseXr(bytes, kOurs, &seen));
  CHECK(seen.has_metrics && seen.metrics.loss_rate == 12 && seen.metrics.burst_ms == 0x0102 && seen.metrics.end_system_delay_ms == 0x0708);
  CHECK(seen.metrics.gmin == 16 && seen.metrics.r_factor == 77 && seen.metrics.mos_cq == 39 && seen.metrics.buffer_limit_ms == 0x0109);
  CHECK(seen.has_reference && seen.reference_ssrc == kPeers && seen.reference_ntp == ntp);
  CHECK(seen.has_answer && seen.answer.last_reference == 0x456789ab && seen.answer.delay == 0x8000);
  // Of another's stream: none of our business. A reference time is everybody's.
  XrSeen other;
  CHECK(ParseXr(bytes, 5, &other));
  CHECK(!other.has_metrics && !other.has_answer && other.has_reference);
}

void GoesWithAReportAsOneCompound() {
  uint8_t bytes[kRtcpBytesMax];
  const SenderInfo sender{1, 2, 3, 4};
  ReceptionReport report;
  report.ssrc = kOurs;
  report.fraction_lost = 25;
  size_t length = WriteReport(kPeers, &sender, &report, "hushtone", bytes);
  const VoipMetrics metrics = Metrics();
  XrToSend blocks;
  blocks.metrics = &metrics;
  length += WriteXr(kPeers, blocks, bytes + length);
  RtcpSeen seen;
  CHECK(ParseRtcp(std::span(bytes, length), kOurs, &seen));
  CHECK(seen.has_report_on_us && seen.report.fraction_lost == 25 && seen.xr.has_metrics && seen.xr.metrics.r_factor == 77);
  for (size_t cut = length - 44 + 1; cut < length; ++cut) {
    const std::vector<uint8_t> part(bytes, bytes + cut);   // Its own memory, so that reading past it is seen.
    CHECK(!ParseRtcp(part, kOurs, &seen) && !seen.xr.has_metrics && !seen.has_report_on_us);
  }
}

struct Row {
  const char* name;
  std::vector<uint8_t> bytes;
  bool parses;
  bool has_metrics, has_reference, has_answer;
};

std::vector<uint8_t> With(std::vector<uint8_t> blocks, uint8_t first = 0x80) {
  std::vector<uint8_t> bytes = {first, 207, 0, 0, 0xa1, 0xb2, 0xc3, 0xd4};
  bytes.insert(bytes.end(), blocks.begin(), blocks.end());
  WriteU16(&bytes[2], static_cast<uint16_t>(bytes.size() / 4 - 1));
  return bytes;
}

std::vector<uint8_t> Join(std::initializer_list<std::vector<uint8_t>> parts) {
  std::vector<uint8_t> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

const std::vector<uint8_t> kReference = {4, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
const std::vector<uint8_t> kTwoAnswers = {5, 0, 0, 6, 9, 9, 9, 9, 1, 1, 1, 1, 2, 2, 2, 2, 0x11, 0x22, 0x33, 0x44, 3, 3, 3, 3, 4, 4, 4, 4};
const std::vector<uint8_t> kSummary = {6, 0xe0, 0, 1, 0, 0, 0, 0};     // §4.6, too short: nobody asked for it.

const Row kRows[] = {
    {"no block at all", With({}), true, false, false, false},
    {"an unknown type before a known one", With(Join({{250, 0, 0, 1, 1, 2, 3, 4}, kReference})), true, false, true, false},
    {"a block of its head alone", With(Join({{1, 0, 0, 0}, kReference})), true, false, true, false},
    {"types we do not use", With(Join({kSummary, kTwoAnswers})), true, false, false, true},
    {"the answer to us behind another's", With(kTwoAnswers), true, false, false, true},
    {"an answer without a sub-block", With({5, 0, 0, 0}), true, false, false, false},
    {"an answer of a sub-block and a half", With({5, 0, 0, 1, 0x11, 0x22, 0x33, 0x44}), true, false, false, false},
    {"a reference time of one word", With({4, 0, 0, 1, 1, 2, 3, 4}), true, false, false, false},
    {"metrics of two words", With({7, 0, 0, 1, 0x11, 0x22, 0x33, 0x44}), true, false, false, false},
    {"a block longer than the packet", With({4, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8}), false, false, false, false},
    {"a block as long as can be said", With({250, 0, 0xff, 0xff}), false, false, false, false},
    {"padding behind the blocks", With(Join({kReference, {0, 0, 0, 4}}), 0xa0), true, false, true, false},
    {"padding of no length", With(Join({kReference, {0, 0, 0, 0}}), 0xa0), false, false, false, false},
    {"padding that is no multiple of four", With(Join({kReference, {0, 0, 0, 3}}), 0xa0), false, false, false, false},
    {"more padding than packet", With(Join({kReference, {0, 0, 0, 20}}), 0xa0), false, false, false, false},
    {"no room for the sender", {0x80, 207, 0, 0}, false, false, false, false},
};

void PassesOverWhatItDoesNotKnow() {
  for (const Row& row : kRows) {
    RtcpSeen seen;
    const bool parsed = ParseRtcp(row.bytes, kOurs, &seen);
    const bool holds = parsed == row.parses && seen.xr.has_metrics == row.has_metrics && seen.xr.has_reference == row.has_reference &&
                       seen.xr.has_answer == row.has_answer;
    CHECK(holds);
    if (!holds) std::fprintf(stderr, "  in row '%s'\n", row.name);
  }
}

}  // namespace

int main() {
  WritesEveryFieldInItsPlace();
  ReadsWhatItWrote();
  GoesWithAReportAsOneCompound();
  PassesOverWhatItDoesNotKnow();
  return test::Finish();
}
