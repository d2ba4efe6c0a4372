// Opus behind the interface of codec.h.
#pragma once

#include <memory>

#include "audio/codec.h"

namespace hushtone {

std::unique_ptr<AudioDecoder> MakeOpusDecoder();
std::unique_ptr<AudioEncoder> MakeOpusEncoder();

}  // namespace hushtone
