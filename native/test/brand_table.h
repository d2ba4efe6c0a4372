// src/card/brands.json for native tests: reads the one shape that file has, and fails loudly on another.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "vault/brands.h"

namespace hushtone::test {

inline BrandTable LoadBrands() {
  std::ifstream file(HUSHTONE_SOURCE_DIR "/../src/card/brands.json");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  BrandTable table;
  const auto after = [&](const char* key, size_t from) {
    const size_t at = text.find(key, from);
    if (at == std::string::npos) {
      std::fprintf(stderr, "brands.json: no %s\n", key);
      std::abort();
    }
    return at + std::string(key).size();
  };
  const auto quoted = [&](size_t from) {
    const size_t begin = text.find('"', from) + 1;
    return text.substr(begin, text.find('"', begin) - begin);
  };
  for (size_t at = text.find("\"name\":"); at != std::string::npos; at = text.find("\"name\":", at + 1)) {
    const size_t end = std::min(text.find("\"name\":", at + 1), text.size());
    Brand brand;
    brand.name = quoted(at + 7);
    brand.precedence = static_cast<uint8_t>(std::atoi(&text[after("\"precedence\":", at)]));
    brand.cvc_length = static_cast<uint8_t>(std::atoi(&text[after("\"cvcLength\":", at)]));
    brand.luhn = text.compare(after("\"luhn\":", at), 5, " true") == 0;
    for (size_t r = text.find("\"first\":", at); r < end; r = text.find("\"first\":", r + 1)) {
      PrefixRange range;
      const std::string first = quoted(r + 8);
      range.digits = static_cast<uint8_t>(first.size());
      range.first = static_cast<uint32_t>(std::atol(first.c_str()));
      range.last = static_cast<uint32_t>(std::atol(quoted(after("\"last\":", r)).c_str()));
      size_t length = after("\"lengths\": [", r);
      while (text[length] != ']') {
        range.lengths |= 1U << std::atoi(&text[length]);
        length = text.find_first_of(",]", length);
        if (text[length] == ',') ++length;
      }
      brand.ranges.push_back(range);
    }
    table.brands.push_back(brand);
  }
  return table;
}

}  // namespace hushtone::test
