// The packets of G.722 or Opus of a recorded stream to samples of 8 kHz: the leg's own CodedAudio, which plays by a clock,
// driven by the packets' timestamps instead. So loss, redundancy and comfort noise sound as they do on a call.
//
// For files: it allocates. Packets come in order; a gap is at most kTrackGapSamplesMax, longer ones are the owner's, who calls
// Restart. What comes out stands gaplessly on the stream's time line, from the first packet's timestamp on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "audio/coded_audio.h"

namespace hushtone {

// Half a second: within what CodedAudio takes for one stream.
constexpr size_t kTrackGapSamplesMax = 4000;

class CodedTrack {
 public:
  // Null where there is no memory, and for G.711.
  static std::unique_ptr<CodedTrack> Create(Codec codec);

  Codec codec() const { return audio_->codec(); }
  // Appends to `out` what is whole then. Returns how many samples the packet holds; 0: it is none of this codec, and nothing
  // was done.
  size_t Put(uint32_t timestamp, std::span<const uint8_t> payload, std::vector<int16_t>* out);
  // RFC 3389: silence begins, and this is how loud it is.
  void PutNoise(uint32_t timestamp, std::span<const uint8_t> payload, std::vector<int16_t>* out);
  // The stream begins anew with the next packet. Appends what still waits.
  void Restart(std::vector<int16_t>* out);

 private:
  explicit CodedTrack(std::unique_ptr<CodedAudio> audio, std::unique_ptr<AudioDecoder> counter)
      : audio_(std::move(audio)), counter_(std::move(counter)) {}
  uint64_t PlaceOf(uint32_t timestamp) const;
  void PlayUntil(uint64_t place, std::vector<int16_t>* out);
  void TakeFrame(std::vector<int16_t>* out, size_t most);

  std::unique_ptr<CodedAudio> audio_;
  std::unique_ptr<AudioDecoder> counter_;             // Only asked how long a packet is.
  bool began_ = false;
  uint32_t first_timestamp_ = 0;
  uint64_t lead_ = 0;                                 // Silence of the jitter buffer still to be thrown away.
  uint64_t played_ = 0;                               // Samples since the beginning.
  uint64_t end_ = 0;                                  // Where the last packet ends.
};

}  // namespace hushtone
