// Finds what may be a key in 8 kHz audio, sooner and more readily than the decoder reports one. Every 5 ms it looks at
// the windows of 20 ms that end there and says which stretch of the past must not be heard.
//
//   rule    looks at                        fires when                                                       masks
//   ------  ------------------------------  ---------------------------------------------------------------  -------------
//   steady  3 windows, 10 ms apart          row and column near a key's frequencies keep phase and level,    -37 to +45 ms
//                                           and hold much of the band and of all, or most of the band
//   pure    3 windows, 10 ms apart          a row and a column at any frequency hold nearly all of the band  -37 to +45 ms
//   single  3 windows, 10 ms apart          one tone near a key's frequency holds nearly all there is        -37 to +45 ms
//   exact   3 windows, 10 ms apart          row and column are within 0.6 % of a key's; voice over them may be     -37 to +45 ms
//                                           louder, and they may begin or end meanwhile
//   long    5 windows, 10 ms apart          as steady, for longer, so less of the band is enough             -27 to +45 ms
//   short   1 window                        row and column hold most of the band and of all                  ±35 ms
//   burst   10 ms with quiet on both sides  the energy lies in the band, at a row and a column               ±20 ms
//
// A real key's frequencies are near (ITU-T Q.24: 1.5 to 1.8 %) and its tones steady: that tells it from a voice where much
// else sounds. Where nothing else sounds nearness is not asked for: 5 % off still tells the key. What is
// masked is counted from the middle of what the rule looked at. Thresholds stand with their source in candidate.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mask/tone_bank.h"

namespace hushtone {

constexpr size_t kHopBlocks = 2;                                // 5 ms.
constexpr size_t kHopSamples = kHopBlocks * kBankBlockSamples;
constexpr size_t kHopsPerFrame = kBankBlocks / kHopBlocks;

// What must not be heard: samples older than `to` and not older than `from`, counted back from the newest. `to` may be
// negative: samples still to come.
struct Stretch {
  int32_t from = 0;
  int32_t to = 0;
};

// How far behind the beginning of the newest frame a stretch may begin: a mask that has let out nothing younger is in time.
constexpr int32_t kReachSamples = 438;

class CandidateFinder {
 public:
  CandidateFinder() { Reset(); }
  void Reset();
  // One frame of the bank. `found` has room for kHopsPerFrame. Returns how many there are.
  size_t Push(std::span<const BankBlock, kBankBlocks> blocks, Stretch* found);

 private:
  // Of the frame before: what the first window of the next one still holds.
  static constexpr size_t kBlocksKept = kBankWindowBlocks - kHopBlocks;
  static constexpr size_t kWindowsKept = 9;
  static constexpr size_t kEnergiesKept = 8;

  // One tone through several windows.
  struct Tone {
    float power = 0;                                            // Energy, all windows together.
    float off = 1;                                              // From the nearest key's frequency, as a share of it.
    float coherence = 0;                                        // 1: the phase moves on evenly.
    float spread = 0;                                           // Loudest window by quietest, in energy.
  };

  // The 20 ms that ended so many hops ago, and the energy of their last 5 ms.
  const BankWindow& Window(size_t hops_back) const {
    return windows_[newest_window_ >= hops_back ? newest_window_ - hops_back : newest_window_ + kWindowsKept - hops_back];
  }
  float Energy(size_t hops_back) const { return energies_[(hop_count_ - 1 - hops_back) % kEnergiesKept]; }
  void Sum(size_t step, size_t windows, float* sums) const;
  bool Follow(size_t tone, float energy, size_t step, size_t windows, float coherence_min, Tone* found) const;
  bool FollowStrongest(std::span<const uint8_t> tones, const float* sums, size_t step, size_t windows, float coherence_min,
                       Tone* found) const;
  bool FollowExact(size_t first, const float* sums, Tone* found) const;
  static bool IsSteadyPair(const Tone& row, const Tone& column, float band, float total);
  static bool IsExactPair(const Tone& row, const Tone& column, float band, float total);
  bool IsSteady(bool* may_be_long) const;
  bool IsLong() const;
  bool IsShort() const;
  // `ended`: behind the newest block, the ones before it in their order.
  bool IsBurst(const BankBlock* const* ended) const;

  std::array<BankBlock, kBlocksKept> blocks_;
  std::array<BankWindow, kWindowsKept> windows_;
  std::array<float, kEnergiesKept> energies_;
  uint32_t hop_count_ = 0;
  uint32_t newest_window_ = 0;
};

}  // namespace hushtone
