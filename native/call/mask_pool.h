// Masks of a worker, all of them made when it starts: the media thread takes one when a payer's line is armed and gives it
// back, wiped, when the line is open again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "mask/mask_line.h"
#include "mask/proof.h"

namespace hushtone {

constexpr int16_t kNoNeutralEvent = -1;

struct MaskOrder {
  MaskFill fill = MaskFill::kNoise;
  // What masked listeners get for every key that comes as an event: this one, whatever it was, or none.
  int16_t neutral_event = kNoNeutralEvent;
};

// How a proof goes on by some frames; a test may put another in.
using ProveMask = ProofResult (*)(MaskProof& proof, MaskLine& line, size_t frames);

struct Mask {
  MaskLine line;
  MaskProof proof;
  MaskOrder order;
  bool proven = false;
};

class MaskPool {
 public:
  explicit MaskPool(size_t masks) : masks_(std::make_unique<Mask[]>(masks)) {
    free_.reserve(masks);
    for (size_t i = masks; i > 0; --i) free_.push_back(&masks_[i - 1]);
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
    mask->proof.Begin();
    return mask;
  }

  void Give(Mask* mask) {
    mask->line.Reset(MaskFill::kSilence);
    free_.push_back(mask);
  }

 private:
  std::unique_ptr<Mask[]> masks_;
  std::vector<Mask*> free_;                       // Never longer than what was reserved.
};

}  // namespace hushtone
