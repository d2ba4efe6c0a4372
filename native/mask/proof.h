// Proves a mask before a capture begins: the very line that will be used is fed speech-like sound and all sixteen keys, and
// what comes out is heard by the decoder and measured. A few frames at a time, so that it never holds a tick.
//
//   what is fed                     what must come out, kMaskDelayMs later
//   ------------------------------  ----------------------------------------------------------
//   200 ms of a sweep under 500 Hz  the same samples: the line speaks, and is as late as stated
//   16 keys, 60 ms each             no key for the decoder, and no tone within kResidueDbMax
//   4 of them again, 20 ms each     the same: too short for the decoder, not for an attacker
//
// The decoder also hears what is fed. Where it is deaf, its silence proves nothing.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dtmf/detector.h"
#include "mask/mask_line.h"

namespace hushtone {

enum class ProofResult : uint8_t {
  kRunning = 0,
  kProven = 1,
  kKeyHeard = 2,        // The decoder reads a key behind the mask.
  kToneLeft = 3,        // A tone is left that is louder than kResidueDbMax.
  kSpeechAltered = 4,   // What is no key does not come out as it went in.
  kDecoderDeaf = 5,     // The decoder does not read the keys before the mask.
};

constexpr float kResidueDbMax = -40;

class MaskProof {
 public:
  void Begin();
  // At most `frames` more of 20 ms. `line` is new, armed and nobody's; it has to be reset afterwards.
  ProofResult Step(MaskLine& line, size_t frames);

 private:
  ProofResult StepOne(MaskLine& line);

  DtmfDetector before_;
  DtmfDetector behind_;
  size_t frame_ = 0;
  uint32_t keys_before_ = 0;
};

}  // namespace hushtone
