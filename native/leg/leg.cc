#include "leg/leg.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr uint32_t kSampleRate = 8000;
constexpr uint64_t kBehindMsMax = 200;            // A sending clock further behind starts again.
// Comfort noise: as silence counts what is nothing for so long, and it is said again so often, so that one lost packet
// matters little and no firewall forgets us.
constexpr uint16_t kSilentFramesMin = 10;
constexpr uint16_t kNoiseEveryFrames = 50;
constexpr uint8_t kNoiseLevelDbov = 127;          // RFC 3389 §3.1: the lowest that can be said; ours is nothing at all.
// A press of which nothing came for so long has ended and its END packets are lost: senders update it every packet time
// or every 50 ms, and three updates in a row may be lost.
constexpr uint64_t kEventSilenceMsMax = 200;
// How long the address of the SDP may take the place of another that was faster; rtpengine learns for as long.
constexpr uint64_t kSourceDoubtUs = 3'000'000;
constexpr auto kRelaxed = std::memory_order_relaxed;

constexpr Law LawOf(Codec codec) { return codec == Codec::kPcma ? Law::kA : Law::kMu; }
constexpr uint32_t ClockRateOf(Codec codec) { return kSampleRate * TimestampScale(codec); }

}  // namespace

Leg::Leg(const LegMedia& media, uint32_t ssrc, uint16_t sequence_number, uint32_t timestamp, uint32_t jitter_ms_max,
         std::unique_ptr<CodedAudio> coded)
    : media_(media), coded_(std::move(coded)), playout_(jitter_ms_max), merger_(media.dtmf), ssrc_(ssrc),
      sequence_number_(sequence_number), timestamp_(timestamp) {
  key_presses_.SetClockRate(media.event_clock_rate);
  counters.playout_delay_ms.store(playout_delay_ms(), kRelaxed);
}

std::unique_ptr<CodedAudio> Leg::SetMedia(const LegMedia& media, std::unique_ptr<CodedAudio> coded) {
  if (!(media.remote == media_.remote)) Learn(Endpoint{});
  if (media.ptime_ms != media_.ptime_ms || media.codec != media_.codec) pending_count_ = 0;
  if (media.send && !media_.send) marker_due_ = true;
  if (IsG711(media.codec) != IsG711(media_.codec)) playout_.Restart();
  if (media.codec != media_.codec) marker_due_ = true;
  const bool keeps = coded == nullptr && coded_ != nullptr && coded_->codec() == media.codec;
  if (!keeps) std::swap(coded_, coded);
  media_ = media;
  merger_.SetMode(media.dtmf);
  key_presses_.SetClockRate(media.event_clock_rate);
  if (coded != nullptr) coded->Wipe();
  counters.playout_delay_ms.store(playout_delay_ms(), kRelaxed);
  return coded;
}

void Leg::SetSrtp(SrtpSender* sender, SrtpReceiver* receiver) {
  if (sender != srtp_sender_) {
    if (srtp_sender_ != nullptr) srtp_sender_->Retire();
    srtp_sender_ = sender;
    if (sender != nullptr) {
      ssrc_ = sender->ssrc();
      sequence_number_ = sender->first_sequence_number();
      marker_due_ = true;
      octets_sent_ = 0;
      sent_before_ssrc_ = counters.packets_sent.load(kRelaxed);
    }
  }
  if (receiver != srtp_receiver_) {
    if (srtp_receiver_ != nullptr) srtp_receiver_->Retire();
    srtp_receiver_ = receiver;
  }
}

void Leg::Wipe() {
  playout_.Wipe();
  if (coded_ != nullptr) coded_->Wipe();
  event_sender_.Forget();
  detector_.Forget();
  key_presses_.ForgetKey();
  event_entered_ = false;
  event_key_ = 0;
  heard_.fill(0);
  asm volatile("" : : "r"(heard_.data()) : "memory");
}

// The first source of a packet that makes sense is the peer; whoever comes later from elsewhere is not heard. The
// address in the SDP does not decide alone: behind NAT it is another. But where it sends itself soon after a stranger,
// the stranger has to go. Who has the key is the peer wherever he sends from.
bool Leg::IsFromPeer(const Endpoint& from, uint64_t now_us) {
  if (learned_ == from) return true;
  if (!learned_.IsKnown()) {
    learned_at_us_ = now_us;
  } else if (!media_.secure && (!(from == media_.remote) || now_us - learned_at_us_ > kSourceDoubtUs)) {
    return false;
  }
  Learn(from);
  return true;
}

void Leg::Learn(const Endpoint& from) {
  learned_ = from;
  counters.remote.Set(from);
}

bool Leg::CountVerdict(SrtpVerdict verdict) {
  switch (verdict) {
    case SrtpVerdict::kAuthentic:
      return true;
    case SrtpVerdict::kUnauthentic:
      Add(counters.packets_unauthentic);
      return false;
    case SrtpVerdict::kReplayed:
      Add(counters.packets_replayed);
      return false;
    case SrtpVerdict::kTooManySources:
      Add(counters.packets_from_elsewhere);
      return false;
  }
  return false;
}

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

size_t Leg::OnRtp(std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us, KeyHeard* keys) {
  if (media_.secure) {
    size_t length = 0;
    if (!CountVerdict(srtp_receiver_ == nullptr ? SrtpVerdict::kUnauthentic : srtp_receiver_->OpenRtp(bytes, now_us, &length))) {
      return 0;
    }
    bytes = bytes.first(length);
  }
  RtpPacket packet;
  if (ParseRtp(bytes, &packet) != RtpFault::kNone) {
    Add(counters.packets_malformed);
    return 0;
  }
  const bool is_audio = packet.payload_type == media_.receive_payload_type;
  const bool is_red = packet.payload_type == media_.receive_red_payload_type;
  const bool is_event = packet.payload_type == media_.receive_event_payload_type || (!is_red && IsUnnegotiatedEvent(packet));
  if (!is_event && !is_audio && !is_red && !IsNoise(packet)) {
    Add(counters.packets_unknown_type);
    return 0;
  }
  if (!IsFromPeer(from, now_us)) {
    Add(counters.packets_from_elsewhere);
    return 0;
  }
  Add(counters.packets_received);
  last_packet_ms_ = now_us / 1000;
  const Reception::Arrival arrival = reception_.OnPacket(packet, is_audio, ClockRateOf(media_.codec), now_us, counters);
  if (arrival == Reception::Arrival::kNewSource) RestartPlayout();
  if (!media_.receive) return 0;
  if (is_event) return OnEvent(packet, now_us, keys);
  if (is_red) return OnRed(packet, now_us, keys);
  OnAudio(packet, arrival);
  return 0;
}

// What comes twice and was played already is not late.
void Leg::OnAudio(const RtpPacket& packet, Reception::Arrival arrival) {
  const bool is_noise = packet.payload_type != media_.receive_payload_type;
  const uint64_t late = Playing().late;
  if (coded_ != nullptr) {
    is_noise ? coded_->PutNoise(packet.timestamp, packet.payload) : coded_->Put(packet.timestamp, packet.payload);
  } else if (is_noise) {
    playout_.PutNoise(packet.timestamp, packet.payload);
  } else {
    playout_.Put(packet.timestamp, packet.payload, LawOf(media_.codec));
  }
  if (Playing().late == late || arrival == Reception::Arrival::kDuplicate) return;
  Add(counters.packets_late);
  reception_.Discard(packet.sequence_number);
  counters.playout_delay_ms.store(playout_delay_ms(), kRelaxed);   // Late packets make it longer.
}

void Leg::RestartPlayout() {
  if (coded_ != nullptr) {
    coded_->Restart();
  } else {
    playout_.Restart();
  }
}

// Heard without having been agreed: gateways send it unasked, and its payload type is no other's.
bool Leg::IsNoise(const RtpPacket& packet) const {
  return packet.payload_type == kComfortNoisePayloadType && TimestampScale(media_.codec) == 1;
}

// RFC 2198 §3: the blocks before the last say again what earlier packets said. A press whose packets were all lost begins
// and ends here; one that is known is known by its timestamp.
size_t Leg::OnRed(const RtpPacket& packet, uint64_t now_us, KeyHeard* keys) {
  std::array<RedBlock, kRedBlocksMax> blocks;
  size_t count = 0;
  if (!ParseRed(packet.payload, &blocks, &count)) {
    Add(counters.packets_malformed);
    return 0;
  }
  size_t heard = 0;
  for (size_t i = 0; i < count; ++i) {
    RtpPacket one = packet;
    one.payload_type = blocks[i].payload_type;
    one.timestamp = packet.timestamp - blocks[i].timestamp_offset;
    one.payload = blocks[i].payload;
    if (one.payload.empty()) continue;            // Nothing yet to say again: RFC 4733 senders begin so.
    if (one.payload_type == media_.receive_event_payload_type) heard += OnEvent(one, now_us, keys + heard);
    if (one.payload_type == media_.receive_payload_type && i + 1 == count) OnAudio(one, Reception::Arrival::kCounted);
  }
  return heard;
}

// Some gateways send events without having said so. Four bytes of a dynamic type that read as a key are an event.
bool Leg::IsUnnegotiatedEvent(const RtpPacket& packet) const {
  return media_.receive_event_payload_type < 0 && packet.payload_type >= 96 &&
         packet.payload_type != media_.receive_payload_type && packet.payload.size() == kTelephoneEventBytes &&
         packet.payload[0] <= kEventKeyLast && (packet.payload[1] & 0x40) == 0;
}

size_t Leg::OnEvent(const RtpPacket& packet, uint64_t now_us, KeyHeard* keys) {
  TelephoneEvent event;
  if (!ParseTelephoneEvent(packet.payload, &event)) {
    Add(counters.packets_malformed);
    return 0;
  }
  if (packet.payload_type != peer_event_type_ || packet.ssrc != peer_event_ssrc_) {
    peer_event_type_ = packet.payload_type;
    peer_event_ssrc_ = packet.ssrc;
    key_presses_.Reset();
  }
  const bool was_on = event_entered_;
  const auto update = key_presses_.OnPacket(packet.timestamp, event);
  if (!update) return 0;
  last_event_ms_ = now_us / 1000;
  if (update->begins) {
    const Merge merge = merger_.OnEvent(update->event, now_us / 1000);
    if (merge == Merge::kIgnored) {
      Add(counters.keys_ignored);
    } else {
      Add(counters.keys_by_event);
    }
    event_entered_ = merge == Merge::kEnters && !update->ended;
    event_key_ = update->event;
    if (merge != Merge::kEnters) return 0;
    keys[0] = KeyHeard{update->event, true, true};
    if (!update->ended) return 1;
    keys[1] = KeyHeard{update->event, false, true};   // Of its packets only the last came.
    return 2;
  }
  if (update->ended && was_on) {
    event_entered_ = false;
    keys[0] = KeyHeard{update->event, false, true};
    return 1;
  }
  return 0;
}

void Leg::OnRtcp(std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us) {
  // Its port may be any (RTCP has a NAT binding of its own), its address not.
  const Endpoint& peer = destination();
  if (peer.family != from.family || peer.address != from.address) {
    Add(counters.packets_from_elsewhere);
    return;
  }
  if (media_.secure) {
    size_t length = 0;
    if (!CountVerdict(srtp_receiver_ == nullptr ? SrtpVerdict::kUnauthentic : srtp_receiver_->OpenRtcp(bytes, &length))) return;
    bytes = bytes.first(length);
  }
  if (!reports_.OnPacket(bytes, ssrc_, ClockRateOf(media_.codec), now_us, counters)) Add(counters.packets_malformed);
}

const int16_t* Leg::Listen(uint64_t now_ms, KeyHeard* keys, size_t* key_count) {
  *key_count = 0;
  if (event_entered_ && now_ms > last_event_ms_ + kEventSilenceMsMax) {
    event_entered_ = false;
    keys[(*key_count)++] = KeyHeard{event_key_, false, true};
  }
  const PlayoutBuffer::Counters& playing = Playing();
  const uint64_t concealed = playing.concealed_frames;
  if (!(coded_ != nullptr ? coded_->Take(heard_.data()) : playout_.Take(heard_.data()))) return heard_.data();
  const bool is_concealed = playing.concealed_frames != concealed;
  if (is_concealed) Add(counters.frames_concealed);
  heard_concealed_ = is_concealed || concealed_now_;   // FadeInSamples are fewer than a frame's.
  concealed_now_ = is_concealed;
  detector_.Feed(heard_, [&](const InbandPress& press) {
    if (!press.begins) return;
    const Merge merge = merger_.OnInband(press.event, now_ms);
    Add(merge == Merge::kEnters ? counters.keys_inband : counters.keys_ignored);
    if (merge == Merge::kEnters && *key_count < kKeysHeardMax) keys[(*key_count)++] = KeyHeard{press.event, true, false};
  });
  return heard_.data();
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
  timestamp_ += static_cast<uint32_t>(ms * (kSampleRate / 1000)) * TimestampScale(media_.codec);
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
