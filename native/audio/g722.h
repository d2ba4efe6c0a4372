// G.722 behind the interface of codec.h.
#pragma once

#include <memory>

#include "audio/codec.h"

namespace hushtone {

std::unique_ptr<AudioDecoder> MakeG722Decoder();
std::unique_ptr<AudioEncoder> MakeG722Encoder();

}  // namespace hushtone
