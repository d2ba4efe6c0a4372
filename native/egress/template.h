// Request templates: text with {{placeholders}} that are filled from the vault's fields.
//
//   {{pan}} {{pan|last4}} {{expiry}} {{expiry|month2}} {{expiry|year2}} {{expiry|year4}} {{cvc}} {{postcode}}
//   {{startDate}} (with the filters of expiry) {{issueNumber}}
//
// Every value is digits, which JSON, forms and XML write as they are; what else stands in a template was escaped by the
// adapter that wrote it. Each placeholder may stand once: a second one came in through some value and is refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "egress/secret_buffer.h"
#include "vault/field_set.h"

namespace hushtone {

constexpr size_t kTemplateBytesMax = 12 * 1024;
constexpr size_t kPlaceholderBytesMax = 32;

using FieldMask = uint32_t;  // Bit n: FieldKind n.

// Checks a template without values, so that a wrong one is refused before anything is copied. `fields` gets what it
// asks for. False with a reason that names the placeholder's place, never its surroundings.
bool CheckTemplate(std::string_view text, FieldMask* fields, std::string* fault);

// Fills; `century` completes two-digit years (2000 in 2026). False with a reason: an empty field, no room.
bool FillTemplate(std::string_view text, const FieldSet& fields, unsigned century, SecretBuffer* out, std::string* fault);

}  // namespace hushtone
