// The jitter buffer: G.711 codes laid down by RTP timestamp, taken out 20 ms at a time by our own clock.
//
// A ring of codes indexed by timestamp needs no list of packets: reordered packets fall into place, repeated ones write
// the same codes again, a lost one leaves its milliseconds unwritten, and any packet time fits.
//
//   event                                             effect
//   ------------------------------------------------  ------------------------------------------------------
//   first packet                                      playing starts `target` later
//   packet before the playing point                   late, counted; kLateToGrow of them: target grows by 20 ms
//   packet far ahead or far behind, or new SSRC       the buffer starts again with it
//   more than target + kSlackMs waiting for 2 s       20 ms are skipped (the peer's clock is faster)
//   nothing written at the playing point              concealed (concealment.h), or comfort noise where it was announced
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "audio/comfort_noise.h"
#include "audio/concealment.h"
#include "audio/g711.h"

namespace hushtone {

constexpr size_t kFrameSamples = 160;
constexpr uint32_t kSlackMs = 60;     // What waits longer than the target by more is skipped after 2 s.

class PlayoutBuffer {
 public:
  struct Counters {
    uint64_t late = 0;
    uint64_t concealed_frames = 0;   // Frames with at least one concealed millisecond, while the peer was sending.
    uint64_t restarts = 0;
  };

  explicit PlayoutBuffer(uint32_t delay_ms_max = 200);

  // `codes` at most kRingCodes / 2.
  void Put(uint32_t timestamp, std::span<const uint8_t> codes, Law law);
  // RFC 3389: from here on the peer is silent, and this is how loud its silence is.
  void PutNoise(uint32_t timestamp, std::span<const uint8_t> payload);
  // 20 ms of samples. False while nothing plays: `out` is silence.
  bool Take(int16_t* out);
  void Restart();
  // Overwrites what was heard; the codes of in-band keys are digits too.
  void Wipe();

  // Of the frame that Take gave last: bit i is set where a part of its i-th 5 ms did not come and was not announced to be
  // silence, so that something else is played there.
  uint8_t made_up() const { return made_up_; }
  // Some of that frame is not played as it was sent: made up, or faded in behind what was.
  bool is_altered() const { return is_altered_; }
  // Its i-th 5 ms as they were sent; of those that came.
  void ReadSent(uint32_t i, int16_t* out) const {
    DecodeFrom(play_at_ - static_cast<uint32_t>(kFrameSamples) + i * kSentSamples, kSentSamples, out);
  }
  static constexpr uint32_t kSentSamples = 40;

  uint32_t delay_ms() const { return target_codes_ / 8; }
  // Of what comes early and is kept: now, and at most.
  uint32_t delay_ms_max() const { return delay_ms() + kSlackMs; }
  uint32_t delay_ms_limit() const { return delay_codes_max_ / 8 + kSlackMs; }
  const Counters& counters() const { return counters_; }

 private:
  static constexpr uint32_t kRingCodes = 4096;      // 512 ms.
  static constexpr uint32_t kGranule = 8;           // 1 ms: what is known to be written or not.
  static constexpr uint32_t kGranules = kRingCodes / kGranule;
  static constexpr uint32_t kRunMax = 60;           // Granules at once: less than a word, so that a run is in two.

  // Bit i: the granule that begins i granules behind `timestamp`'s. `count` at most kRunMax.
  uint64_t Written(uint32_t timestamp, uint32_t count) const;
  void SetWritten(uint32_t timestamp, uint32_t count, bool written);
  bool IsWritten(uint32_t timestamp) const { return Written(timestamp, 1) != 0; }
  // The ring's codes from `timestamp` on, decoded.
  void DecodeFrom(uint32_t timestamp, uint32_t count, int16_t* out) const;
  void Start(uint32_t timestamp);
  void Open(uint32_t timestamp);
  void Conceal(uint64_t written, int16_t* out);
  bool ReadBefore(uint32_t timestamp, Before* before) const;

  std::array<uint8_t, kRingCodes> codes_{};
  std::array<uint64_t, kGranules / 64> written_{};
  bool playing_ = false;
  bool is_altered_ = false;
  uint8_t made_up_ = 0;
  Law law_ = Law::kMu;
  uint32_t grid_ = 0;                               // Where a granule begins: streams begin at any timestamp.
  uint32_t play_at_ = 0;                            // Timestamp of the next sample to play.
  uint32_t newest_ = 0;                             // Timestamp behind the newest sample.
  uint32_t target_codes_;
  uint32_t delay_codes_max_;
  uint32_t late_in_a_row_ = 0;
  uint32_t deep_frames_ = 0;                        // Frames in a row with more waiting than needed.
  uint32_t played_ = 0;                             // Codes in the ring behind the playing point that were heard.
  uint32_t lost_ = 0;                               // Samples in a row that did not come, at most kConcealedMax.
  uint32_t pitch_ = 0;                              // Of what was heard before them; 0: not enough was.
  ComfortNoise noise_;
  Counters counters_;
};
static_assert(sizeof(PlayoutBuffer) <= 4352);       // One a leg.

}  // namespace hushtone
