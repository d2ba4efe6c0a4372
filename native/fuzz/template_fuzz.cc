// libFuzzer entry of the request templates: what the check lets through must fill or say why not.
#include <cstdlib>
#include <string>
#include <vector>

#include "egress/template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  hushtone::FieldMask mask = 0;
  std::string fault;
  if (!hushtone::CheckTemplate(text, &mask, &fault)) return 0;
  const hushtone::FieldSet fields;
  std::vector<uint8_t> memory(size + 64);
  hushtone::SecretBuffer out(memory);
  const bool filled = hushtone::FillTemplate(text, fields, 2000, &out, &fault);
  if (filled == (mask != 0)) std::abort();  // The vault is empty: only a template that asks nothing can be filled.
  return 0;
}
