// RFC 2198: several payloads of one stream in one packet, so that a lost packet's content comes again with the next.
//
//    0                   1                    2                   3
//    0 1 2 3 4 5 6 7 8 9 0 1 2 3  4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |F|   block PT  |  timestamp offset         |   block length    |   F 1: another block follows   §3
//   +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//   |0|   block PT  |                                                   the last, primary one: no offset, no length
//   +-+-+-+-+-+-+-+-+
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

constexpr size_t kRedBlocksMax = 6;                   // Five presses back; more is nobody's practice.
constexpr uint32_t kRedOffsetTsMax = 0x3fff;          // 14 bits.

struct RedBlock {
  uint8_t payload_type = 0;
  uint32_t timestamp_offset = 0;                      // Before the packet's timestamp.
  std::span<const uint8_t> payload;
};

// Oldest first, the primary last, as they stand in the packet. False unless every byte belongs to a block.
bool ParseRed(std::span<const uint8_t> payload, std::array<RedBlock, kRedBlocksMax>* blocks, size_t* count);
// `out` has room for it; returns the bytes. Blocks as above, each at most 1,023 bytes.
size_t WriteRed(std::span<const RedBlock> blocks, uint8_t* out);

}  // namespace hushtone
