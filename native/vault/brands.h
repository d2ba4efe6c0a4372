// Card brands as the vault sees them: prefix ranges, lengths, code length. The table is src/card/brands.json, handed over
// at start; native code has no brand of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace hushtone {

using BrandMask = uint32_t;          // Bit n: the n-th brand of brands.json.
constexpr size_t kBrandsMax = 32;
constexpr size_t kPrefixDigitsMax = 8;

struct PrefixRange {
  uint32_t first = 0;                // 4 … 4, 51 … 55, 222100 … 272099.
  uint32_t last = 0;
  uint8_t digits = 0;                // How many digits both have.
  uint32_t lengths = 0;              // Bit n: a number of n digits exists in this range.
};

struct Brand {
  std::string name;
  std::vector<PrefixRange> ranges;
  uint8_t cvc_length = 3;            // 0: the brand has none.
  bool luhn = true;
  uint8_t precedence = 0;            // Among candidates of one number, the lower wins.
};

struct BrandTable {
  std::vector<Brand> brands;
};

}  // namespace hushtone
