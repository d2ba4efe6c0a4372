// One leg: an RTP stream from the peer and one to it. Pure: packets and time come in as arguments, packets go out into
// the caller's buffer. Thread: the media thread's, but for `counters`, which any thread may read.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "audio/codec.h"
#include "audio/coded_audio.h"
#include "audio/g711.h"
#include "audio/playout_buffer.h"
#include "base/endpoint.h"
#include "dtmf/detector.h"
#include "leg/dtmf_merger.h"
#include "leg/key_sender.h"
#include "leg/leg_counters.h"
#include "leg/reception.h"
#include "leg/reports.h"
#include "rtp/event_sender.h"
#include "rtp/packet.h"
#include "rtp/redundancy.h"
#include "rtp/telephone_event.h"
#include "srtp/srtp.h"

namespace hushtone {

constexpr size_t kPtimeMsMax = 60;
// In one frame: an end by silence, and what the detector reports. In one packet: a beginning and an end for each block.
constexpr size_t kKeysHeardMax = 2 * kRedBlocksMax;

constexpr Law LawOf(Codec codec) { return codec == Codec::kPcma ? Law::kA : Law::kMu; }
constexpr uint32_t ClockRateOf(Codec codec) { return 8000 * TimestampScale(codec); }

struct LegMedia {
  Endpoint remote;                            // Unknown: nothing is sent until the source is learned.
  Codec codec = Codec::kPcmu;
  uint8_t send_payload_type = 0;
  uint8_t receive_payload_type = 0;
  int16_t send_event_payload_type = -1;
  int16_t receive_event_payload_type = -1;
  uint32_t event_clock_rate = 8000;           // Of the event payload types; none is sent where the audio's is another.
  int16_t send_red_payload_type = -1;         // RFC 2198, for events.
  int16_t receive_red_payload_type = -1;
  bool send_noise = false;                    // RFC 3389 was agreed: what would be digital silence is announced as such.
  uint8_t ptime_ms = 20;
  bool send = true;
  bool receive = true;
  DtmfMode dtmf = DtmfMode::kAuto;
  bool secure = false;                        // Nothing plain is sent or heard, also while keys are still to come.
  bool send_voip_metrics = false;             // RFC 3611 §4.7: the peer asked for them.
  bool send_reference_time = false;           // RFC 3611 §4.4: the peer answers it, so that we learn the round trip.
};

// A key this leg heard that counts.
struct KeyHeard {
  uint8_t event = 0;
  bool begins = false;                        // False: the press that began before has ended.
  bool by_event = false;
};

class Leg {
 public:
  // `coded`: for a codec that is not G.711.
  Leg(const LegMedia& media, uint32_t ssrc, uint16_t sequence_number, uint32_t timestamp, uint32_t jitter_ms_max,
      std::unique_ptr<CodedAudio> coded = nullptr);
  ~Leg() { Wipe(); }
  Leg(const Leg&) = delete;
  Leg& operator=(const Leg&) = delete;

  // Another remote address or port: the source is learned anew. Another codec that is not G.711 brings its `coded`; what is
  // not needed any more is returned, to be freed elsewhere.
  std::unique_ptr<CodedAudio> SetMedia(const LegMedia& media, std::unique_ptr<CodedAudio> coded = nullptr);
  const LegMedia& media() const { return media_; }
  // Whatever gave the keys. The same object goes on; another one takes over, and the one before is retired. A sender brings
  // an SSRC of its own.
  void SetSrtp(SrtpSender* sender, SrtpReceiver* receiver);

  // Both open the packet in place. `keys` has room for kKeysHeardMax; returns how many there are.
  size_t OnRtp(std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us, KeyHeard* keys);
  void OnRtcp(std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us);

  // Once every 20 ms: what the peer says now. `keys` has room for kKeysHeardMax; `key_count` says how many.
  const int16_t* Listen(uint64_t now_ms, KeyHeard* keys, size_t* key_count);
  // Whether what Listen returned last holds concealed audio, or fades out of it. It may be a tone said again: a mask that
  // hides tones from others must hide this with them.
  bool HeardConcealed() const { return heard_concealed_; }
  // Whether what Listen returned last is the peer's, and not the silence before his first sound or after his last packet.
  bool IsSaying() const { return is_saying_; }
  // `now_ms` below is the sending clock: it moves with the ticks, not with how late one came.
  // Once every 20 ms: what the peer shall hear. Sends an event's packet instead while a press is being relayed.
  void Speak(const int16_t* samples, uint64_t now_ms);
  // Nothing was said for so long: the next packet carries the time that passed, and a marker.
  void Skip(uint64_t ms);
  void BeginKey(uint8_t event);
  void EndKey() { event_sender_.Release(); }
  // RFC 4733 §2.1: events share the audio's timestamps, so they are sent in the audio's clock only.
  bool CanSendKeys() const {
    return media_.send && media_.send_event_payload_type >= 0 && media_.event_clock_rate == ClockRateOf(media_.codec);
  }
  // False while others are being sent.
  bool SendKeys(const KeysToSend& keys);
  // Once, when all of them have gone out.
  bool TakeKeysSent() { return std::exchange(keys_sent_, false); }

  // Call until 0: the packets due now. `out` has room for kRtpPacketBytesMax.
  size_t NextPacket(uint64_t now_ms, uint8_t* out);
  // A report when one is due, else 0. `out` has room for kRtcpBytesMax. How the peer is heard is measured as often.
  size_t NextReport(uint64_t now_us, uint8_t* out);
  size_t Bye(uint8_t* out);

  const Endpoint& destination() const { return learned_.IsKnown() ? learned_ : media_.remote; }
  uint64_t last_packet_ms() const { return last_packet_ms_; }
  // 0: no key by event yet. What was said when it came is still on its way through the jitter buffer.
  uint64_t last_event_ms() const { return last_event_ms_; }
  uint32_t playout_delay_ms() const { return coded_ != nullptr ? coded_->delay_ms() : playout_.delay_ms(); }
  // Forgets audio and keys that were heard: tones are digits too. A press that is on is not heard a second time.
  void Wipe();

  LegCounters counters;

 private:
  bool IsFromPeer(const Endpoint& from, uint64_t now_us);
  bool CountVerdict(SrtpVerdict verdict);
  bool CanSend() const { return destination().IsKnown() && (!media_.secure || srtp_sender_ != nullptr); }
  size_t ProtectRtp(uint8_t* packet, size_t length);
  size_t ProtectRtcp(uint8_t* packet, size_t length);
  VoipMetrics MeasureQuality();
  void Learn(const Endpoint& from);
  void RestartPlayout();
  const PlayoutBuffer::Counters& Playing() const { return coded_ != nullptr ? coded_->counters() : playout_.counters(); }
  bool IsUnnegotiatedEvent(const RtpPacket& packet) const;
  size_t OnEvent(const RtpPacket& packet, uint64_t now_us, KeyHeard* keys);
  size_t OnRed(const RtpPacket& packet, uint64_t now_us, KeyHeard* keys);
  void OnAudio(const RtpPacket& packet, Reception::Arrival arrival);
  bool IsNoise(const RtpPacket& packet) const;
  template <typename Report>
  void Detect(Report&& report);
  bool HasNothingToSay(const int16_t* samples);
  size_t WriteEventPacket(RtpPacket packet, uint8_t* out);

  LegMedia media_;
  std::unique_ptr<CodedAudio> coded_;         // Null for G.711.
  Endpoint learned_;
  uint64_t learned_at_us_ = 0;
  SrtpSender* srtp_sender_ = nullptr;
  SrtpReceiver* srtp_receiver_ = nullptr;

  // From the peer.
  PlayoutBuffer playout_;
  DtmfDetector detector_;
  DtmfMerger merger_;
  KeyPressReceiver key_presses_;
  bool event_entered_ = false;                // The press that is on was reported.
  bool concealed_now_ = false;
  bool heard_concealed_ = false;
  bool is_saying_ = false;
  uint8_t event_key_ = 0;
  uint64_t last_event_ms_ = 0;
  uint8_t peer_event_type_ = 0;
  uint32_t peer_event_ssrc_ = 0;
  uint64_t last_packet_ms_ = 0;
  Reception reception_;
  Reports reports_;
  std::array<int16_t, kFrameSamples> heard_{};

  // To the peer.
  uint32_t ssrc_;
  uint16_t sequence_number_;
  uint32_t timestamp_;                        // Of the next sample spoken.
  bool marker_due_ = true;
  bool sends_keys_ = false;                   // What `key_sender_` says, here beside what each frame reads.
  bool keys_sent_ = false;
  bool noise_due_ = false;
  uint16_t silent_frames_ = 0;
  size_t pending_count_ = 0;
  uint64_t due_ms_ = 0;
  uint64_t octets_sent_ = 0;
  uint64_t sent_before_ssrc_ = 0;             // Packets under an SSRC of before.
  std::optional<EventSender::Packet> event_packet_;
  EventSender event_sender_;
  KeySender key_sender_;
  std::array<uint8_t, kPtimeMsMax * 8 + kFrameSamples * 3> pending_{};   // G.711; what else is said waits in `coded_`.
};

}  // namespace hushtone
