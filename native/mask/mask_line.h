// The caller's line towards whoever stays on it while a card is keyed: one 20 ms frame in, one out. Armed, it is
// kMaskDelayMs late, and whatever may be a key (candidate.h) is replaced before it comes out.
//
//   state      input              next       delay
//   ---------  -----------------  ---------  ------------------------------------------------------
//   open       Arm                arming     0
//   arming     frame              arming     grows: a pitch period is heard once more every other frame
//   arming     frame, delay full  armed      kMaskDelaySamples
//   armed      Disarm             disarming  kMaskDelaySamples
//   disarming  frame              disarming  shrinks: a pitch period is left out every other frame
//   disarming  frame, delay none  open       0
//   arming     Disarm             disarming  as it is
//   disarming  Arm                arming     as it is
//
// A period is put in or left out where the audio is most like itself, and cross-faded: nothing clicks, no word is heard
// twice or lost. Candidates are masked in every state but `open`, as far as the delay reaches; a capture begins when
// the line is armed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "mask/candidate.h"
#include "mask/tone_bank.h"

namespace hushtone {

enum class MaskFill : uint8_t { kSilence = 0, kTone = 1, kNoise = 2 };
enum class MaskState : uint8_t { kOpen = 0, kArming = 1, kArmed = 2, kDisarming = 3 };

constexpr size_t kMaskFrameSamples = kBankFrameSamples;
constexpr size_t kMaskDelaySamples = 480;
constexpr uint32_t kMaskDelayMs = kMaskDelaySamples / 8;
// Arming and disarming take at most this long: kMaskDelaySamples in steps of at least kSpliceSamplesMin every other frame.
constexpr size_t kSpliceSamplesMin = 40;
constexpr uint32_t kMaskArmMsMax = kMaskDelaySamples / kSpliceSamplesMin * 2 * 20;

struct MaskCounters {
  uint64_t frames = 0;           // While armed.
  uint64_t frames_masked = 0;    // Of which at least one sample was replaced.
  uint64_t stretches = 0;        // Masked in one piece.
  uint32_t longest_ms = 0;
};

class MaskLine {
 public:
  MaskLine() { Reset(MaskFill::kNoise); }
  // Forgets all that was said; open.
  void Reset(MaskFill fill);
  void Arm() { state_ = delay_ == kMaskDelaySamples ? MaskState::kArmed : MaskState::kArming; }
  void Disarm() { state_ = delay_ == 0 ? MaskState::kOpen : MaskState::kDisarming; }
  // Armed at once, over silence: for a line that nobody has heard yet.
  void ArmSilent();
  // The next frame must not be heard, whatever is in it.
  void Hush() { marked_until_ = marked_until_ > written_ + kMaskFrameSamples ? marked_until_ : written_ + kMaskFrameSamples; }
  // What was marked and is still inside becomes silence: a tone is a digit too.
  void WipeMarked();
  // `in` and `out` may be the same.
  void Process(const int16_t* in, int16_t* out);

  MaskState state() const { return state_; }
  MaskFill fill() const { return fill_; }
  size_t delay_samples() const { return delay_; }
  const MaskCounters& counters() const { return counters_; }

 private:
  static constexpr size_t kRingSamples = kMaskDelaySamples + kMaskFrameSamples;   // Whole frames, whole words.
  static constexpr size_t kSpliceSamplesMax = 120;              // 15 ms: a voice of 67 Hz.
  static constexpr size_t kSpliceTemplate = 80;
  static constexpr size_t kSpliceFade = 40;
  static constexpr int32_t kRampSamples = 40;                   // 5 ms.

  static_assert(kReachSamples + kRampSamples <= static_cast<int32_t>(kMaskDelaySamples));
  static_assert(kRingSamples % kMaskFrameSamples == 0 && kRingSamples % 64 == 0);
  // What is read never lies further back than the full delay, and a splice leads to no more than that.
  static_assert(kReachSamples + static_cast<int32_t>(kMaskFrameSamples) <= static_cast<int32_t>(kRingSamples));

  int16_t At(uint64_t sample) const { return ring_[sample % kRingSamples]; }
  bool IsMarked(uint64_t sample) const { return (marks_[sample % kRingSamples / 64] >> (sample % 64) & 1) != 0; }
  void Write(const int16_t* in);
  void SetMarks(uint64_t from, uint64_t to, bool marked);
  void Mark(uint64_t from, uint64_t to);
  size_t BestSplice(uint64_t at, bool back) const;
  bool IsClear(uint64_t at) const;
  uint32_t Mix(uint64_t from, uint64_t to, int16_t* frame);
  int32_t Replacement();
  void HearBackground(const int16_t* frame);
  void Count(uint32_t masked_samples, bool masked_at_end);

  MaskState state_;
  MaskFill fill_;
  std::array<int16_t, kRingSamples> ring_;
  std::array<uint64_t, kRingSamples / 64> marks_;               // One bit a sample: must not be heard.
  uint64_t written_;
  uint64_t marked_until_;                                       // Samples still to come are marked up to here.
  uint64_t closed_until_;                                       // Nothing of the caller's is let out before this one.
  size_t delay_;
  uint32_t frames_to_splice_;
  int32_t gain_;                                                // How much of the caller is heard, of kRampSamples.
  ToneBank bank_;
  CandidateFinder finder_;

  // What replaces.
  uint32_t random_;
  float noise_;
  float noise_rms_;
  std::array<float, 2> quietest_;                               // Mean square of a frame, this half second and the one before.
  uint32_t background_frames_;
  uint32_t unsaid_frames_;                                      // Of what comes out next: nobody said them.
  uint32_t tone_at_;

  MaskCounters counters_;
  uint32_t stretch_samples_;                                    // Masked in one piece, so far.
};

}  // namespace hushtone
