// The codecs a leg may speak, and the one interface behind which those with a state of their own stand. The engine works at
// 8 kHz: each decodes to 8 kHz and encodes from it, and says in its file where the low-pass is and what delay it adds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace hushtone {

// Numbers: static payload types (RFC 3551 table 4) where there is one.
enum class Codec : uint8_t { kPcmu = 0, kPcma = 8, kG722 = 9, kOpus = 96 };

constexpr size_t kDecodedSamplesMax = 960;       // 120 ms: the longest Opus packet (RFC 6716 §2.1.4).
constexpr size_t kEncodedBytesMax = 1275;        // Of one frame, RFC 6716 §3.2.1.

// RTP timestamp units in a sample of 8 kHz. G.722 counts at 8 kHz though it samples at 16 (RFC 3551 §4.5.2, an old mistake
// that was kept); Opus counts at 48 kHz whatever it carries (RFC 7587 §4.1).
constexpr uint32_t TimestampScale(Codec codec) { return codec == Codec::kOpus ? 6 : 1; }
constexpr bool IsG711(Codec codec) { return codec == Codec::kPcmu || codec == Codec::kPcma; }

// Both: made on the control thread, where memory is taken; every other call is the media thread's and takes none.
class AudioDecoder {
 public:
  virtual ~AudioDecoder() = default;
  // How many samples of 8 kHz the payload holds, at most kDecodedSamplesMax; 0 where it is none of this codec.
  virtual size_t CountSamples(std::span<const uint8_t> payload) const = 0;
  // `out` has room for kDecodedSamplesMax. Returns the samples written; 0 where the payload cannot be decoded.
  virtual size_t Decode(std::span<const uint8_t> payload, int16_t* out) = 0;
  // In place of `count` samples (at most one frame) that did not come. `next`: the packet that begins right behind them,
  // empty where there is none; it may carry a coarser copy of what was lost. True where that is what `out` has now.
  virtual bool Conceal(std::span<const uint8_t> next, size_t count, int16_t* out) = 0;
  // As made, and nothing heard is left in it.
  virtual void Reset() = 0;
};

class AudioEncoder {
 public:
  virtual ~AudioEncoder() = default;
  // `out` has room for kEncodedBytesMax. Returns the bytes; 0 where this many samples make no packet.
  virtual size_t Encode(std::span<const int16_t> samples, uint8_t* out) = 0;
  virtual void Reset() = 0;
};

// Null for G.711, which needs none, and where memory is short.
std::unique_ptr<AudioDecoder> MakeDecoder(Codec codec);
std::unique_ptr<AudioEncoder> MakeEncoder(Codec codec);

}  // namespace hushtone
