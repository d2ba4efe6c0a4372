// What goes to the peer: audio at its packet time, keys, comfort noise, reports. What comes from it is in leg.cc.
#include <algorithm>
#include <cstring>

#include "leg/leg.h"

namespace hushtone {
namespace {

constexpr uint32_t kSamplesPerMs = 8;
constexpr uint64_t kBehindMsMax = 200;            // A sending clock further behind starts again.
// Comfort noise: as silence counts what is nothing for so long, and it is said again so often, so that one lost packet
// matters little and no firewall forgets us.
constexpr uint16_t kSilentFramesMin = 10;
constexpr uint16_t kNoiseEveryFrames = 50;
constexpr uint8_t kNoiseLevelDbov = 127;          // RFC 3389 §3.1: the lowest that can be said; ours is nothing at all.
constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

size_t Leg::ProtectRtp(uint8_t* packet, size_t length) {
  if (!media_.secure) return length;
  if (srtp_sender_ != nullptr && srtp_sender_->ProtectRtp(packet, &length)) return length;
  Add(counters.packets_unprotected);
  return 0;
}

size_t Leg::ProtectRtcp(uint8_t* packet, size_t length) {
  if (!media_.secure) return length;
  if (srtp_sender_ != nullptr && srtp_sender_->ProtectRtcp(packet, &length)) return length;
  Add(counters.packets_unprotected);
  return 0;
}

void Leg::BeginKey(uint8_t event) {
  constexpr uint8_t kVolume = 10;   // -10 dBm0, as phones send.
  (void)event_sender_.Begin(event, kVolume);
}

bool Leg::SendKeys(const KeysToSend& keys) {
  if (key_sender_.IsOn()) return false;
  key_sender_.Start(keys);
  sends_keys_ = true;
  return true;
}

// RFC 3389 §4: once silence was announced nothing is sent until there is something to say.
bool Leg::HasNothingToSay(const int16_t* samples) {
  if (!std::all_of(samples, samples + kFrameSamples, [](int16_t sample) { return sample == 0; })) {
    if (silent_frames_ >= kSilentFramesMin) marker_due_ = true;
    silent_frames_ = 0;
    return false;
  }
  if (++silent_frames_ < kSilentFramesMin) return false;
  noise_due_ = (silent_frames_ - kSilentFramesMin) % kNoiseEveryFrames == 0;
  if (noise_due_) silent_frames_ = kSilentFramesMin;
  return true;
}

void Leg::Speak(const int16_t* samples, uint64_t now_ms) {
  if (pending_count_ == 0 && due_ms_ == 0) due_ms_ = now_ms;
  constexpr auto kFrame = static_cast<uint32_t>(kFrameSamples);
  const uint32_t frame_ts = kFrame * TimestampScale(media_.codec);
  std::array<int16_t, kFrameSamples> tones;
  if (sends_keys_) {
    if (key_sender_.mode() == KeyMode::kEvent) {
      keys_sent_ = key_sender_.StepEvents(&event_sender_, frame_ts) || keys_sent_;
    } else {
      keys_sent_ = key_sender_.WriteTones(tones.data()) || keys_sent_;
      samples = tones.data();
    }
    sends_keys_ = key_sender_.IsOn();
  }
  event_packet_ = media_.send ? event_sender_.Next(frame_ts, timestamp_) : std::nullopt;
  if (event_packet_) {
    // RFC 4733 §2.5.1.2: events may take the place of audio. What waited for its packet time is dropped with it.
    pending_count_ = 0;
    due_ms_ = 0;
  } else if (media_.send_noise && HasNothingToSay(samples)) {
    pending_count_ = 0;
    due_ms_ = 0;
  } else if (coded_ != nullptr) {
    if (coded_->Say(samples, pending_count_)) pending_count_ += kFrameSamples;
  } else if (pending_count_ + kFrameSamples <= pending_.size()) {
    Encode(LawOf(media_.codec), std::span(samples, kFrameSamples), pending_.data() + pending_count_);
    pending_count_ += kFrameSamples;
  }
  timestamp_ += frame_ts;
}

void Leg::Skip(uint64_t ms) {
  timestamp_ += static_cast<uint32_t>(ms * kSamplesPerMs) * TimestampScale(media_.codec);
  pending_count_ = 0;
  due_ms_ = 0;
  // RFC 3551 §4.1: the first packet after a silence in which nothing was sent.
  marker_due_ = true;
}

size_t Leg::NextPacket(uint64_t now_ms, uint8_t* out) {
  if (!media_.send || !CanSend()) {
    pending_count_ = 0;
    due_ms_ = 0;
    event_packet_.reset();
    noise_due_ = false;
    return 0;
  }
  RtpPacket packet;
  packet.ssrc = ssrc_;
  if (event_packet_) return WriteEventPacket(packet, out);
  if (noise_due_) {
    noise_due_ = false;
    packet.payload_type = kComfortNoisePayloadType;
    packet.timestamp = timestamp_ - static_cast<uint32_t>(kFrameSamples);
    packet.sequence_number = sequence_number_++;
    WriteRtpHeader(packet, out);
    out[kRtpHeaderBytes] = kNoiseLevelDbov;
    Add(counters.packets_sent);
    return ProtectRtp(out, kRtpHeaderBytes + 1);
  }
  const size_t count = size_t{media_.ptime_ms} * 8;
  if (pending_count_ < count || now_ms < due_ms_) return 0;
  due_ms_ = now_ms - due_ms_ > kBehindMsMax ? now_ms + media_.ptime_ms : due_ms_ + media_.ptime_ms;
  packet.payload_type = media_.send_payload_type;
  packet.marker = marker_due_;
  marker_due_ = false;
  packet.timestamp = timestamp_ - static_cast<uint32_t>(pending_count_) * TimestampScale(media_.codec);
  size_t bytes = count;
  if (coded_ != nullptr) {
    bytes = coded_->Encode(count, pending_count_, out + kRtpHeaderBytes);
    pending_count_ -= count;
    if (bytes == 0) return 0;
  } else {
    std::memcpy(out + kRtpHeaderBytes, pending_.data(), count);
    pending_count_ -= count;
    std::memmove(pending_.data(), pending_.data() + count, pending_count_);
  }
  packet.sequence_number = sequence_number_++;
  WriteRtpHeader(packet, out);
  Add(counters.packets_sent);
  octets_sent_ += bytes;
  return ProtectRtp(out, kRtpHeaderBytes + bytes);
}

// Where redundancy was agreed, with the presses before it, as far back as 14 bits of timestamp reach.
size_t Leg::WriteEventPacket(RtpPacket packet, uint8_t* out) {
  const bool is_red = media_.send_red_payload_type >= 0;
  packet.payload_type = static_cast<uint8_t>(is_red ? media_.send_red_payload_type : media_.send_event_payload_type);
  packet.marker = event_packet_->marker;
  packet.timestamp = event_packet_->timestamp;
  packet.sequence_number = sequence_number_++;
  WriteRtpHeader(packet, out);
  std::array<uint8_t, kTelephoneEventBytes*(EventSender::kEarlierMax + 1)> events;
  std::array<RedBlock, EventSender::kEarlierMax + 1> blocks;
  size_t count = 0;
  const auto add = [&](const TelephoneEvent& event, uint32_t offset) {
    uint8_t* bytes = events.data() + count * kTelephoneEventBytes;
    WriteTelephoneEvent(event, bytes);
    blocks[count++] = {static_cast<uint8_t>(media_.send_event_payload_type), offset, std::span(bytes, kTelephoneEventBytes)};
  };
  for (size_t i = is_red ? event_sender_.earlier_count() : 0; i-- > 0;) {
    const uint32_t offset = packet.timestamp - event_sender_.earlier(i).timestamp;
    if (offset != 0 && offset <= kRedOffsetTsMax) add(event_sender_.earlier(i).event, offset);
  }
  add(event_packet_->event, 0);
  size_t bytes = kTelephoneEventBytes;
  if (is_red) {
    bytes = WriteRed(std::span(blocks.data(), count), out + kRtpHeaderBytes);
  } else {
    std::memcpy(out + kRtpHeaderBytes, events.data(), bytes);
  }
  event_packet_.reset();
  Add(counters.packets_sent);
  return ProtectRtp(out, kRtpHeaderBytes + bytes);
}

VoipMetrics Leg::MeasureQuality() {
  const Reports::Delays delays = coded_ != nullptr
                                     ? Reports::Delays{coded_->delay_ms(), coded_->delay_ms_max(), coded_->delay_ms_limit()}
                                     : Reports::Delays{playout_.delay_ms(), playout_.delay_ms_max(), playout_.delay_ms_limit()};
  return reports_.Measure(reception_, media_.codec, ClockRateOf(media_.codec), media_.ptime_ms, delays, counters);
}

size_t Leg::NextReport(uint64_t now_us, uint8_t* out) {
  if (!reports_.IsDue(now_us, ssrc_ ^ timestamp_)) return 0;
  const VoipMetrics metrics = MeasureQuality();
  if (!CanSend()) return 0;
  const auto sent = static_cast<uint32_t>(counters.packets_sent.load(kRelaxed) - sent_before_ssrc_);
  const Reports::Sending sending{ssrc_, timestamp_, sent, static_cast<uint32_t>(octets_sent_),
                                 media_.send_voip_metrics, media_.send_reference_time};
  return ProtectRtcp(out, reports_.Write(sending, reception_, metrics, now_us, out));
}

size_t Leg::Bye(uint8_t* out) {
  (void)MeasureQuality();   // The last word on it.
  return CanSend() ? ProtectRtcp(out, WriteBye(ssrc_, out)) : 0;
}

}  // namespace hushtone
