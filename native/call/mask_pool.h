// Masks of a worker, all of them made when it starts: the media thread takes one when a payer's line is armed and gives it
// back, wiped, when the line is open again. What a proof needs is there for kProofsMax at once; the next waits its turn.
//
//   taken      proof's place               waits
//   ---------  --------------------------  ------------------------------------------------
//   Take       one is free                 no
//   Take       none is                     behind those that wait already
//   EndProof   goes to the first in line   -
//   Give       as EndProof, where it had one; leaves the line where it waits
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mask/mask_line.h"
#include "mask/proof.h"

namespace hushtone {

constexpr int16_t kNoNeutralEvent = -1;
// A proof takes half a second and 50 µs of each turn: 64 of them take 3 ms of every 20, and 128 lines are armed in a second.
constexpr size_t kProofsMax = 64;

struct MaskOrder {
  MaskFill fill = MaskFill::kNoise;
  // What masked listeners get for every key that comes as an event: this one, whatever it was, or none.
  int16_t neutral_event = kNoNeutralEvent;
};

// How a proof goes on by some frames; a test may put another in.
using ProveMask = ProofResult (*)(MaskProof& proof, MaskLine& line, size_t frames);

struct Mask {
  MaskLine line;
  MaskProof* proof = nullptr;                     // Null: proven, or waiting for its turn.
  Mask* next_waiting = nullptr;
  MaskOrder order;
  bool proven = false;
};
static_assert(sizeof(Mask) <= 4608 && sizeof(MaskProof) <= 3328);   // Stated in docs/masking.md.

class MaskPool {
 public:
  explicit MaskPool(size_t masks) : masks_(std::make_unique<Mask[]>(masks)), proofs_(std::make_unique<MaskProof[]>(kProofsMax)) {
    free_.reserve(masks);
    for (size_t i = masks; i > 0; --i) free_.push_back(&masks_[i - 1]);
    for (MaskProof*& proof : free_proofs_) proof = &proofs_[free_proof_count_++];
  }

  // Null: all are in use.
  Mask* Take(const MaskOrder& order) {
    if (free_.empty()) return nullptr;
    Mask* mask = free_.back();
    free_.pop_back();
    mask->order = order;
    mask->proven = false;
    mask->line.Reset(order.fill);
    mask->line.ArmSilent();
    if (free_proof_count_ > 0) {
      BeginProof(mask, free_proofs_[--free_proof_count_]);
    } else {
      *last_waiting_ = mask;
      last_waiting_ = &mask->next_waiting;
    }
    return mask;
  }

  void EndProof(Mask* mask) {
    if (mask->proof == nullptr) return;
    MaskProof* proof = mask->proof;
    mask->proof = nullptr;
    Mask* next = first_waiting_;
    if (next == nullptr) {
      free_proofs_[free_proof_count_++] = proof;
      return;
    }
    LeaveLine(next);
    BeginProof(next, proof);
  }

  void Give(Mask* mask) {
    if (mask->proof == nullptr && !mask->proven) LeaveLine(mask);
    EndProof(mask);
    mask->line.Reset(MaskFill::kSilence);
    free_.push_back(mask);
  }

 private:
  static void BeginProof(Mask* mask, MaskProof* proof) {
    mask->proof = proof;
    proof->Begin();
  }

  // The line is never longer than the pool.
  void LeaveLine(Mask* mask) {
    Mask** at = &first_waiting_;
    while (*at != nullptr && *at != mask) at = &(*at)->next_waiting;
    if (*at == nullptr) return;
    *at = mask->next_waiting;
    mask->next_waiting = nullptr;
    if (*at == nullptr) last_waiting_ = at;
  }

  std::unique_ptr<Mask[]> masks_;
  std::vector<Mask*> free_;                       // Never longer than what was reserved.
  std::unique_ptr<MaskProof[]> proofs_;
  std::array<MaskProof*, kProofsMax> free_proofs_{};
  size_t free_proof_count_ = 0;
  Mask* first_waiting_ = nullptr;
  Mask** last_waiting_ = &first_waiting_;
};

}  // namespace hushtone
