#include "mask/proof.h"

#include <cmath>
#include <cstring>
#include <numbers>

namespace hushtone {
namespace {

constexpr size_t kDelayFrames = kMaskDelaySamples / kMaskFrameSamples;
static_assert(kDelayFrames * kMaskFrameSamples == kMaskDelaySamples);

constexpr size_t kSweepFrames = 10;
constexpr size_t kQuietFrames = 5;             // Behind the sweep, and behind every key.
constexpr size_t kKeyFrames = 3;
constexpr size_t kKeys = 16;
constexpr size_t kShortKeys = 4;               // One of each row and column.
constexpr size_t kFirstKey = kSweepFrames + kQuietFrames;
constexpr size_t kFirstShortKey = kFirstKey + kKeys * (kKeyFrames + kQuietFrames);
constexpr size_t kFramesFed = kFirstShortKey + kShortKeys * (1 + kQuietFrames);
constexpr double kSweepPeak = 2280;            // -20 dBm0 (0 dBm0: 22,827, G.711).
constexpr double kTonePeak = 7220;             // -10 dBm0 each.
constexpr double kRate = 8000;

// Which key sounds in a frame of what is fed, or -1.
int KeyIn(size_t frame) {
  if (frame < kFirstKey || frame >= kFramesFed) return -1;
  if (frame < kFirstShortKey) {
    const size_t at = frame - kFirstKey;
    return at % (kKeyFrames + kQuietFrames) < kKeyFrames ? static_cast<int>(at / (kKeyFrames + kQuietFrames)) : -1;
  }
  const size_t at = frame - kFirstShortKey;
  return at % (1 + kQuietFrames) == 0 ? static_cast<int>(at / (1 + kQuietFrames) * 5) : -1;   // 1, 5, 9, D.
}

double RowHz(int key) { return static_cast<double>(kBankHz[key / 4]); }
double ColumnHz(int key) { return static_cast<double>(kBankHz[4 + key % 4]); }

void MakeFrame(size_t frame, int16_t* out) {
  std::memset(out, 0, kMaskFrameSamples * sizeof(int16_t));
  const int key = KeyIn(frame);
  for (size_t i = 0; i < kMaskFrameSamples; ++i) {
    const double t = static_cast<double>(frame * kMaskFrameSamples + i) / kRate;
    if (frame < kSweepFrames) {
      constexpr double kSeconds = static_cast<double>(kSweepFrames * kMaskFrameSamples) / kRate;
      // 200 to 440 Hz, swelling and fading: nothing in it begins or ends as a key does.
      const double swell = std::sin(std::numbers::pi * t / kSeconds);
      out[i] = static_cast<int16_t>(kSweepPeak * swell * swell * std::sin(2 * std::numbers::pi * (200 * t + 600 * t * t)));
    } else if (key >= 0) {
      const double turn = 2 * std::numbers::pi * t;
      out[i] = static_cast<int16_t>(kTonePeak * (std::sin(turn * RowHz(key)) + std::sin(turn * ColumnHz(key))));
    }
  }
}

// Energy of the frame at one frequency, as a sine's amplitude squared. Under a Hann window, which does not take the tone
// that replaces for one of a key's.
double PowerAt(double hz, const int16_t* samples) {
  double re = 0;
  double im = 0;
  double weights = 0;
  for (size_t i = 0; i < kMaskFrameSamples; ++i) {
    const double at = static_cast<double>(i);
    const double weight = 1 - std::cos(2 * std::numbers::pi * (at + 0.5) / kMaskFrameSamples);
    const double turn = 2 * std::numbers::pi * hz / kRate * at;
    re += weight * samples[i] * std::cos(turn);
    im += weight * samples[i] * std::sin(turn);
    weights += weight;
  }
  return 4 * (re * re + im * im) / (weights * weights);
}

}  // namespace

void MaskProof::Begin() {
  before_.Reset();
  behind_.Reset();
  frame_ = 0;
  keys_before_ = 0;
}

ProofResult MaskProof::Step(MaskLine& line, size_t frames) {
  ProofResult result = ProofResult::kRunning;
  for (size_t i = 0; i < frames && result == ProofResult::kRunning; ++i) result = StepOne(line);
  return result;
}

ProofResult MaskProof::StepOne(MaskLine& line) {
  int16_t fed[kMaskFrameSamples];
  int16_t heard[kMaskFrameSamples];
  MakeFrame(frame_, fed);
  before_.Feed(fed, [&](const InbandPress& press) { keys_before_ += press.begins ? 1 : 0; });
  line.Process(fed, heard);
  bool has_key = false;
  behind_.Feed(heard, [&](const InbandPress& press) { has_key = has_key || press.begins; });
  if (has_key) return ProofResult::kKeyHeard;

  const size_t past = frame_ - kDelayFrames;   // Wraps before there is one; then it is no frame of anything.
  ++frame_;
  if (past < kSweepFrames) {
    MakeFrame(past, fed);
    if (std::memcmp(fed, heard, sizeof fed) != 0) return ProofResult::kSpeechAltered;
  }
  const int key = KeyIn(past);
  if (key >= 0) {
    constexpr double kLoudest = kTonePeak * kTonePeak;
    static const double kMost = kLoudest * std::pow(10, static_cast<double>(kResidueDbMax) / 10);
    if (PowerAt(RowHz(key), heard) > kMost || PowerAt(ColumnHz(key), heard) > kMost) return ProofResult::kToneLeft;
  }
  if (frame_ < kFramesFed + kDelayFrames) return ProofResult::kRunning;
  return keys_before_ >= kKeys ? ProofResult::kProven : ProofResult::kDecoderDeaf;
}

}  // namespace hushtone
