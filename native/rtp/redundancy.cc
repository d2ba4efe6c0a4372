#include "rtp/redundancy.h"

#include <cstring>

namespace hushtone {

bool ParseRed(std::span<const uint8_t> payload, std::array<RedBlock, kRedBlocksMax>* blocks, size_t* count) {
  std::array<size_t, kRedBlocksMax> lengths{};
  size_t used = 0;
  size_t at = 0;
  for (;;) {
    if (used == kRedBlocksMax || at >= payload.size()) return false;
    RedBlock& block = (*blocks)[used];
    block = RedBlock{};
    block.payload_type = payload[at] & 0x7f;
    if ((payload[at] & 0x80) == 0) break;
    if (payload.size() - at < 4) return false;
    block.timestamp_offset = static_cast<uint32_t>(payload[at + 1] << 6 | payload[at + 2] >> 2);
    lengths[used] = static_cast<size_t>((payload[at + 2] & 3) << 8 | payload[at + 3]);
    at += 4;
    ++used;
  }
  ++at;
  for (size_t i = 0; i < used; ++i) {
    if (payload.size() - at < lengths[i]) return false;
    (*blocks)[i].payload = payload.subspan(at, lengths[i]);
    at += lengths[i];
  }
  (*blocks)[used].payload = payload.subspan(at);
  *count = used + 1;
  return true;
}

size_t WriteRed(std::span<const RedBlock> blocks, uint8_t* out) {
  uint8_t* at = out;
  for (size_t i = 0; i + 1 < blocks.size(); ++i) {
    const RedBlock& block = blocks[i];
    *at++ = static_cast<uint8_t>(0x80 | block.payload_type);
    *at++ = static_cast<uint8_t>(block.timestamp_offset >> 6);
    *at++ = static_cast<uint8_t>(block.timestamp_offset << 2 | block.payload.size() >> 8);
    *at++ = static_cast<uint8_t>(block.payload.size());
  }
  *at++ = blocks.back().payload_type;
  for (const RedBlock& block : blocks) {
    if (block.payload.empty()) continue;
    std::memcpy(at, block.payload.data(), block.payload.size());
    at += block.payload.size();
  }
  return static_cast<size_t>(at - out);
}

}  // namespace hushtone
