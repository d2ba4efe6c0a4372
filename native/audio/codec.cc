#include "audio/codec.h"

#include "audio/g722.h"
#include "audio/opus.h"

namespace hushtone {

std::unique_ptr<AudioDecoder> MakeDecoder(Codec codec) {
  if (codec == Codec::kG722) return MakeG722Decoder();
  return codec == Codec::kOpus ? MakeOpusDecoder() : nullptr;
}

std::unique_ptr<AudioEncoder> MakeEncoder(Codec codec) {
  if (codec == Codec::kG722) return MakeG722Encoder();
  return codec == Codec::kOpus ? MakeOpusEncoder() : nullptr;
}

}  // namespace hushtone
