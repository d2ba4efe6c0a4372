// libFuzzer entry of RFC 2198: what is read lies inside the payload, and what is written again is read the same.
#include <array>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "rtp/redundancy.h"

using namespace hushtone;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::array<RedBlock, kRedBlocksMax> blocks;
  size_t count = 0;
  if (!ParseRed({data, size}, &blocks, &count)) return 0;
  size_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    const RedBlock& block = blocks[i];
    if (!block.payload.empty() && (block.payload.data() < data || block.payload.data() + block.payload.size() > data + size)) std::abort();
    bytes += block.payload.size() + (i + 1 < count ? 4 : 1);
  }
  if (count == 0 || bytes != size) std::abort();
  std::vector<uint8_t> again(size);
  if (WriteRed(std::span(blocks.data(), count), again.data()) != size || std::memcmp(again.data(), data, size) != 0) std::abort();
  return 0;
}
