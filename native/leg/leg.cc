// What comes from the peer, and what the leg is. What goes to the peer is in leg_speak.cc.
#include "leg/leg.h"

namespace hushtone {
namespace {

// A press of which nothing came for so long has ended and its END packets are lost: senders update it every packet time
// or every 50 ms, and three updates in a row may be lost.
constexpr uint64_t kEventSilenceMsMax = 200;
// How long the address of the SDP may take the place of another that was faster; rtpengine learns for as long.
constexpr uint64_t kSourceDoubtUs = 3'000'000;
constexpr auto kRelaxed = std::memory_order_relaxed;

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
  if (!(coded_ != nullptr ? coded_->Take(heard_.data()) : playout_.Take(heard_.data()))) {
    is_saying_ = false;
    return heard_.data();
  }
  if (!is_saying_) is_saying_ = std::any_of(heard_.begin(), heard_.end(), [](int16_t sample) { return sample != 0; });
  const bool is_concealed = playing.concealed_frames != concealed;
  if (is_concealed) Add(counters.frames_concealed);
  heard_concealed_ = is_concealed || concealed_now_;   // FadeInSamples are fewer than a frame's.
  concealed_now_ = is_concealed;
  Detect([&](const InbandPress& press) {
    if (!press.begins) return;
    const Merge merge = merger_.OnInband(press.event, now_ms);
    Add(merge == Merge::kEnters ? counters.keys_inband : counters.keys_ignored);
    if (merge == Merge::kEnters && *key_count < kKeysHeardMax) keys[(*key_count)++] = KeyHeard{press.event, true, false};
  });
  return heard_.data();
}

// The detector hears what was sent, not what is played in its place. What did not come is neither a tone to it nor silence.
template <typename Report>
void Leg::Detect(Report&& report) {
  const uint8_t made_up = coded_ != nullptr ? coded_->made_up() : playout_.made_up();
  const bool is_altered = coded_ != nullptr ? made_up != 0 : playout_.is_altered();
  if (!is_altered) {
    detector_.Feed(heard_, report);
    return;
  }
  constexpr uint32_t kPart = PlayoutBuffer::kSentSamples;
  for (uint32_t i = 0; i < kFrameSamples / kPart; ++i) {
    int16_t sent[kPart];
    if ((made_up >> i & 1) != 0) {
      detector_.Miss(kPart, report);
    } else if (coded_ != nullptr) {
      detector_.Feed(std::span(heard_.data() + i * kPart, kPart), report);
    } else {
      playout_.ReadSent(i, sent);
      detector_.Feed(sent, report);
    }
  }
}

}  // namespace hushtone
