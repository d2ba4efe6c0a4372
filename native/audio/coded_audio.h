// What a leg has beside G.711's own path where its codec keeps a state: a jitter buffer of packets, decoded in their order when
// their time comes, and the samples that wait to be encoded. Made on the control thread; the media thread takes no memory.
//
//   event                                          effect
//   ---------------------------------------------  -------------------------------------------------------------
//   first packet                                   playing starts `target` later
//   packet before the playing point                late, counted; each second one in a row: target grows by 20 ms
//   packet far ahead or behind, or new SSRC        the buffer and the decoder start again with it
//   more than target + 60 ms waiting for 2 s       20 ms are decoded and not played (the peer's clock is faster)
//   nothing there at the playing point             concealed by the decoder, or comfort noise where it was announced
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "audio/codec.h"
#include "audio/comfort_noise.h"
#include "audio/playout_buffer.h"

namespace hushtone {

class CodedAudio {
 public:
  // Null where there is no memory, and for G.711.
  static std::unique_ptr<CodedAudio> Create(Codec codec, uint32_t delay_ms_max);

  Codec codec() const { return codec_; }
  void Put(uint32_t timestamp, std::span<const uint8_t> payload);
  void PutNoise(uint32_t timestamp, std::span<const uint8_t> payload);
  // 20 ms of samples. False while nothing plays: `out` is silence.
  bool Take(int16_t* out);
  void Restart() { playing_ = false; }
  // Overwrites what was heard and what waits to be said.
  void Wipe();
  // As PlayoutBuffer's.
  uint8_t made_up() const { return made_up_; }
  uint32_t delay_ms() const { return target_samples_ / 8; }
  uint32_t delay_ms_max() const { return delay_ms() + kSlackMs; }
  uint32_t delay_ms_limit() const { return delay_samples_max_ / 8 + kSlackMs; }
  const PlayoutBuffer::Counters& counters() const { return counters_; }

  // What is said: kept until a packet's worth is there. False where too much waits.
  bool Say(const int16_t* frame, size_t waiting);
  // The first `samples` of what waits, encoded; `out` has room for kEncodedBytesMax.
  size_t Encode(size_t samples, size_t waiting, uint8_t* out);

 private:
  static constexpr size_t kSlots = 32;                // 320 ms of the shortest packets that anybody sends.
  static constexpr size_t kWaitingMax = 60 * 8 + 3 * kFrameSamples;
  struct Slot {
    uint32_t timestamp = 0;
    uint16_t samples = 0;                             // 0: free.
    uint16_t bytes = 0;
    std::array<uint8_t, kEncodedBytesMax> payload;
  };

  CodedAudio(Codec codec, uint32_t delay_ms_max, std::unique_ptr<AudioDecoder> decoder, std::unique_ptr<AudioEncoder> encoder);
  int32_t SamplesUntil(uint32_t timestamp) const;
  void Start(uint32_t timestamp);
  Slot* FreeSlot();
  // The packet at the decoding point, or the next one behind it.
  Slot* NextSlot();
  void DecodeNext();
  void Append(std::span<const int16_t> samples, bool is_made_up);

  const Codec codec_;
  const uint32_t scale_;                              // Timestamp units in a sample.
  std::unique_ptr<AudioDecoder> decoder_;
  std::unique_ptr<AudioEncoder> encoder_;
  bool playing_ = false;
  bool spoken_ = false;                               // A packet was decoded since the start: there is what to go on from.
  uint32_t decode_at_ = 0;                            // Timestamp of the next sample to decode.
  uint32_t newest_ = 0;                               // Timestamp behind the newest sample.
  uint32_t target_samples_;
  uint32_t delay_samples_max_;
  uint32_t late_in_a_row_ = 0;
  uint32_t deep_frames_ = 0;
  uint32_t lost_frames_ = 0;                          // Concealed in a row.
  size_t skip_ = 0;                                   // Samples to decode and not to play.
  size_t decoded_count_ = 0;
  std::array<int16_t, kDecodedSamplesMax + 2 * kFrameSamples> decoded_{};
  std::array<bool, kDecodedSamplesMax + 2 * kFrameSamples> is_made_up_{};   // Of each of them.
  uint8_t made_up_ = 0;
  std::array<Slot, kSlots> slots_{};
  std::array<int16_t, kWaitingMax> waiting_{};
  ComfortNoise noise_;
  PlayoutBuffer::Counters counters_;
};

}  // namespace hushtone
