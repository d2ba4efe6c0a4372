// What a leg hears, by its numbers: loss, jitter, duplicates, restarts, and the E-model's judgement. Every expected figure is
// worked out by hand in its row or comment.
#include "leg/reception.h"

#include <cmath>
#include <vector>

#include "check.h"
#include "leg/voice_quality.h"

using namespace hushtone;

namespace {

constexpr uint32_t kClock = 8000;
constexpr uint32_t kSsrc = 77;

struct Stand {
  Reception reception;
  LegCounters counters;
  uint64_t now_us = 1'000'000'000;

  // The packet `number`, 20 ms each, `late_us` behind its time.
  Reception::Arrival Hear(uint32_t number, uint64_t late_us = 0, uint32_t ssrc = kSsrc) {
    RtpPacket packet;
    packet.ssrc = ssrc;
    packet.sequence_number = static_cast<uint16_t>(number);
    packet.timestamp = number * 160;
    return reception.OnPacket(packet, true, kClock, now_us + uint64_t{number} * 20000 + late_us, counters);
  }
};

struct Row {
  const char* name;
  std::vector<uint32_t> numbers;
  int64_t lost;
  uint64_t duplicates;
  uint32_t expected;
  uint32_t bursts;
};

const Row kRows[] = {
    {"one after the other", {1, 2, 3, 4}, 0, 0, 4, 0},
    {"one lost", {1, 2, 4, 5}, 1, 0, 5, 0},
    {"two lost together", {1, 2, 5, 6}, 2, 0, 6, 1},
    {"two packets in the wrong order", {1, 3, 2, 4}, 0, 0, 4, 0},
    {"one twice at once", {1, 2, 2, 3}, 0, 1, 3, 0},
    {"one twice, and another between", {1, 2, 3, 2, 4}, 0, 1, 4, 0},
    {"one twice makes up for none that is lost", {1, 2, 2, 4}, 1, 1, 4, 0},
    {"the number wraps", {65534, 65535, 65536, 65538}, 1, 0, 5, 0},
    {"eighty lost: more than are waited for", {1, 82}, 80, 0, 82, 1},
    {"ninety lost, and one of them comes after all", {1, 92, 3}, 89, 0, 92, 1},
    {"the peer begins again", {1, 3, 40000, 40001, 40002}, 1, 0, 2, 0},
    {"one stray number", {1, 2, 40000, 3, 4}, 0, 0, 4, 0},
};

void CountsWhatIsMissing() {
  for (const Row& row : kRows) {
    Stand stand;
    for (const uint32_t number : row.numbers) (void)stand.Hear(number);
    const BurstGap::Figures figures = stand.reception.Measure();
    const bool holds = stand.counters.packets_lost == row.lost && stand.counters.packets_duplicate == row.duplicates &&
                       figures.expected == row.expected && figures.bursts == row.bursts;
    CHECK(holds);
    if (!holds) {
      std::fprintf(stderr, "  in row '%s': lost %lld, duplicates %llu, expected %u, bursts %u\n", row.name,
                   static_cast<long long>(stand.counters.packets_lost), static_cast<unsigned long long>(stand.counters.packets_duplicate),
                   figures.expected, figures.bursts);
    }
  }
}

// A packet of which 64 others are later is missing for good; until then it may come.
void TellsOfAPacketOnceNoneIsWaitedFor() {
  Stand stand;
  for (uint32_t number = 1; number <= 200; ++number) {
    if (number % 50 != 10) (void)stand.Hear(number);
    if (number == 60) (void)stand.Hear(10);                      // 50 behind.
  }
  const BurstGap::Figures figures = stand.reception.Measure();
  CHECK(figures.expected == 200 && figures.lost == 3 && figures.bursts == 0);
  stand.reception.Discard(200);
  stand.reception.Discard(100);                                  // Long told: it stays received.
  CHECK(stand.reception.Measure().discarded == 1 && stand.reception.Measure().lost == 3);
}

// RFC 3550 A.8: J += (|D| - J) / 16. Each second packet 5 ms late: |D| is 40 units each time, so J nears 40 units, 5 ms.
void MeasuresJitter() {
  Stand stand;
  (void)stand.Hear(0);
  (void)stand.Hear(1, 5000);
  CHECK(stand.counters.jitter_us == 40 * 125 / 16);              // 40 / 16 units of 125 us.
  for (uint32_t number = 2; number < 400; ++number) (void)stand.Hear(number, number % 2 * 5000);
  CHECK(std::abs(static_cast<int>(stand.counters.jitter_us) - 5000) < 100);
  CHECK(stand.reception.TakeReport().jitter_ts >= 39 && stand.reception.packet_ts() == 160);
}

// RFC 3551 §4.1: two packets in a row are 20 ms apart; behind a silence, which a marker ends, the step says nothing of them.
void KnowsHowLongAPacketIs() {
  Stand stand;
  for (uint32_t number = 1; number <= 3; ++number) {
    RtpPacket packet;
    packet.ssrc = kSsrc;
    packet.sequence_number = static_cast<uint16_t>(number);
    packet.timestamp = number * 160 + (number == 3 ? 1000 : 0);
    packet.marker = number == 3;
    (void)stand.reception.OnPacket(packet, true, kClock, stand.now_us + uint64_t{number} * 20000, stand.counters);
  }
  CHECK(stand.reception.packet_ts() == 160);
}

void AClockBegunAnewIsNoJitter() {
  Stand stand;
  for (uint32_t number = 0; number < 50; ++number) (void)stand.Hear(number);
  for (uint32_t number = 50; number < 52; ++number) {
    RtpPacket packet;
    packet.ssrc = kSsrc;
    packet.sequence_number = static_cast<uint16_t>(number);
    packet.timestamp = 4'000'000'000U + number * 160;
    (void)stand.reception.OnPacket(packet, true, kClock, stand.now_us + uint64_t{number} * 20000, stand.counters);
  }
  CHECK(stand.counters.jitter_us == 0 && stand.reception.packet_ts() == 160);
}

// RFC 3550 §6.4.1: a report's fraction is since the last one, its count since the beginning, and duplicates are in it.
void ReportsSinceTheLastReport() {
  Stand stand;
  for (uint32_t number = 1; number <= 100; ++number) {
    if (number % 10 != 5) (void)stand.Hear(number);
  }
  ReceptionReport report = stand.reception.TakeReport();
  CHECK(report.ssrc == kSsrc && report.highest_sequence == 100);
  CHECK(report.packets_lost == 10 && report.fraction_lost == 25);   // 256 * 10 / 100.
  (void)stand.Hear(101);
  (void)stand.Hear(101);
  report = stand.reception.TakeReport();
  CHECK(report.packets_lost == 9 && report.fraction_lost == 0);
  CHECK(stand.counters.packets_lost == 10);
  // Another source counts from its own beginning; what was lost before stays lost.
  CHECK(stand.Hear(5000, 0, 78) == Reception::Arrival::kNewSource);
  CHECK(stand.Hear(5002, 0, 78) == Reception::Arrival::kCounted);
  CHECK(stand.counters.packets_lost == 11 && stand.reception.TakeReport().packets_lost == 1);
}

struct QualityRow {
  uint32_t lost, expected, runs, one_way_ms;
  uint8_t r_factor, mos_lq, mos_cq;
};

// By hand, G.107: R = 93.2 - Idd - Ie,eff; MOS = 1 + 0.035 R + R (R - 60) (100 - R) 7e-6.
const QualityRow kQuality[] = {
    {0, 1000, 0, 50, 93, 44, 44},        // 4.409.
    {10, 1000, 10, 50, 90, 43, 43},      // Ie,eff 95 * 1 / 26.1 = 3.64; R 89.56, 4.33.
    {50, 1000, 50, 50, 77, 39, 39},      // 95 * 5 / 30.1 = 15.78; R 77.42, 3.92.
    {50, 1000, 5, 50, 75, 38, 38},       // BurstR 10 * 0.95 = 9.5: 95 * 5 / (0.526 + 25.1) = 18.54; R 74.66, 3.81.
    {0, 1000, 0, 200, 90, 44, 43},       // Idd 25 (2^(1/6) - 3 * 1.000228 + 2) = 3.04; R 90.16, 4.34.
    {0, 1000, 0, 400, 69, 44, 36},       // Idd 24.07; R 69.13, 3.56.
    {1000, 1000, 1, 5000, 0, 12, 10},    // 95 * 100 / 125.1 = 75.94; listening R 17.26: 1 + 0.604 - 0.427 = 1.18.
};

void RatesByTheEModel() {
  for (const QualityRow& row : kQuality) {
    BurstGap::Figures heard;
    heard.lost = row.lost;
    heard.expected = row.expected;
    heard.runs = row.runs;
    const VoiceQuality quality = EstimateQuality(Codec::kPcmu, heard, row.one_way_ms);
    CHECK(quality.r_factor == row.r_factor);
    CHECK(quality.mos_lq == row.mos_lq && quality.mos_cq == row.mos_cq);
    if (quality.r_factor != row.r_factor || quality.mos_lq != row.mos_lq || quality.mos_cq != row.mos_cq) {
      std::fprintf(stderr, "  lost %u of %u, %u ms: R %d, MOS-LQ %d, MOS-CQ %d\n", row.lost, row.expected, row.one_way_ms, quality.r_factor,
                   quality.mos_lq, quality.mos_cq);
    }
  }
  BurstGap::Figures heard;
  heard.expected = 1000;
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    const VoiceQuality quality = EstimateQuality(codec, heard, 50);
    CHECK(quality.r_factor == kNotMeasured && quality.mos_lq == kNotMeasured && quality.mos_cq == kNotMeasured);
  }
  CHECK(EstimateQuality(Codec::kPcma, {}, 0).r_factor == kNotMeasured);
}

void PublishesWhereThePeerIs() {
  PublishedEndpoint published;
  CHECK(!published.Get().IsKnown());
  const Endpoint four{4, 4000, {127, 0, 0, 1}};
  const Endpoint six{6, 65535, {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  for (int i = 0; i < 300; ++i) {                              // The count of changes wraps.
    published.Set(i % 2 == 0 ? four : six);
    CHECK(published.Get() == (i % 2 == 0 ? four : six));
  }
  published.Set(Endpoint{});
  CHECK(!published.Get().IsKnown());
}

}  // namespace

int main() {
  CountsWhatIsMissing();
  TellsOfAPacketOnceNoneIsWaitedFor();
  MeasuresJitter();
  KnowsHowLongAPacketIs();
  AClockBegunAnewIsNoJitter();
  ReportsSinceTheLastReport();
  RatesByTheEModel();
  PublishesWhereThePeerIs();
  return test::Finish();
}
