// All calls of one worker, without threads, sockets or a clock: packets, commands and time go in, packets and events
// come out. The media thread is its only caller. Nothing here allocates, locks or logs.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "audio/player.h"
#include "base/spsc_ring.h"
#include "call/engine.h"
#include "call/mix.h"
#include "leg/leg.h"

namespace hushtone {

constexpr uint16_t kNoIndex = 0xffff;
constexpr uint8_t kNoPlace = 0xff;
constexpr size_t kSlots = 4;                     // Calls take turns in the 20 ms: one slot each 5 ms.
constexpr uint64_t kSlotMs = kTickMs / kSlots;

// #3: under 24 kB for a two-leg call with an armed mask. What io/ keeps of a leg comes to this.
static_assert(2 * sizeof(Leg) + sizeof(Mask) <= 22'000);

// Where the core puts packets. `out` is gone after the call.
class PacketSink {
 public:
  virtual ~PacketSink() = default;
  virtual void SendRtp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) = 0;
  virtual void SendRtcp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) = 0;
  // The leg is the control thread's again.
  virtual void Closed(uint16_t leg) = 0;
  // What a leg needs no more, to be freed on the control thread.
  virtual void Retired(std::unique_ptr<CodedAudio> coded) { (void)coded; }
};

// Recordings, appended by the control thread and read by the media thread; an index below `count` is there for good.
class RecordingTable {
 public:
  RecordingTable() : items_(std::make_unique<Recording[]>(kRecordingsMax)) {}
  int32_t Add(std::unique_ptr<int16_t[]> samples, size_t count);
  Recording At(int32_t index) const;

 private:
  std::unique_ptr<Recording[]> items_;
  std::array<std::unique_ptr<int16_t[]>, kRecordingsMax> owned_;
  std::atomic<int32_t> count_{0};
};

struct Command {
  enum class Kind : uint8_t {
    kOpenLeg, kUpdateLeg, kCloseLeg, kSetRoutes, kPlay, kStopPlay, kBeginPayment, kEndPayment, kOpenField, kCloseField,
    kWipeField, kOpenKeys, kCloseKeys, kReadBack, kCopyFields, kSetVoice, kSetToday, kArmMask, kDisarmMask,
    kSendKeys,
  };
  Kind kind = Kind::kOpenLeg;
  uint32_t request = 0;
  uint16_t leg = kNoIndex;
  LegHandle handle = 0;
  uint16_t call = kNoIndex;
  Leg* opened = nullptr;
  LegMedia media;
  SrtpSender* srtp_sender = nullptr;              // kUpdateLeg: what the leg has from here on, null for plain media.
  SrtpReceiver* srtp_receiver = nullptr;
  CodedAudio* coded = nullptr;                    // kUpdateLeg: owned; null where the leg keeps what it has.
  KeysToSend keys;
  bool flag = false;                              // kPlay: barge-in. kOpenLeg: blocked.
  bool loops = false;                             // kPlay
  uint8_t count = 0;                              // Of `recordings`, or of `ears`.
  std::array<int32_t, kPlayListMax> recordings{};
  // kSetRoutes: each leg that the matrix names, and what it hears. Bit i is the leg of ears[i].
  struct Ear { uint16_t leg = kNoIndex; uint32_t hears = 0; uint32_t masked = 0; };
  std::array<Ear, kLegsPerCallMax> ears{};
  // False: more legs than a call has.
  bool AddRoute(uint16_t from, uint16_t to, bool through_mask);
  MaskOrder mask;
  FieldOrder order;
  FieldKind field = FieldKind::kNone;
  ReadBackStyle style = ReadBackStyle::kDigits;
  uint32_t locale = 0;
  uint16_t allowed_events = 0;
  uint8_t length_max = 0;
  uint16_t year = 0;
  uint8_t month = 0;
  FieldSet* fields = nullptr;
  void (*done)(void* job, bool found) = nullptr;
  void* job = nullptr;
  const Engine::ReadBackVoice* voice = nullptr;
};

// A proof is three seconds of sound; 50 µs of it in a turn of a call hold up no other.
constexpr size_t kProofFramesPerTurn = 6;
inline ProofResult ProveSomeFrames(MaskProof& proof, MaskLine& line, size_t frames) { return proof.Step(line, frames); }

class MediaCore {
 public:
  MediaCore(const EngineLimits& limits, std::unique_ptr<Vault> vault, const RecordingTable& recordings,
            SpscRing<EngineEvent>& events, ProveMask prove_mask = &ProveSomeFrames);
  ~MediaCore();

  void Execute(Command& command, PacketSink& sink);
  void OnRtp(uint16_t leg, std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us);
  void OnRtcp(uint16_t leg, std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us);
  // Once every 5 ms; `tick` counts them and is the sending clock: how late a tick comes moves no packet to the next.
  void Tick(uint64_t tick, uint64_t now_us, PacketSink& sink);
  // The clock stood still for so long, a multiple of kTickMs: the streams we send go on behind the gap.
  void Skip(uint64_t ms);
  void CloseAll(PacketSink& sink);

  uint64_t events_lost() const { return events_lost_.load(std::memory_order_relaxed); }

 private:
  struct LegSlot {
    Leg* leg = nullptr;
    LegHandle handle = 0;
    uint16_t call = kNoIndex;
    uint16_t next = kNoIndex;                     // Leg of the same call.
    uint8_t place = 0;                            // In its call: a bit of the rows below.
    uint8_t key_from = kNoPlace;                  // Whose key is being relayed to it.
    bool has_odd_ptime = false;                   // Not 20 ms: packets fall due between its call's turns.
    bool barge_in = false;
    bool is_playing = false;
    bool has_played = false;                      // `player` holds something still, if only a fade.
    bool is_reading_back = false;
    bool is_silent = false;
    bool keys_open = false;
    uint8_t keys_left = 0;
    uint16_t keys_allowed = 0;
    // Its row of the call's matrix; bit p is the leg at place p.
    uint32_t hears = 0;
    uint32_t masked = 0;                          // Of them: through the other's mask, where that pays.
    uint32_t heard = 0;                           // In its last frame.
    int32_t tail = 0;                             // Where voices broke off that its next frame has no more.
    int16_t last_open = 0;                        // The last sample that others heard of it, and those behind its mask.
    int16_t last_masked = 0;
    VaultHandle payment = 0;
    Mask* mask = nullptr;                         // Being proven, armed or on its way out.
    uint64_t hush_until_ms = 0;                   // A read-back's echo.
    uint64_t since_ms = 0;                        // Opened, or last reported silent.
    uint32_t play_request = 0;
    uint32_t keys_request = 0;                    // Of the keys being sent.
    Player player;
  };
  // Its legs are a list and the matrix stands with them: what a conference may have costs a call of two legs nothing.
  struct Call {
    uint16_t first = kNoIndex;
    uint8_t count = 0;
  };
  // One turn of a call: what its legs say now, by place.
  struct Turn {
    uint8_t count = 0;
    uint32_t open = 0;                            // Legs that say something and may be heard as they are,
    uint32_t behind_mask = 0;                     // and those whose mask lets something through.
    std::array<LegSlot*, kLegsPerCallMax> legs;
    std::array<const int16_t*, kLegsPerCallMax> said;
    struct Ear {
      uint32_t openly, through_mask;
      uint32_t fresh;                             // Not heard in the frame before.
    };
    std::array<Ear, kLegsPerCallMax> ears;
    // The voice of the first leg of `rest`, as this ear has it.
    const int16_t* Voice(const Ear& ear, uint32_t rest) const {
      const auto at = static_cast<size_t>(std::countr_zero(rest));
      return (ear.through_mask >> at & 1) != 0 ? masked[at].data() : said[at];
    }
    bool has_sum = false;
    uint32_t in_sum = 0;
    VoiceSum sum;                                 // Of all that somebody hears openly.
    std::array<VoiceFrame, kLegsPerCallMax> masked;   // Last, for its size: written where a leg has a mask, read there only.
  };

  LegSlot* Find(const Command& command);
  EngineFault Do(Command& command, LegSlot* slot, PacketSink& sink);
  EngineFault OpenLeg(const Command& command);
  void CloseLeg(uint16_t index, PacketSink& sink);
  EngineFault SetRoutes(const Command& command);
  EngineFault Play(const Command& command, LegSlot& slot);
  EngineFault OpenField(const Command& command, LegSlot& slot);
  EngineFault ReadBack(const Command& command, LegSlot& slot);
  EngineFault ArmMask(const Command& command, LegSlot& slot);
  EngineFault DisarmMask(LegSlot& slot);
  void GiveMaskBack(LegSlot& slot);
  void EmitMask(const LegSlot& slot, MaskChange change, ProofResult proof);
  void StepMask(LegSlot& slot, const int16_t* said, uint64_t now_ms, int16_t* masked);
  static bool IsMaskHeard(const LegSlot& slot) {
    if (slot.mask == nullptr || !slot.mask->proven) return false;
    return slot.payment == 0 || slot.mask->line.state() == MaskState::kArmed;
  }
  // Whom leg `slot` hears now, and how. Whatever the matrix says: from the beginning of a payment to its end nobody hears
  // the payer but through the mask.
  static Turn::Ear EarOf(const LegSlot& slot, const Turn& turn) {
    const uint32_t through_mask = slot.hears & slot.masked & turn.behind_mask;
    const uint32_t openly = slot.hears & ~through_mask & turn.open;
    return {openly, through_mask, (openly | through_mask) & ~slot.heard};
  }
  // Where what `to` heard of `from` in its last frame ended.
  static int16_t LastHeard(const LegSlot& to, const LegSlot& from) {
    return (to.masked >> from.place & 1) != 0 ? from.last_masked : from.last_open;
  }
  static void KeepLast(LegSlot& slot, const Turn& turn) {
    constexpr size_t kLast = kFrameSamples - 1;
    const uint32_t bit = 1U << slot.place;
    slot.last_open = (turn.open & bit) != 0 ? turn.said[slot.place][kLast] : int16_t{0};
    slot.last_masked = (turn.behind_mask & bit) != 0 ? turn.masked[slot.place][kLast] : slot.last_open;
  }
  void SendNeutralKey(const LegSlot& slot, const KeyHeard& key);
  static EngineFault SendKeys(const Command& command, LegSlot& slot);
  void StartPlaying(LegSlot& slot, uint32_t request, std::span<const Recording> list, bool barge_in, bool loops);
  void StopPlaying(LegSlot& slot, uint8_t code);
  void ReportSilence(LegSlot& slot, uint64_t now_ms);
  void HandleKey(LegSlot& slot, const KeyHeard& key);
  void RelayKey(const LegSlot& slot, const KeyHeard& key);
  static void PassKey(const LegSlot& from, LegSlot& to, uint8_t event, bool begins);
  void EmitKey(const LegSlot& slot, const KeyResult& result);
  void Emit(EventKind kind, const LegSlot* slot, uint8_t code, uint32_t request, uint8_t field = 0,
            const FieldFacts* facts = nullptr, uint32_t value_ms = 0);
  void ListenToAll(const Call& call, uint64_t now_ms, Turn& turn);
  void ChangeEars(Turn& turn);
  static void SumOnce(Turn& turn);
  const int16_t* Mix(LegSlot& slot, const Turn& turn, int16_t* frame);
  const int16_t* MixAll(LegSlot& slot, const Turn& turn, int16_t* frame);
  void ProcessCall(Call& call, uint64_t clock_ms, uint64_t now_us, PacketSink& sink);
  void SendDue(uint16_t index, uint64_t clock_ms, PacketSink& sink);
  void EndRelayedKeys(const LegSlot& slot);
  template <typename Visit>
  void EachLeg(const Call& call, Visit visit) {
    for (uint16_t at = call.first; at != kNoIndex; at = legs_[at].next) visit(legs_[at]);
  }

  EngineLimits limits_;
  MaskPool masks_;
  ProveMask prove_mask_;
  std::unique_ptr<Vault> vault_;
  const RecordingTable& recordings_;
  SpscRing<EngineEvent>& events_;
  std::atomic<uint64_t> events_lost_{0};
  std::unique_ptr<LegSlot[]> legs_;
  std::unique_ptr<Call[]> calls_;
  size_t calls_used_ = 0;                         // Every used call is below.
  size_t odd_legs_ = 0;
  size_t legs_used_ = 0;
  static constexpr size_t kLocalesMax = 8;
  std::array<Engine::ReadBackVoice, kLocalesMax> voices_{};
  std::array<bool, kLocalesMax> has_voice_{};
};

}  // namespace hushtone
