// The arithmetic of the in-band detector, block by block: eight tones of a block of 40 samples, its energy, its energy
// above the dial tones, and what the last four blocks make together. Samples are multiplied as integers, so the order of
// their sums does not matter; everything after that is done lane by lane in single precision, no lane is added to another
// and no product is fused with its sum (-ffp-contract=off). So every CPU comes to the same bits, and decides the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace hushtone {

constexpr uint32_t kDetectorSampleRate = 8000;
constexpr size_t kBlockSamples = 40;
constexpr size_t kWindowBlocks = 4;
constexpr size_t kTones = 8;
// As far back as a press is looked at: 80 ms.
constexpr size_t kRingBlocks = 16;

// ITU-T Q.23: the frequencies, rows first.
constexpr std::array<float, kTones> kFrequenciesHz = {697, 770, 852, 941, 1209, 1336, 1477, 1633};

// |1 - z^-2|² there, 4·sin²(2πf/8000): what `band_energy` makes of a tone's energy.
constexpr std::array<float, kTones> kBandGain = {1.0836F, 1.2931F, 1.5392F, 1.8149F, 2.6449F, 3.0072F, 3.3622F, 3.6768F};

using Lanes = std::array<float, kTones>;

// One number a tone, real and imaginary parts apart, as vectors want it.
struct Phasors {
  alignas(32) Lanes re{};
  alignas(32) Lanes im{};
};

// Of four powers, to 22 bits: the strongest, the next, and which the strongest is.
struct Strongest {
  float power = 0, other = 0;
  uint32_t index = 0;
};

// The last blocks, each at its number modulo kRingBlocks.
struct Ring {
  std::array<Phasors, kRingBlocks> tone{};          // All to one phase reference: a tone on its nominal frequency keeps its phase.
  std::array<float, kRingBlocks> energy{};          // Sum of squares.
  // The same of x[n] - x[n-2]: 350 Hz at 0.30, the rows at 1.08 to 1.82, the columns at 2.65 to 3.68.
  std::array<float, kRingBlocks> band_energy{};
  std::array<uint8_t, kRingBlocks> unheard{};       // Blocks of time that passed right before it and were not heard.
};
constexpr uint8_t kUnheardMax = 32;                 // More of them count as so many: 160 ms.

struct Spectrum {
  Ring ring;
  Phasors rotation;           // Of the block to come: what turned the one before, times Advance().
  alignas(32) Lanes power{};  // Square of the sum of the last four blocks, the window.
  float energy = 0, band_energy = 0;          // Of the window.
  Strongest row, column;
  uint64_t blocks = 0;        // Heard.
  uint64_t unheard = 0;       // And time that passed without: what is heard now begins at their sum.
};

using TakeBlock = void (*)(const int16_t* samples, Spectrum& spectrum);

enum class Cpu : uint8_t { kPortable, kAvx2, kAvx512 };
Cpu FastestCpu();
// Of a CPU that this one is not: the portable one.
TakeBlock TakeBlockOn(Cpu cpu);

// A block that nobody heard: time passes, and with it the phase of every tone.
void PassBlock(Spectrum& spectrum);
// As if it had been silent before; time and phase go on.
void ForgetSound(Spectrum& spectrum);

const Phasors& Advance();
void ResetSpectrum(Spectrum& spectrum);

}  // namespace hushtone
