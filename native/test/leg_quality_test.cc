// What a leg says of its peer's stream, and hears said of its own: RFC 3550 §6.4, RFC 3611 §4.4, §4.5 and §4.7. Time is an
// argument; every figure is worked out by hand.
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "check.h"
#include "leg/leg.h"

using namespace hushtone;

namespace {

constexpr uint32_t kOurs = 1000;
constexpr uint32_t kPeers = 77;
const Endpoint kPeer{4, 40000, {127, 0, 0, 1}};
const Endpoint kElsewhere{4, 50000, {127, 0, 0, 2}};

LegMedia Media(bool metrics, bool reference) {
  LegMedia media;
  media.remote = kPeer;
  media.send_voip_metrics = metrics;
  media.send_reference_time = reference;
  return media;
}

struct Stand {
  explicit Stand(const LegMedia& media) : leg(media, kOurs, 10, 5000, 200) {}
  Leg leg;
  uint64_t now_us = 1'000'000'000;

  void Hear(uint32_t number, uint8_t payload = 0xff) {
    std::vector<uint8_t> bytes(kRtpHeaderBytes + 160, payload);
    RtpPacket packet;
    packet.ssrc = kPeers;
    packet.sequence_number = static_cast<uint16_t>(number);
    packet.timestamp = number * 160;
    WriteRtpHeader(packet, bytes.data());
    KeyHeard keys[kKeysHeardMax];
    (void)leg.OnRtp(bytes, kPeer, now_us, keys);
  }

  // 20 ms: what the peer says is heard, and silence is said.
  void Step(bool speaks = true) {
    KeyHeard keys[kKeysHeardMax];
    size_t count = 0;
    (void)leg.Listen(now_us / 1000, keys, &count);
    const int16_t silence[kFrameSamples] = {};
    uint8_t out[kRtpPacketBytesMax];
    if (speaks) {
      leg.Speak(silence, now_us / 1000);
      while (leg.NextPacket(now_us / 1000, out) > 0) {
      }
    }
    now_us += 20'000;
  }

  // The next report as the peer reads it; its length.
  size_t Report(RtcpSeen* seen) {
    uint8_t out[kRtcpBytesMax];
    for (int i = 0; i < 1000; ++i, now_us += 20'000) {
      const size_t length = leg.NextReport(now_us, out);
      if (length == 0) continue;
      CHECK(length <= kRtcpBytesMax && length % 4 == 0);
      CHECK(ParseRtcp(std::span(out, length), kPeers, seen));
      return length;
    }
    return 0;
  }

  void HearReport(std::span<uint8_t> bytes) { leg.OnRtcp(bytes, Endpoint{4, 40001, {127, 0, 0, 1}}, now_us); }
};

// 500 packets of 20 ms: 101 to 110 are lost, and 300. By hand: 11 of 500 lost, 256 * 11 / 500 = 5; a burst of ten packets, all of
// it missing, 200 ms; one of the other 490 missing, 256 / 490 = 0; two gaps of 9,800 ms together. End system 20 + 40 ms.
void SaysHowThePeerIsHeard() {
  Stand stand(Media(true, false));
  for (uint32_t number = 1; number <= 500; ++number) {
    if ((number <= 100 || number > 110) && number != 300) stand.Hear(number);
    stand.Step();
  }
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  const VoipMetrics& said = seen.xr.metrics;
  CHECK(seen.xr.has_metrics && said.ssrc == kPeers);
  CHECK(said.loss_rate == 5 && said.discard_rate == 0);
  CHECK(said.burst_density == 255 && said.burst_ms == 200);
  CHECK(said.gap_density == 0 && said.gap_ms == 4900);
  CHECK(said.gmin == 16 && said.signal_level_dbm0 == 127 && said.noise_level_dbm0 == 127 && said.echo_return_loss_db == 127);
  CHECK(said.round_trip_ms == 0 && said.end_system_delay_ms == 60);
  CHECK(said.buffer_nominal_ms == 40 && said.buffer_max_ms == 100 && said.buffer_limit_ms == 188);
  CHECK(said.receiver == 0xf4);
  // Percent missing 2.2, BurstR 5.5 * 0.978 = 5.38: Ie,eff 95 * 2.2 / (0.409 + 25.1) = 8.19; R 85.0, MOS 4.20.
  CHECK(said.r_factor == 85 && said.mos_lq == 42 && said.mos_cq == 42 && said.external_r_factor == 127);
  CHECK(seen.has_report_on_us && seen.report.packets_lost == 11);
  // The same for who asks us.
  const RatedQuality rated = stand.leg.counters.rated.Get();
  CHECK(rated.is_known == 1 && rated.r_factor == 85 && rated.loss_rate == 5 && rated.end_system_delay_ms == 60);
  const HeardQuality heard = stand.leg.counters.heard.Get();
  CHECK(heard.burst_density == 255 && heard.burst_ms == 200 && heard.gap_ms == 4900);
  CHECK(stand.leg.counters.packets_lost == 11);
}

void SaysNothingThatNobodyAskedFor() {
  Stand stand(Media(false, false));
  for (uint32_t number = 1; number <= 100; ++number) {
    stand.Hear(number);
    stand.Step();
  }
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.has_sender_report && !seen.xr.has_metrics && !seen.xr.has_reference && !seen.xr.has_answer);
  CHECK(stand.leg.counters.rated.Get().r_factor == 93);   // Measured all the same.
}

void HasNoWordOnAStreamThatNeverCame() {
  Stand stand(Media(true, true));
  for (int i = 0; i < 50; ++i) stand.Step();
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.has_sender_report && !seen.has_report_on_us && !seen.xr.has_metrics);
  CHECK(stand.leg.counters.rated.Get().is_known == 0);
}

// Every packet behind the 200th comes 100 ms late. The buffer waits 40 ms and grows by 20 at each second one: six are too late
// to be heard, discarded and not lost. Of 600 that is 256 * 6 / 600 = 2.
void TellsDiscardedFromLost() {
  Stand stand(Media(true, false));
  for (uint32_t number = 1; number <= 600; ++number) {
    if (number == 201) {
      for (int i = 0; i < 5; ++i) stand.Step();
    }
    stand.Hear(number);
    stand.Step();
  }
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  CHECK(stand.leg.counters.packets_late == 6 && stand.leg.counters.packets_lost == 0);
  CHECK(seen.xr.metrics.loss_rate == 0 && seen.xr.metrics.discard_rate == 2);
  CHECK(stand.leg.counters.playout_delay_ms == 100 && seen.xr.metrics.buffer_nominal_ms == 100);
}

// How long ago the peer's SR came stands in our next report.
void LetsAnotherLearnTheRoundTrip() {
  Stand stand(Media(false, false));
  stand.Hear(1);
  stand.Step();
  uint8_t bytes[kRtcpBytesMax];
  const SenderInfo sender{0xabcd'1234'5678'0000ULL, 160, 1, 160};
  stand.HearReport(std::span(bytes, WriteReport(kPeers, &sender, nullptr, "peer", bytes)));
  RtcpSeen seen;
  const uint64_t came_us = stand.now_us;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.report.last_sr == 0x1234'5678);
  const uint64_t waited = (stand.now_us - came_us) * 65536 / 1'000'000;
  CHECK(seen.report.delay_since_last_sr >= waited - 1 && seen.report.delay_since_last_sr <= waited + 1);
}

// He who only listens says his time; we answer it once, with how long it waited, whatever was agreed.
void AnswersAReferenceTimeOnce() {
  Stand stand(Media(false, false));
  stand.Step();
  uint8_t bytes[kRtcpBytesMax];
  size_t length = WriteReport(kPeers, nullptr, nullptr, "peer", bytes);
  const uint64_t ntp = 0xabcd'1234'5678'0000ULL;
  XrToSend blocks;
  blocks.reference_ntp = &ntp;
  length += WriteXr(kPeers, blocks, bytes + length);
  stand.HearReport(std::span(bytes, length));
  RtcpSeen seen;
  const uint64_t came_us = stand.now_us;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.xr.has_answer && seen.xr.answer.ssrc == kPeers && seen.xr.answer.last_reference == 0x1234'5678);
  const uint64_t waited = (stand.now_us - came_us) * 65536 / 1'000'000;
  CHECK(seen.xr.answer.delay >= waited - 1 && seen.xr.answer.delay <= waited + 1);
  stand.now_us += 20'000;
  CHECK(stand.Report(&seen) > 0 && !seen.xr.has_answer);
}

// We only listen: our reference time goes out, and comes back 250 ms after it had gone, of which the peer kept it 130.
void LearnsTheRoundTripWhileItOnlyListens() {
  LegMedia media = Media(true, true);
  media.send = false;
  Stand stand(media);
  for (uint32_t number = 1; number <= 50; ++number) {
    stand.Hear(number);
    stand.Step(false);
  }
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  CHECK(!seen.has_sender_report && seen.xr.has_reference && seen.xr.reference_ssrc == kOurs && seen.xr.has_metrics);
  uint8_t bytes[kRtcpBytesMax];
  size_t length = WriteReport(kPeers, nullptr, nullptr, "peer", bytes);
  const ReferenceAnswer answer{kOurs, static_cast<uint32_t>(seen.xr.reference_ntp >> 16), 130 * 65536 / 1000};
  XrToSend blocks;
  blocks.answer = &answer;
  length += WriteXr(kPeers, blocks, bytes + length);
  stand.now_us += 250'000;
  stand.HearReport(std::span(bytes, length));
  const uint32_t round_trip_us = stand.leg.counters.round_trip_us;
  CHECK(round_trip_us > 119'900 && round_trip_us < 120'100);
  // Both ends 60 ms and half of the way each time, (120 + 60 + 60) / 2 = 120 ms: R falls by 0.04 and stays 93.
  stand.now_us += 20'000;
  CHECK(stand.Report(&seen) > 0 && seen.xr.metrics.round_trip_ms >= 119 && seen.xr.metrics.r_factor == 93);
}

// What the peer says of us: a report 40 ms after our SR that it kept 30, and its metrics. One way is then (10 + 60 + 930) / 2 =
// 500 ms: Idd 25 * (2.3244 - 3 * 1.0330 + 2) = 30.64, R 62.56, MOS 3.23 in conversation.
void HearsWhatThePeerSaysOfUs() {
  Stand stand(Media(true, false));
  for (uint32_t number = 1; number <= 50; ++number) {
    stand.Hear(number);
    stand.Step();
  }
  RtcpSeen seen;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.has_sender_report);
  ReceptionReport report;
  report.ssrc = kOurs;
  report.fraction_lost = 64;
  report.packets_lost = 17;
  report.jitter_ts = 80;                                    // 10 ms.
  report.last_sr = static_cast<uint32_t>(seen.ntp >> 16);
  report.delay_since_last_sr = 30 * 65536 / 1000;
  uint8_t bytes[kRtcpBytesMax];
  size_t length = WriteReport(kPeers, nullptr, &report, "peer", bytes);
  VoipMetrics metrics;
  metrics.ssrc = kOurs;
  metrics.loss_rate = 51;
  metrics.discard_rate = 2;
  metrics.r_factor = 50;
  metrics.mos_lq = 30;
  metrics.mos_cq = 26;
  metrics.end_system_delay_ms = 930;
  XrToSend blocks;
  blocks.metrics = &metrics;
  length += WriteXr(kPeers, blocks, bytes + length);
  stand.now_us += 40'000;
  stand.HearReport(std::span(bytes, length));
  const LegCounters& counters = stand.leg.counters;
  const LegCounters::PeerReport said = counters.peer_report.Get();
  CHECK(said.is_known == 1 && said.fraction_lost == 64 && said.packets_lost == 17 && counters.peer_jitter_us == 10000);
  CHECK(counters.round_trip_us > 9'900 && counters.round_trip_us < 10'100);
  const RatedQuality rated = counters.rated_by_peer.Get();
  CHECK(rated.is_known == 1 && rated.r_factor == 50 && rated.mos_lq == 30 && rated.mos_cq == 26);
  CHECK(rated.loss_rate == 51 && rated.discard_rate == 2 && rated.end_system_delay_ms == 930);
  stand.now_us += 20'000;
  CHECK(stand.Report(&seen) > 0);
  CHECK(seen.xr.metrics.r_factor == 63 && seen.xr.metrics.mos_lq == 44 && seen.xr.metrics.mos_cq == 32);
  // From another address nothing is believed, and what is malformed is counted.
  report.packets_lost = 99;
  length = WriteReport(kPeers, nullptr, &report, "peer", bytes);
  stand.leg.OnRtcp(std::span(bytes, length), kElsewhere, stand.now_us);
  CHECK(counters.peer_report.Get().packets_lost == 17 && counters.packets_from_elsewhere == 1);
  stand.HearReport(std::span(bytes, length - 1));
  CHECK(counters.packets_malformed == 1);
}

void TellsWhereThePeerIs() {
  Stand stand(Media(false, false));
  CHECK(!stand.leg.counters.remote.Get().IsKnown());
  stand.Hear(1);
  CHECK(stand.leg.counters.remote.Get() == kPeer);
  LegMedia moved = stand.leg.media();
  moved.remote.port = 40002;
  (void)stand.leg.SetMedia(moved);
  CHECK(!stand.leg.counters.remote.Get().IsKnown());
}

}  // namespace

int main() {
  SaysHowThePeerIsHeard();
  SaysNothingThatNobodyAskedFor();
  HasNoWordOnAStreamThatNeverCame();
  TellsDiscardedFromLost();
  LetsAnotherLearnTheRoundTrip();
  AnswersAReferenceTimeOnce();
  LearnsTheRoundTripWhileItOnlyListens();
  HearsWhatThePeerSaysOfUs();
  TellsWhereThePeerIs();
  return test::Finish();
}
