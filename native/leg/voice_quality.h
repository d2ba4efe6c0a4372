// How a stream is likely to sound, by the E-model (ITU-T G.107, 2015). It was made to plan networks: a figure for comparing
// calls, no opinion of anybody's.
//
//   R = 93.2 - Idd - Ie,eff
//
//   93.2    §7.7: all that is not measured here at its default, loudness, echo and room noise among it
//   Idd     §7.4, of the one-way delay Ta: 0 up to 100 ms, 3.0 at 200 ms, 24.1 at 400 ms
//   Ie,eff  §7.5: Ie + (95 - Ie) * Ppl / (Ppl / BurstR + Bpl). Ppl: percent missing, lost or discarded. BurstR: how long losses
//           in a row are, over how long random ones would be
//
// Ie and Bpl are those of G.113 Appendix I for G.711 with the concealment of its Appendix I, which ours is made after: 0 and
// 25.1. It has none for G.722 and Opus on this scale: there nothing is rated, and nothing is better than a guess.
#pragma once

#include <cstdint>

#include "audio/codec.h"
#include "rtp/burst_gap.h"

namespace hushtone {

// As RFC 3611 §4.7.5 has them: R from 0 to 100, MOS times ten, or kNotMeasured.
struct VoiceQuality {
  uint8_t r_factor;
  uint8_t mos_lq;                 // Listening: without the delay.
  uint8_t mos_cq;                 // In conversation.
};

VoiceQuality EstimateQuality(Codec codec, const BurstGap::Figures& heard, uint32_t one_way_ms);

}  // namespace hushtone
