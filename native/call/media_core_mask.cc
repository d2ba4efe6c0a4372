// Who hears a payer, and how: the mask's part of MediaCore.
//
//   mask               payment  masked listener hears         open listener hears
//   -----------------  -------  ----------------------------  -------------------
//   none or in proof   no       the leg                       the leg
//   none or in proof   yes      nothing                       nothing
//   arming, disarming  no       the leg through the line      the leg
//   arming             yes      nothing                       nothing
//   armed              any      the leg through the mask      the leg, or nothing
//
// The table itself is EarOf in media_core.h: each frame of each leg goes through it.
#include "call/media_core.h"

namespace hushtone {
namespace {

// A line's echo of a read-back, there and back over a mobile network (ITU-T G.114: 400 ms one way is the limit).
constexpr uint64_t kReadBackEchoMs = 800;
// Behind a key's last event, besides the jitter buffer: one packet, and the concealment that repeats the last of the tone.
constexpr uint64_t kEventHushMs = 120;

}  // namespace

EngineFault MediaCore::ArmMask(const Command& command, LegSlot& slot) {
  // A key that is down now was for the others; from here on nothing is.
  EndRelayedKeys(slot);
  if (slot.mask != nullptr) {
    slot.mask->order.neutral_event = command.mask.neutral_event;
    if (!slot.mask->proven) return EngineFault::kNone;
    // Armed still, or again before a frame took anything of the delay: no frame will tell.
    slot.mask->line.Arm();
    if (slot.mask->line.state() == MaskState::kArmed) EmitMask(slot, MaskChange::kArmed, ProofResult::kProven);
    return EngineFault::kNone;
  }
  slot.mask = masks_.Take(command.mask);
  return slot.mask == nullptr ? EngineFault::kLimit : EngineFault::kNone;
}

EngineFault MediaCore::DisarmMask(LegSlot& slot) {
  if (slot.payment != 0) return EngineFault::kBadArgument;
  if (slot.mask == nullptr) return EngineFault::kNone;
  if (slot.mask->proven) {
    slot.mask->line.Disarm();
    if (slot.mask->line.state() != MaskState::kOpen) return EngineFault::kNone;
  }
  EmitMask(slot, MaskChange::kOpen, ProofResult::kProven);
  GiveMaskBack(slot);
  return EngineFault::kNone;
}

void MediaCore::GiveMaskBack(LegSlot& slot) {
  if (slot.mask == nullptr) return;
  masks_.Give(slot.mask);
  slot.mask = nullptr;
}

void MediaCore::EmitMask(const LegSlot& slot, MaskChange change, ProofResult proof) {
  const uint32_t ms = change == MaskChange::kArmed ? kMaskDelayMs : slot.mask->line.counters().longest_ms;
  Emit(EventKind::kMaskChanged, &slot, static_cast<uint8_t>(change), 0, static_cast<uint8_t>(proof), nullptr, ms);
}

// One frame of a leg that has a mask. The proof is over before the leg's own audio goes in.
void MediaCore::StepMask(LegSlot& slot, const int16_t* said, uint64_t now_ms, int16_t* masked) {
  Mask& mask = *slot.mask;
  if (!mask.proven) {
    if (mask.proof == nullptr) return;   // Waits for its turn.
    const ProofResult result = prove_mask_(*mask.proof, mask.line, kProofFramesPerTurn);
    if (result == ProofResult::kRunning) return;
    masks_.EndProof(&mask);
    if (result != ProofResult::kProven) {
      EmitMask(slot, MaskChange::kFailed, result);
      GiveMaskBack(slot);
      return;
    }
    mask.proven = true;
    mask.line.Reset(mask.order.fill);
    if (slot.payment != 0) {
      mask.line.ArmSilent();   // Nobody hears the leg: there is nothing to stretch.
      EmitMask(slot, MaskChange::kArmed, result);
    } else {
      mask.line.Arm();
    }
  }
  if (slot.is_reading_back) slot.hush_until_ms = now_ms + kReadBackEchoMs;
  // A phone that sends events lets the beginning of the tone through: too little to know it by, enough for an attacker.
  const uint64_t event_ms = slot.leg->last_event_ms();
  const bool is_key_near = event_ms != 0 && now_ms < event_ms + slot.leg->playout_delay_ms() + kEventHushMs;
  if (is_key_near || now_ms < slot.hush_until_ms) mask.line.Hush();
  // What stands for a lost packet may be a tone said again, with its phase broken where the loss began.
  if (slot.leg->HeardConcealed()) mask.line.Hush();
  const MaskState before = mask.line.state();
  mask.line.Process(said, masked);
  const MaskState after = mask.line.state();
  if (after == before) return;
  if (after == MaskState::kArmed) EmitMask(slot, MaskChange::kArmed, ProofResult::kProven);
  if (after == MaskState::kOpen) {
    EmitMask(slot, MaskChange::kOpen, ProofResult::kProven);
    GiveMaskBack(slot);
  }
}

// To masked listeners: that a key was pressed, and never which.
void MediaCore::SendNeutralKey(const LegSlot& slot, const KeyHeard& key) {
  if (!key.by_event || slot.mask->order.neutral_event == kNoNeutralEvent) return;
  EachLeg(calls_[slot.call], [&](LegSlot& to) {
    if ((to.hears & to.masked & 1U << slot.place) == 0) return;
    if (key.begins && !to.leg->CanSendKeys()) return;
    PassKey(slot, to, static_cast<uint8_t>(slot.mask->order.neutral_event), key.begins);
  });
}

}  // namespace hushtone
