// The arithmetic of the mask: what of 8 kHz audio lies in the band of the keys, 600 to 1,800 Hz, and how much of it at
// sixteen frequencies: the eight of ITU-T Q.23 and eight between and beside them, where a key 3.5 or 5 % off falls.
// A block is 2.5 ms; blocks share one phase reference, so windows of any length are weighted sums of them.
//
// Sixteen sums stand side by side, none is added up across a vector, none is fused: every CPU comes to the same bits.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

constexpr size_t kBankFrameSamples = 160;
constexpr size_t kBankBlockSamples = 20;
constexpr size_t kBankBlocks = kBankFrameSamples / kBankBlockSamples;
constexpr size_t kBankTones = 16;
// Rows, columns; then what lies between: three among the rows, five among the columns.
constexpr float kBankHz[kBankTones] = {697, 770, 852, 941, 1209, 1336, 1477, 1633,
                                       733, 811, 896, 1145, 1272, 1406, 1555, 1710};
constexpr size_t kBankKeyTones = 8;                             // The first of them are the keys' own.
constexpr uint8_t kBankRows[] = {0, 1, 2, 3, 8, 9, 10};
constexpr uint8_t kBankColumns[] = {4, 5, 6, 7, 11, 12, 13, 14, 15};

// What one block holds. `re` and `im`: a sine of amplitude A and frequency of the tone has magnitude A · kBandPerBlock.
struct BankBlock {
  float re[kBankTones];
  float im[kBankTones];
  float band = 0;      // Energy in the band: a sine of amplitude A has A² · kBandPerBlock.
  float total = 0;     // Energy of all that was said meanwhile: a sine of amplitude A has A² · kBandPerBlock too.
};
// The band is taken at 2 kHz, complex.
constexpr size_t kBandPerBlock = 5;
// A block tells of samples this much older than its own: the band-pass is 48 samples long, half of which is delay.
constexpr size_t kBankDelaySamples = 22;

// Hann-weighted sum of blocks. `power`: energy of each tone as the window holds it; a pure one has all of `band`.
struct BankWindow {
  float re[kBankTones];
  float im[kBankTones];
  float power[kBankTones];
  float band = 0, total = 0;
};
constexpr size_t kBankWindowBlocks = 8;                         // 20 ms.
// Which instructions do it; the sums are the same.
enum class BankPath : uint8_t { kFastest, kPortable };

// `blocks`: oldest first.
void MakeBankWindow(const BankBlock* const* blocks, BankWindow* out, BankPath path = BankPath::kFastest);

class ToneBank {
 public:
  explicit ToneBank(BankPath path = BankPath::kFastest) : path_(path) { Reset(); }
  void Reset();
  void Push(std::span<const int16_t, kBankFrameSamples> frame, BankBlock* blocks);

 private:
  static constexpr size_t kTaps = 48;
  static constexpr size_t kDecimation = 4;
  static constexpr size_t kHistory = kTaps / kDecimation;
  static constexpr size_t kOutputs = kBankFrameSamples / kDecimation;

  std::array<int16_t, kTaps> before_;                           // The last samples of the frame before.
  // Turns each block to one phase reference.
  float turn_re_[kBankTones];
  float turn_im_[kBankTones];
  float last_total_ = 0;
  uint32_t blocks_ = 0;
  BankPath path_;
};

}  // namespace hushtone
