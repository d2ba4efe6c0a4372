// What speaks for a key press: the numbers that the score of the detector is made of, measured over the press so far.
// Nothing here calls the mathematical library, whose last bits differ from CPU to CPU.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dtmf/correlate.h"

namespace hushtone {

// Candidate windows of one key, without longer gaps than are bridged.
struct Run {
  uint8_t row = 0, column = 0;          // Column 0 to 3.
  uint32_t hops = 0;                    // Candidate windows.
  uint64_t first_block = 0, last_block = 0;   // Where the first and the last candidate window end, of the blocks heard.
  uint64_t first_at = 0, last_at = 0;   // Where the first and the last one end, of all that passed.
  float tone_energy = 0, total_energy = 0;    // Sums over the windows.
  float least_share = 0;                // Tone to total in the worst window.
  float other_rows = 0, other_columns = 0;    // Sums of the next strongest to the strongest.
  // Of the 15 ms before the tone, a block.
  float energy_before = 0, row_before = 0, column_before = 0;
};

enum Measure : uint8_t {
  kShare,             // Log-odds of tone to total energy, both coherent over the press.
  kBandShare,         // The same after x[n] - x[n-2].
  kBandLift,          // The second less the first: what lies beside the tones is low.
  kWindowShare,       // Log-odds of tone to total, mean of the windows.
  kLeastShare,        // Of the worst window.
  kRowWander,         // log2 of what is not one steady sine in the row's 200 Hz, to all of it.
  kColumnWander,
  kRowOff,            // Frequency, % beside the nominal one.
  kColumnOff,
  kBeside,            // log2 of what neither tone explains at all eight frequencies, to the tones.
  kTwist,             // log2 of column to row energy.
  kRowSlope,          // log2 of the second half's energy to the first half's, its size.
  kColumnSlope,
  kSlopes,            // Difference of the two.
  kRowBend,           // Phase that the middle third is beside the line through the outer ones: the frequency glides. Radians.
  kColumnBend,
  kBefore,            // log2 of the energy before the tone to that in it.
  kRowBefore,         // log2 of the row's energy before the tone to that in it.
  kColumnBefore,
  kRestBefore,        // log2 of what lies beside the tones to the energy before: 0 where it was there already.
  kExplained,         // log2 of tone to that part of the rest that was not there before.
  kOtherRows,         // log2 of the next strongest row to the strongest.
  kOtherColumns,
  kLength,            // log2 of the candidate windows.
  kBeganApart,        // How much more than the other, log2, one of the tones was there before: a key's begin together. From 1/8 of its energy on.
  kMeasures
};

using Evidence = std::array<float, kMeasures>;

// Whether tones on both sides of a gap are the same ones, by their phase: two tones of another press go on by chance in
// (2 · kPhaseApartMax / 2π)² of cases.
enum class Continuity : uint8_t { kUnknown, kGoesOn, kBroken };
// `before`: the first block behind the gap, of the blocks heard. What was heard last is compared.
Continuity AcrossGap(const Spectrum& spectrum, const Run& run, uint64_t before);

// Of the blocks since the run's tone began, at most 80 ms.
Evidence Weigh(const Spectrum& spectrum, const Run& run);
// Points of all measures together, natural log-odds of a key press on the data of the fit (points.h), which has one table
// for presses that have just begun and one for those that were heard for a while: what is steady for long is no speech.
float Score(const Evidence& evidence, uint32_t hops);

}  // namespace hushtone
