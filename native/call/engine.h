// The media engine of one worker: legs, calls, prompts, key presses. A library without Node: addon/ is a thin face of it.
//
// Threads. Functions below are called on the control thread (JavaScript's). They validate, do what may block (bind a
// port), and pass a command through a bounded ring to the media thread, which owns all state and is the only one that
// touches a packet. Answers and events come back through a bounded ring in the order in which they happened; Drain
// copies them out. A full ring is counted and reported, never waited for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "audio/codec.h"
#include "audio/player.h"
#include "call/mask_pool.h"
#include "leg/dtmf_merger.h"
#include "leg/key_sender.h"
#include "leg/leg_counters.h"
#include "srtp/srtp.h"
#include "vault/vault.h"

namespace hushtone {

constexpr size_t kLegsMax = 4096;
constexpr size_t kCallsMax = 2048;
// A row of the matrix is one word. A payment call has a caller, an agent, one or two who listen, a recorder and a
// transcriber; consultations and outside parties come on top. A meeting of more than this is not what we are for.
constexpr size_t kLegsPerCallMax = 32;
constexpr size_t kRecordingsMax = 8192;
constexpr uint32_t kTickMs = 20;
constexpr uint64_t kTickLateUs = 5000;     // A packet this late has left the phase of its stream by a whole step.

using LegHandle = uint32_t;               // index | generation << 16; 0 is none.

struct MediaConfig {
  std::string remote_address;             // Empty: not known yet; nothing is sent, the source is learned.
  uint16_t remote_port = 0;
  Codec codec = Codec::kPcmu;
  uint8_t send_payload_type = 0;
  uint8_t receive_payload_type = 0;
  int16_t send_event_payload_type = -1;   // -1: not agreed.
  int16_t receive_event_payload_type = -1;
  uint32_t event_clock_rate = 8000;
  int16_t send_red_payload_type = -1;     // RFC 2198, for events; -1: not agreed.
  int16_t receive_red_payload_type = -1;
  bool send_noise = false;                // RFC 3389 was agreed.
  uint8_t ptime_ms = 20;
  bool send = true;
  bool receive = true;
  DtmfMode dtmf = DtmfMode::kAuto;
  bool secure = false;                    // With keys, or while they are still to come: nothing passes in clear.
  SrtpKey send_key;                       // As before: its indexes go on. Another: a new SSRC of ours.
  SrtpKey receive_key;
  uint32_t receive_roc_max = 0;           // srtp.h: SrtpReceiver
  bool send_voip_metrics = false;         // RFC 3611 §4.7: the peer asked for them.
  bool send_reference_time = false;       // RFC 3611 §4.4: the peer answers it.
};

struct LegOpen {
  uint32_t call = 0;                      // Any number that control chose; legs with the same number can be routed.
  std::string local_address;
  uint16_t local_port = 0;                // 0: the next free even port of the range.
  MediaConfig media;
  bool blocked = false;                   // Said for the record: a leg is heard by nobody until SetRoutes.
};

enum class EngineFault : uint8_t { kNone = 0, kNoPort, kNoLeg, kNoCall, kNoPayment, kVaultFull, kRingFull, kLimit, kBadArgument,
                                  kNoEvents };

// Fixed-size record on the event ring; the offsets stand again in src/worker/contract.ts, and a test compares them.
enum class EventKind : uint16_t {
  kAnswer = 1,        // request = the command's id, code = EngineFault.
  kFieldKey = 2,      // code = Key, field = FieldKind or 0, facts.
  kFieldEnded = 3,    // code = FieldEnd, field, facts.
  kFieldClosed = 4,   // Answer to CloseField: request, field, facts.
  kOpenKey = 5,       // code = event code 0-11: an open collection's key.
  kPlayEnded = 6,     // request = play id, code: 0 finished, 1 barged in, 2 stopped.
  kLegSilent = 7,     // value_ms without a packet from the peer.
  kSourceLearned = 8,
  kRelayedKey = 9,    // A key passed on to another leg outside a payment; counted, no value.
  kMaskChanged = 10,  // code = MaskChange, field = ProofResult that failed it; value_ms: added delay, or longest stretch masked.
  kKeysSent = 11,     // request = of the SendKeys that is done.
};

struct EngineEvent {
  uint16_t kind = 0;
  uint8_t code = 0;
  uint8_t field = 0;
  uint32_t leg = 0;
  uint32_t request = 0;
  uint32_t value_ms = 0;
  FieldFacts facts;
};
static_assert(sizeof(FieldFacts) == 16);
static_assert(sizeof(EngineEvent) == 32);

struct LegStats {
  uint64_t packets_received = 0, packets_sent = 0, packets_lost = 0, packets_late = 0, packets_duplicate = 0;
  uint64_t packets_from_elsewhere = 0, packets_malformed = 0, frames_concealed = 0;
  uint64_t packets_unauthentic = 0, packets_replayed = 0, packets_unprotected = 0;
  uint64_t keys_by_event = 0, keys_inband = 0, keys_inband_ignored = 0;
  uint32_t jitter_us = 0, round_trip_us = 0, playout_delay_ms = 0;
  Endpoint remote;                        // Where the peer was learned to be.
  // As of our last report: what is heard, and the peer's word on what it hears. leg_counters.h has the units.
  HeardQuality heard;
  RatedQuality rated, rated_by_peer;
  LegCounters::PeerReport peer_report;
  uint32_t peer_jitter_us = 0;
  // Of the whole engine since it started: steps of the media clock that began over kTickLateUs late, and steps that a
  // longer stop of the machine left out.
  uint64_t ticks_late = 0, ticks_skipped = 0;
};

struct EngineLimits {
  uint16_t port_first = 20000;
  uint16_t port_last = 29999;
  uint32_t silence_event_ms = 30000;
  uint32_t jitter_ms_max = 200;
  uint16_t masks_max = 1024;              // Payers at once with somebody masked on the line; 4 kB each, taken at start.
};

enum class MaskChange : uint8_t { kOpen = 0, kArmed = 1, kFailed = 2 };

enum class ReadBackStyle : uint8_t { kDigits = 1, kLastFour = 2, kMonthYear = 3 };

class Engine {
 public:
  static std::unique_ptr<Engine> Create(const EngineLimits& limits, std::unique_ptr<Vault> vault, std::string* error);
  virtual ~Engine() = default;

  // Called on a thread of its own, never the media thread's, after events were put into the ring.
  virtual void SetWake(std::function<void()> wake) = 0;

  // 8 kHz, 16 bit, mono. Recordings are never freed while the engine lives: an index is valid for good.
  virtual int32_t AddRecording(std::span<const int16_t> samples) = 0;   // -1: kRecordingsMax.
  // Which recordings say digits 0-9, months 1-12, and the years 2000-2099 for read-back, per locale number.
  struct ReadBackVoice { int32_t digits[10]; int32_t months[12]; int32_t years[100]; int32_t pause; };
  virtual void SetReadBackVoice(uint32_t locale, const ReadBackVoice& voice) = 0;

  virtual EngineFault OpenLeg(const LegOpen& open, LegHandle* leg, uint16_t* local_port) = 0;
  virtual EngineFault UpdateLeg(uint32_t request, LegHandle leg, const MediaConfig& media) = 0;
  virtual EngineFault CloseLeg(uint32_t request, LegHandle leg) = 0;
  // The whole matrix of a call: pairs (from, to); everything else is blocked. `masked`: from the beginning of `from`'s
  // payment to its end through the mask, and not at all while that is not armed; an open route is silent meanwhile. What
  // changes fades in 5 ms for those whom it concerns, and is not heard by the others.
  struct Route { LegHandle from; LegHandle to; bool masked = false; };
  virtual EngineFault SetRoutes(uint32_t request, uint32_t call, std::span<const Route> routes) = 0;

  // `loops`: all of them again and again, for kLoopFramesMax at most.
  virtual EngineFault Play(uint32_t request, LegHandle leg, std::span<const int32_t> recordings, bool barge_in, bool loops) = 0;
  virtual EngineFault StopPlay(uint32_t request, LegHandle leg) = 0;

  // Masks what `leg` says to masked listeners. kMaskChanged tells when it is armed and proven, or why it is not. Keys are
  // relayed to nobody from here to kOpen.
  virtual EngineFault ArmMask(uint32_t request, LegHandle leg, const MaskOrder& order) = 0;
  // Not during a payment.
  virtual EngineFault DisarmMask(uint32_t request, LegHandle leg) = 0;

  virtual EngineFault BeginPayment(uint32_t request, LegHandle leg) = 0;
  virtual EngineFault EndPayment(uint32_t request, LegHandle leg) = 0;
  virtual EngineFault OpenField(uint32_t request, LegHandle leg, const FieldOrder& order) = 0;
  virtual EngineFault CloseField(uint32_t request, LegHandle leg) = 0;
  virtual EngineFault WipeField(uint32_t request, LegHandle leg, FieldKind field) = 0;
  virtual EngineFault OpenKeys(uint32_t request, LegHandle leg, uint16_t allowed_events, uint8_t length_max) = 0;
  virtual EngineFault CloseKeys(uint32_t request, LegHandle leg) = 0;
  // Towards the leg's peer, one after the other; kKeysSent follows. kNoEvents: its peer takes no telephone-events.
  virtual EngineFault SendKeys(uint32_t request, LegHandle leg, const KeysToSend& keys) = 0;
  virtual EngineFault ReadBack(uint32_t request, LegHandle leg, FieldKind field, ReadBackStyle style, uint32_t locale) = 0;

  // Egress: the media thread copies the payment's fields into `out` (locked memory that the egress job owns) and calls
  // `done` on the media thread, which only passes the job on to the egress thread's ring.
  virtual EngineFault CopyFields(LegHandle leg, FieldSet* out, void (*done)(void* job, bool found), void* job) = 0;

  // Copies whole events into `out`, oldest first; returns how many. `lost` counts events that a full ring dropped.
  virtual size_t Drain(std::span<EngineEvent> out, uint64_t* lost) = 0;
  // At any time, also for a leg that was closed, until its place is taken again.
  virtual EngineFault ReadStats(LegHandle leg, LegStats* out) = 0;
  virtual EngineFault SetToday(uint16_t year, uint8_t month) = 0;
  // Turns of the media thread so far, and asks for one more: a thread that lives has made it by the next time.
  virtual uint64_t Pulse() = 0;

  // Stops the media thread, closes sockets, wipes the vault. Called by the destructor too; the second call does nothing.
  virtual void Close() = 0;
};

}  // namespace hushtone
