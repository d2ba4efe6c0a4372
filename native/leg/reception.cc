#include "leg/reception.h"

#include <algorithm>

namespace hushtone {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint32_t kPacketMsMax = 200;            // RFC 3551 §4.2: a receiver should take packets of up to so much.

}  // namespace

void Reception::Begin(uint32_t ssrc, uint16_t sequence_number) {
  if (has_source_) lost_before_ += static_cast<uint32_t>(std::max<int64_t>(0, Lost()));
  has_source_ = true;
  ssrc_ = ssrc;
  extended_ = first_ = sequence_number;
  received_ = duplicates_ = 0;
  expected_prior_ = received_prior_ = 0;
  begins_again_at_ = kNowhere;
  // The packets before the first are told as received and are none of the stream.
  seen_ = ~uint64_t{0};
  late_ = 0;
  burst_gap_ = BurstGap(kWindow - 1);
  jitter_16th_ts_ = 0;
  has_transit_ = follows_audio_ = false;
}

void Reception::TellOldest(BurstGap& burst_gap, uint64_t seen, uint64_t late) {
  constexpr uint64_t kOldest = uint64_t{1} << (kWindow - 1);
  if ((seen & ~late & kOldest) != 0) {
    burst_gap.Receive();
  } else if ((seen & kOldest) != 0) {
    burst_gap.Discard();
  } else {
    burst_gap.Lose();
  }
}

void Reception::Shift() {
  TellOldest(burst_gap_, seen_, late_);
  seen_ <<= 1;
  late_ <<= 1;
}

void Reception::Advance(uint32_t ahead) {
  extended_ += ahead;
  for (uint32_t i = 0; i < std::min(ahead, kWindow); ++i) Shift();
  if (ahead > kWindow) burst_gap_.Lose(ahead - kWindow);
  seen_ |= 1;
}

Reception::Arrival Reception::OnPacket(const RtpPacket& packet, bool is_audio, uint32_t clock_rate, uint64_t now_us,
                                       LegCounters& counters) {
  const bool is_same = has_source_ && packet.ssrc == ssrc_;
  // Some gateways send events under an SSRC of their own. They must not restart the audio each time.
  if (has_source_ && !is_same && !is_audio) return Arrival::kOther;
  const uint32_t ahead = is_same ? static_cast<uint16_t>(packet.sequence_number - static_cast<uint16_t>(extended_)) : 0;
  if (!is_same) {
    Begin(packet.ssrc, packet.sequence_number);
  } else if (ahead == 1) {
    ++extended_;
    Shift();
    seen_ |= 1;
  } else if (const uint32_t behind = -ahead & 0xffff; behind <= kMisorderMax) {
    const uint64_t bit = behind < kWindow ? uint64_t{1} << behind : 0;
    if ((seen_ & bit) != 0) {
      ++received_;
      ++duplicates_;
      Add(counters.packets_duplicate);
      return Arrival::kDuplicate;
    }
    seen_ |= bit;
  } else if (ahead < kDropoutMax) {
    Advance(ahead);
  } else if (packet.sequence_number == begins_again_at_) {
    Begin(packet.ssrc, packet.sequence_number);
  } else {
    begins_again_at_ = (packet.sequence_number + 1U) & 0xffff;
    return Arrival::kCounted;
  }
  ++received_;
  if (ahead != 1) counters.packets_lost.store(lost_before_ + Lost(), kRelaxed);
  follows_audio_ = follows_audio_ && ahead == 1;
  // Events repeat one timestamp, so they say nothing of jitter.
  if (is_audio) CountJitter(packet, clock_rate, now_us, counters);
  follows_audio_ = is_audio;
  return is_same ? Arrival::kCounted : Arrival::kNewSource;
}

void Reception::CountJitter(const RtpPacket& packet, uint32_t clock_rate, uint64_t now_us, LegCounters& counters) {
  const uint32_t step_ts = packet.timestamp - last_ts_;
  // Behind a marker the step is a silence (RFC 3551 §4.1).
  if (follows_audio_ && !packet.marker && step_ts != 0 && step_ts <= clock_rate / 1000 * kPacketMsMax) packet_ts_ = static_cast<uint16_t>(step_ts);
  last_ts_ = packet.timestamp;

  const uint32_t transit_ts = static_cast<uint32_t>(now_us * (clock_rate / 1000) / 1000) - packet.timestamp;
  const auto change = static_cast<int32_t>(transit_ts - transit_ts_);
  const uint32_t size = change < 0 ? 0U - static_cast<uint32_t>(change) : static_cast<uint32_t>(change);
  transit_ts_ = transit_ts;
  // DEVIATION RFC 3550 A.8: a step of a second or more is a clock that began anew, and no jitter: it would be all that is
  // seen of the jitter for a minute. Test: AClockBegunAnewIsNoJitter.
  if (has_transit_ && size < clock_rate) jitter_16th_ts_ += size - ((jitter_16th_ts_ + 8) >> 4);
  has_transit_ = true;
  // Clock rates are 8 and 48 kHz; both divisions are by a constant.
  const uint64_t scaled = uint64_t{jitter_16th_ts_} * 125;
  counters.jitter_us.store(static_cast<uint32_t>(clock_rate == 8000 ? scaled / 16 : scaled * 8000 / clock_rate / 16), kRelaxed);
}

void Reception::Discard(uint16_t sequence_number) {
  const auto behind = static_cast<uint16_t>(static_cast<uint16_t>(extended_) - sequence_number);
  if (behind < kWindow) late_ |= uint64_t{1} << behind;
}

ReceptionReport Reception::TakeReport() {
  ReceptionReport report;
  const uint32_t expected = extended_ - first_ + 1;
  const uint32_t expected_now = expected - expected_prior_;
  const uint32_t received_now = received_ - received_prior_;
  expected_prior_ = expected;
  received_prior_ = received_;
  const int64_t lost_now = int64_t{expected_now} - received_now;
  report.ssrc = ssrc_;
  if (expected_now > 0 && lost_now > 0) {
    report.fraction_lost = static_cast<uint8_t>(std::min<int64_t>(255, lost_now * 256 / expected_now));
  }
  // RFC 3550 §6.4.1: what came twice counts as received, so this may be below 0.
  report.packets_lost = static_cast<int32_t>(std::clamp<int64_t>(int64_t{expected} - received_, -0x800000, 0x7fffff));
  report.highest_sequence = extended_;
  report.jitter_ts = jitter_16th_ts_ >> 4;
  return report;
}

BurstGap::Figures Reception::Measure() const {
  if (!has_source_) return {};
  BurstGap burst_gap = burst_gap_;
  for (uint32_t i = 0; i < kWindow; ++i) TellOldest(burst_gap, seen_ << i, late_ << i);
  return burst_gap.Measure();
}

}  // namespace hushtone
