// In-band DTMF: which keys are heard in 8 kHz audio, each press once.
//
// How it decides. Every 5 ms (a block of 40 samples) each of the eight frequencies of ITU-T Q.23 is correlated with the
// block; four blocks make a 20 ms window. A window is a *candidate* when one row and one column stand out, hold most of
// the window's energy and are within the twist. A run of candidates of one key is a *press* when it is long enough and,
// over the whole run so far, tone to total is high, both tones kept their phase, and both frequencies, measured from
// the phase advance of window to window, are near enough. Gaps of up to 25 ms within a press are bridged.
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
//
// A press once reported is never taken back. Thresholds stand with their sources in detector.cc.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

constexpr uint32_t kDetectorSampleRate = 8000;
constexpr size_t kBlockSamples = 40;

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
  DtmfDetector();

  // Calls `report(const InbandPress&)` for each press that begins or ends in these samples. Any number of samples.
  template <typename Report>
  void Feed(std::span<const int16_t> samples, Report&& report) {
    while (!samples.empty()) {
      const size_t taken = Take(samples);
      samples = samples.subspan(taken);
      if (filled_ < kBlockSamples) return;
      filled_ = 0;
      InbandPress press[2];
      const size_t count = EndBlock(press);
      for (size_t i = 0; i < count; ++i) report(press[i]);
    }
  }

  // Ends a press that is still on, at the end of a stream. False where none is.
  bool Finish(InbandPress* press);
  // A candidate tone is on now: sooner and more readily than a press is reported. For the mask.
  bool HearsCandidate() const { return run_.hops > 0 && since_candidate_ == 0; }
  uint64_t samples_fed() const { return blocks_ * kBlockSamples + filled_; }
  void Reset();
  // Reset, but a press that is on is not reported again when its tone goes on: deaf until it was quiet for a while.
  void Forget();

 private:
  static constexpr size_t kTones = 8;
  static constexpr size_t kWindowBlocks = 4;
  using Complex = std::complex<float>;

  struct Block {
    std::array<Complex, kTones> tone;
    float energy = 0;
  };
  struct Window {
    std::array<Complex, kTones> tone;
    float energy = 0;               // Sum of squares.
    float tone_energy = 0;          // Of the row and the column, wherever near their nominal frequencies they are.
    uint8_t row = 0, column = 0;    // The strongest of each.
    bool is_candidate = false;
  };
  // What is known of the run of candidates of one key, whether reported yet or not.
  struct Run {
    uint8_t row = 0, column = 0;
    uint32_t hops = 0;              // Candidate windows.
    uint64_t first_block = 0, last_block = 0;
    Complex advance_row, advance_column;      // Sums of the phase steps from window to window.
    float step_row = 0, step_column = 0;      // Sums of their magnitudes.
    float tone_energy = 0, total_energy = 0;
    Complex last_row, last_column;
    uint64_t last_window = 0;
  };

  size_t Take(std::span<const int16_t> samples);
  size_t EndBlock(InbandPress* out);
  Window MakeWindow() const;
  float BestPower(size_t tone) const;
  void Extend(const Window& window);
  void Begin(const Window& window);
  bool Passes() const;
  InbandPress Describe(bool begins, bool ended) const;

  alignas(64) std::array<float, 2 * kTones> sums_;
  int64_t block_energy_ = 0;
  size_t filled_ = 0;
  uint64_t blocks_ = 0;
  std::array<Complex, kTones> rotation_;      // Brings each block to one phase reference.
  std::array<Block, kWindowBlocks> ring_;
  Run run_;
  bool pressed_ = false;
  uint32_t since_candidate_ = 0;              // Blocks since the last candidate of the run's key.
  uint32_t others_ = 0;                       // Candidates of another key in a row.
  Window other_;
  bool deaf_ = false;                         // Until the tone that was on when we forgot has ended.
  uint32_t quiet_blocks_ = 0;
};

}  // namespace hushtone
