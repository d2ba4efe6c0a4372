#include "leg/reports.h"

#include <algorithm>

#include "leg/voice_quality.h"

namespace hushtone {
namespace {

constexpr uint64_t kNtpUnixSeconds = 2208988800;  // RFC 3550 §4: NTP counts from 1900.
constexpr uint32_t kRoundTripMax = 0x10000 * 10;  // 10 s: what is longer is somebody else's time.
constexpr char kCname[] = {'h', 'u', 's', 'h', 't', 'o', 'n', 'e'};
constexpr auto kRelaxed = std::memory_order_relaxed;

// RFC 3611 §4.7.6. Concealment: 3 is "standard", replay or interpolation; 2 "enhanced", which Opus's own may be called. The jitter
// buffer is adaptive (3). From 30 to 100 ms of jitter it grows by three steps of 20 ms, each at two late packets in a row: some
// eight packets, 2 * J * 20 ms with J = 4.
constexpr uint8_t kBufferAdapts = 3 << 4 | 4;
constexpr uint8_t ReceiverOf(Codec codec) { return static_cast<uint8_t>((codec == Codec::kOpus ? 2 : 3) << 6 | kBufferAdapts); }

uint64_t NtpOf(uint64_t now_us) {
  const uint64_t seconds = now_us / 1000000 + kNtpUnixSeconds;
  const uint64_t fraction = ((now_us % 1000000) << 32) / 1000000;
  return seconds << 32 | fraction;
}

uint32_t MiddleOf(uint64_t ntp) { return static_cast<uint32_t>(ntp >> 16); }

// RFC 3550 §6.4.1 and RFC 3611 §4.5: now minus our time that was answered minus how long the answer waited.
void CountRoundTrip(uint32_t now, uint32_t ours, uint32_t waited, LegCounters& counters) {
  const uint32_t round_trip = now - ours - waited;
  if (ours == 0 || round_trip >= kRoundTripMax) return;
  counters.round_trip_us.store(static_cast<uint32_t>(uint64_t{round_trip} * 1000000 / 0x10000), kRelaxed);
}

uint8_t In256ths(uint64_t part, uint64_t whole) {
  return whole == 0 ? uint8_t{0} : static_cast<uint8_t>(std::min<uint64_t>(255, part * 256 / whole));
}

uint16_t MeanMs(uint64_t packets, uint32_t periods, uint32_t packet_us) {
  return periods == 0 ? uint16_t{0} : static_cast<uint16_t>(std::min<uint64_t>(0xffff, packets * packet_us / 1000 / periods));
}

RatedQuality RatedBy(const VoipMetrics& metrics) {
  return {1, metrics.r_factor, metrics.mos_lq, metrics.mos_cq, metrics.loss_rate, metrics.discard_rate, metrics.end_system_delay_ms};
}

}  // namespace

bool Reports::OnPacket(std::span<const uint8_t> bytes, uint32_t our_ssrc, uint32_t clock_rate, uint64_t now_us,
                       LegCounters& counters) {
  RtcpSeen seen;
  if (!ParseRtcp(bytes, our_ssrc, &seen)) return false;
  const uint32_t now = MiddleOf(NtpOf(now_us));
  if (seen.has_sender_report) {
    last_sr_ = MiddleOf(seen.ntp);
    sr_came_ = now;
  }
  if (seen.has_report_on_us) {
    CountRoundTrip(now, seen.report.last_sr, seen.report.delay_since_last_sr, counters);
    counters.peer_report.Set({seen.report.packets_lost, seen.report.fraction_lost, 1});
    counters.peer_jitter_us.store(static_cast<uint32_t>(uint64_t{seen.report.jitter_ts} * 1000000 / clock_rate), kRelaxed);
  }
  if (seen.xr.has_reference) {
    reference_ = MiddleOf(seen.xr.reference_ntp);
    reference_ssrc_ = seen.xr.reference_ssrc;
    reference_came_ = now;
  }
  if (seen.xr.has_answer) CountRoundTrip(now, seen.xr.answer.last_reference, seen.xr.answer.delay, counters);
  if (seen.xr.has_metrics) {
    peer_delay_ms_ = seen.xr.metrics.end_system_delay_ms;
    counters.rated_by_peer.Set(RatedBy(seen.xr.metrics));
  }
  return true;
}

// RFC 3550 §6.2: half to one and a half intervals, so that reports of many calls do not march in step.
bool Reports::IsDue(uint64_t now_us, uint32_t spread) {
  if (next_us_ == 0) next_us_ = now_us + kRtcpEveryMs * 500;
  if (now_us < next_us_) return false;
  next_us_ = now_us + kRtcpEveryMs * 500 + spread % (kRtcpEveryMs * 1000);
  return true;
}

VoipMetrics Reports::Measure(const Reception& reception, Codec codec, uint32_t clock_rate, uint32_t packet_ms_sent,
                             const Delays& delays, LegCounters& counters) const {
  VoipMetrics metrics;
  if (!reception.has_source()) return metrics;
  const BurstGap::Figures figures = reception.Measure();
  const auto packet_us = static_cast<uint32_t>(uint64_t{reception.packet_ts()} * 1000000 / clock_rate);
  metrics.ssrc = reception.ssrc();
  metrics.loss_rate = In256ths(figures.lost, figures.expected);
  metrics.discard_rate = In256ths(figures.discarded, figures.expected);
  metrics.burst_density = In256ths(figures.burst_missing, figures.burst_packets);
  metrics.gap_density = In256ths(figures.gap_missing, figures.gap_packets);
  metrics.burst_ms = MeanMs(figures.burst_packets, figures.bursts, packet_us);
  metrics.gap_ms = MeanMs(figures.gap_packets, figures.gaps, packet_us);
  const uint32_t round_trip_ms = counters.round_trip_us.load(kRelaxed) / 1000;
  metrics.round_trip_ms = static_cast<uint16_t>(round_trip_ms);
  // §4.7.3: gathering a packet's samples, and the jitter buffer. Our decoders are done within the frame.
  metrics.end_system_delay_ms = static_cast<uint16_t>(packet_ms_sent + delays.nominal_ms);
  metrics.receiver = ReceiverOf(codec);
  metrics.buffer_nominal_ms = static_cast<uint16_t>(delays.nominal_ms);
  metrics.buffer_max_ms = static_cast<uint16_t>(delays.max_ms);
  metrics.buffer_limit_ms = static_cast<uint16_t>(delays.limit_ms);
  // §4.7.3: one way is half of the round trip and both end systems. One that has said nothing is taken to be as slow as ours.
  const uint32_t peer_delay_ms = peer_delay_ms_ != 0 ? peer_delay_ms_ : metrics.end_system_delay_ms;
  const VoiceQuality quality = EstimateQuality(codec, figures, (round_trip_ms + metrics.end_system_delay_ms + peer_delay_ms) / 2);
  metrics.r_factor = quality.r_factor;
  metrics.mos_lq = quality.mos_lq;
  metrics.mos_cq = quality.mos_cq;
  counters.rated.Set(RatedBy(metrics));
  counters.heard.Set({metrics.loss_rate, metrics.discard_rate, metrics.burst_density, metrics.gap_density, metrics.burst_ms,
                      metrics.gap_ms});
  return metrics;
}

size_t Reports::Write(const Sending& sending, Reception& reception, const VoipMetrics& metrics, uint64_t now_us, uint8_t* out) {
  const uint64_t ntp = NtpOf(now_us);
  const uint32_t now = MiddleOf(ntp);
  ReceptionReport report;
  if (reception.has_source()) {
    report = reception.TakeReport();
    report.last_sr = last_sr_;
    report.delay_since_last_sr = last_sr_ == 0 ? 0 : now - sr_came_;
  }
  const bool is_sender = sending.packets > 0;
  const SenderInfo sender{ntp, sending.timestamp, sending.packets, sending.octets};
  size_t length = WriteReport(sending.ssrc, is_sender ? &sender : nullptr, reception.has_source() ? &report : nullptr, kCname, out);
  XrToSend xr;
  if (sending.metrics && reception.has_source()) xr.metrics = &metrics;
  if (sending.reference_time && !is_sender) xr.reference_ntp = &ntp;
  // Who says his time wants to know, whatever was agreed. Each is answered once.
  const ReferenceAnswer answer{reference_ssrc_, reference_, now - reference_came_};
  if (reference_ != 0) xr.answer = &answer;
  reference_ = 0;
  if (!xr.IsEmpty()) length += WriteXr(sending.ssrc, xr, out + length);
  return length;
}

}  // namespace hushtone
