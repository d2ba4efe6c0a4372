#include "egress/template.h"

namespace hushtone {
namespace {

enum class Filter : uint8_t { kNone, kLast4, kMonth2, kYear2, kYear4 };

struct Placeholder {
  FieldKind field = FieldKind::kNone;
  Filter filter = Filter::kNone;
};

struct Row {
  std::string_view text;
  Placeholder placeholder;
};

constexpr Row kRows[] = {
    {"pan", {FieldKind::kPan, Filter::kNone}},
    {"pan|last4", {FieldKind::kPan, Filter::kLast4}},
    {"expiry", {FieldKind::kExpiry, Filter::kNone}},
    {"expiry|month2", {FieldKind::kExpiry, Filter::kMonth2}},
    {"expiry|year2", {FieldKind::kExpiry, Filter::kYear2}},
    {"expiry|year4", {FieldKind::kExpiry, Filter::kYear4}},
    {"cvc", {FieldKind::kCvc, Filter::kNone}},
    {"postcode", {FieldKind::kPostcode, Filter::kNone}},
    {"startDate", {FieldKind::kStartDate, Filter::kNone}},
    {"startDate|month2", {FieldKind::kStartDate, Filter::kMonth2}},
    {"startDate|year2", {FieldKind::kStartDate, Filter::kYear2}},
    {"startDate|year4", {FieldKind::kStartDate, Filter::kYear4}},
    {"issueNumber", {FieldKind::kIssueNumber, Filter::kNone}},
};
constexpr size_t kRowsCount = sizeof kRows / sizeof kRows[0];

// The next placeholder at or after `*at`: `*literal` is what stands before it. -1: none is left; -2: not one of ours.
int NextPlaceholder(std::string_view text, size_t* at, std::string_view* literal) {
  const size_t begin = text.find("{{", *at);
  if (begin == std::string_view::npos) {
    *literal = text.substr(*at);
    *at = text.size();
    return -1;
  }
  *literal = text.substr(*at, begin - *at);
  *at = begin;
  const size_t end = text.find("}}", begin + 2);
  if (end == std::string_view::npos || end - begin - 2 > kPlaceholderBytesMax) return -2;
  const std::string_view name = text.substr(begin + 2, end - begin - 2);
  for (size_t row = 0; row < kRowsCount; ++row) {
    if (kRows[row].text != name) continue;
    *at = end + 2;
    return static_cast<int>(row);
  }
  return -2;
}

bool Fill(const Placeholder& placeholder, const FieldSet::Field& field, unsigned century, SecretBuffer* out) {
  size_t first = 0;
  size_t count = field.length;
  if (placeholder.filter == Filter::kLast4) {
    if (field.length < 12) return false;
    first = field.length - 4U;
    count = 4;
  } else if (placeholder.filter != Filter::kNone) {
    if (field.length != 4) return false;
    first = placeholder.filter == Filter::kMonth2 ? 0 : 2;
    count = 2;
  }
  if (count == 0) return false;
  if (placeholder.filter == Filter::kYear4) out->Append(std::to_string(century / 100));
  for (size_t i = first; i < first + count; ++i) out->AppendDigit(field.digits[i]);
  return true;
}

}  // namespace

bool CheckTemplate(std::string_view text, FieldMask* fields, std::string* fault) {
  *fields = 0;
  if (text.size() > kTemplateBytesMax) {
    *fault = "template has " + std::to_string(text.size()) + " bytes, " + std::to_string(kTemplateBytesMax) + " at most";
    return false;
  }
  bool seen[kRowsCount] = {};
  size_t at = 0;
  std::string_view literal;
  while (at < text.size()) {
    const int row = NextPlaceholder(text, &at, &literal);
    if (row == -1) break;
    if (row == -2) {
      *fault = "template has a placeholder that is not known at byte " + std::to_string(at);
      return false;
    }
    if (seen[row]) {
      *fault = "template has {{" + std::string(kRows[row].text) + "}} twice";
      return false;
    }
    seen[row] = true;
    *fields |= FieldMask{1} << static_cast<unsigned>(kRows[row].placeholder.field);
  }
  return true;
}

bool FillTemplate(std::string_view text, const FieldSet& fields, unsigned century, SecretBuffer* out, std::string* fault) {
  size_t at = 0;
  std::string_view literal;
  while (at < text.size()) {
    const int row = NextPlaceholder(text, &at, &literal);
    out->Append(literal);
    if (row == -1) break;
    if (row == -2) {
      *fault = "template has a placeholder that is not known";
      return false;
    }
    const Placeholder& placeholder = kRows[row].placeholder;
    if (!Fill(placeholder, fields.Get(placeholder.field), century, out)) {
      *fault = "the vault holds nothing for {{" + std::string(kRows[row].text) + "}}";
      return false;
    }
  }
  if (out->overflowed()) *fault = "filled request is longer than its buffer";
  return !out->overflowed();
}

}  // namespace hushtone
