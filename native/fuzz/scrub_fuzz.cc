// libFuzzer entry of the scrub: the card is fixed, the text is the input, and no run of the card may be left in it; nor of a
// digest over the body that sent it.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "egress/scrub.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  hushtone::FieldSet fields;
  auto& pan = fields.fields[static_cast<size_t>(hushtone::FieldKind::kPan)];
  const std::string digits = "4000056655665556";
  pan.length = 16;
  for (size_t i = 0; i < 16; ++i) pan.digits[i] = static_cast<uint8_t>(digits[i] - '0');
  std::string text(reinterpret_cast<const char*>(data), size);
  std::vector<uint8_t> scratch(size + 1);
  const std::span<uint8_t> bytes{reinterpret_cast<uint8_t*>(text.data()), text.size()};
  hushtone::Scrub(bytes, fields, scratch);
  for (size_t i = 0; i + hushtone::kPanRunMin <= digits.size(); ++i) {
    if (text.find(digits.substr(i, hushtone::kPanRunMin)) != std::string::npos) std::abort();
  }
  const std::string digest = "5f2a91c07be3";
  std::string echo = text;
  hushtone::ScrubEcho({reinterpret_cast<uint8_t*>(echo.data()), echo.size()},
                      {reinterpret_cast<const uint8_t*>(digest.data()), digest.size()});
  if (echo.find(digest) != std::string::npos) std::abort();
  hushtone::QuoteStars(bytes);
  return 0;
}
