// In-band DTMF: which keys are heard in 8 kHz audio, each press once.
//
// How it decides. Every 5 ms (a block of 40 samples) each of the eight frequencies of ITU-T Q.23 is correlated with the
// block; four blocks make a 20 ms window. A window is a *candidate* when one row and one column stand out, hold most of
// the window's energy (of all of it, or of what lies above the dial tones) and are within the twist. A run of candidates
// of one key is a *press* when it is long enough, both frequencies, measured from the phase advance over the press, are
// near enough, and its score is high enough: evidence.h says what is measured of the press so far, points.h what each
// measure is worth. A doubtful press waits for more windows; a clean one is reported at once. Gaps of up to 25 ms within a
// press are bridged.
//
//   state    input                                   next     report
//   -------  --------------------------------------  -------  -----------------------------
//   quiet    candidate window                        hearing  -
//   hearing  candidate of the same key, run passes   pressed  begins
//   hearing  candidate of the same key, not yet      hearing  -
//   hearing  candidate of another key                hearing  -       the run begins again
//   hearing  no candidate, longer than the bridge    quiet    -
//   pressed  candidate of the same key               pressed  -
//   pressed  candidate of another key, twice         hearing  ended
//   pressed  no candidate, longer than the bridge    quiet    ended
//   any      samples that did not come (Miss)        same     -       neither heard nor quiet
//   any      more of them than a press outlasts      quiet    ended, where it was pressed
//
// A press once reported is never taken back. Thresholds stand with their sources in detector.cc.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

#include "dtmf/correlate.h"
#include "dtmf/evidence.h"

namespace hushtone {

struct InbandPress {
  bool begins = false;
  bool ended = false;
  uint8_t event = 0;                // RFC 4733 event code, 0 to 15.
  uint64_t onset_sample = 0;        // Counted from the first sample ever fed.
  uint32_t duration_samples = 0;    // So far; final when `ended`.
  float level_dbm0 = 0;             // Both tones together, mean over the press so far.
};

class DtmfDetector {
 public:
  // Decides the same on every CPU; another than the fastest is for tests and benchmarks.
  explicit DtmfDetector(Cpu cpu = FastestCpu());

  // Calls `report(const InbandPress&)` for each press that begins or ends in these samples. Any number of samples.
  template <typename Report>
  void Feed(std::span<const int16_t> samples, Report&& report) {
    while (!samples.empty()) {
      const size_t taken = Take(samples);
      samples = samples.subspan(taken);
      if (filled_ < kBlockSamples) return;
      filled_ = 0;
      InbandPress press[2];
      const size_t count = std::exchange(is_spoilt_, false) ? EndUnheardBlock(press) : EndBlock(press);
      for (size_t i = 0; i < count; ++i) report(press[i]);
    }
  }

  // So many samples did not come: whatever is played in their place says nothing of a press, neither that it is on nor that
  // it has ended. A block is heard whole or not at all.
  template <typename Report>
  void Miss(size_t samples, Report&& report) {
    for (filled_ += samples; filled_ >= kBlockSamples; filled_ -= kBlockSamples) {
      InbandPress press[1];
      if (EndUnheardBlock(press) > 0) report(press[0]);
    }
    is_spoilt_ = filled_ > 0;
  }

  // Ends a press that is still on, at the end of a stream. False where none is.
  bool Finish(InbandPress* press);
  // A candidate tone is on now: sooner and more readily than a press is reported. For the mask.
  bool HearsCandidate() const { return run_.hops > 0 && since_candidate_ == 0; }
  uint64_t samples_fed() const { return Now() * kBlockSamples + filled_; }
  void Reset();
  // Reset, but a press that is on is not reported again when its tone goes on: deaf until it was quiet for a while.
  void Forget();

  // What the decision at the last block was made of, or null where no candidate window ended there. For the fit.
  const Run* HeardRun() const { return HearsCandidate() ? &run_ : nullptr; }
  const Spectrum& spectrum() const { return spectrum_; }

 private:
  typedef float Two __attribute__((vector_size(8)));      // Row and column.

  struct Window {
    float energy = 0;               // Sum of squares.
    float tone_energy = 0;          // Of the row and the column, wherever near their nominal frequencies they are.
    float other_row = 0, other_column = 0;      // Next strongest to strongest.
    uint8_t row = 0, column = 0;    // The strongest of each, 0 to 3.
    bool is_candidate = false;
  };

  size_t Take(std::span<const int16_t> samples);
  uint64_t Now() const { return spectrum_.blocks + spectrum_.unheard; }
  size_t EndBlock(InbandPress* out);
  size_t EndUnheardBlock(InbandPress* out);
  size_t EndRun(InbandPress* out);
  bool GoesOnBehindGap() const;
  void StayDeaf(bool is_candidate);
  Window MakeWindow() const;
  Two BestPowers(size_t row, size_t column) const;
  void Extend(const Window& window);
  void Begin(const Window& window);
  bool Passes() const;
  InbandPress Describe(bool begins, bool ended) const;

  TakeBlock take_block_;
  Spectrum spectrum_;
  std::array<int16_t, kBlockSamples> pending_{};    // Of a block that is not full.
  size_t filled_ = 0;
  Run run_;
  bool pressed_ = false;
  bool is_spoilt_ = false;                    // The pending block has samples that did not come.
  uint32_t since_candidate_ = 0;              // Blocks heard since the last candidate of the run's key.
  uint32_t unheard_ = 0;                      // Blocks of the run not heard, until it is known whether it goes on behind them.
  uint64_t gap_block_ = 0;                    // Where they were missing first, of the blocks heard.
  uint32_t others_ = 0;                       // Candidates of another key in a row.
  bool deaf_ = false;                         // Until the tone that was on when we forgot has ended.
  uint32_t quiet_blocks_ = 0;
};
static_assert(sizeof(DtmfDetector) <= 1664);  // One a leg.

}  // namespace hushtone
