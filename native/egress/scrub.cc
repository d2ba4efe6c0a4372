#include "egress/scrub.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace hushtone {
namespace {

constexpr uint8_t kStar = '*';
constexpr size_t kRecent = 64;              // More than the longest number.
constexpr uint32_t kNothing = 0xFFFFFFFF;

int HexValue(uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsAlnum(uint32_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// One character of the text, however it is written.
struct Unit {
  size_t begin = 0;
  size_t end = 0;
  uint32_t code = kNothing;
};

bool ReadHex(std::span<const uint8_t> text, size_t at, size_t count, uint32_t* value) {
  if (at + count > text.size()) return false;
  *value = 0;
  for (size_t i = at; i < at + count; ++i) {
    const int digit = HexValue(text[i]);
    if (digit < 0) return false;
    *value = *value * 16 + static_cast<uint32_t>(digit);
  }
  return true;
}

// %34, and %2534, %252534: each proxy on the way may have encoded it again.
bool ReadPercent(std::span<const uint8_t> text, Unit* unit) {
  size_t at = unit->begin + 1;
  uint32_t value = 0;
  for (int depth = 0; depth < 4; ++depth) {
    if (!ReadHex(text, at, 2, &value)) return false;
    at += 2;
    if (value != '%') break;
  }
  unit->end = at;
  unit->code = value;
  return true;
}

// &#52; and &#x34;
bool ReadEntity(std::span<const uint8_t> text, Unit* unit) {
  size_t at = unit->begin + 2;
  const bool hex = at < text.size() && (text[at] == 'x' || text[at] == 'X');
  if (hex) ++at;
  uint32_t value = 0;
  size_t digits = 0;
  for (; at < text.size() && digits < 10; ++at, ++digits) {
    const int digit = HexValue(text[at]);
    if (digit < 0 || (!hex && digit > 9)) break;
    value = value * (hex ? 16U : 10U) + static_cast<uint32_t>(digit);
  }
  if (digits == 0 || at >= text.size() || text[at] != ';') return false;
  unit->end = at + 1;
  unit->code = value;
  return true;
}

bool ReadUtf8(std::span<const uint8_t> text, Unit* unit) {
  const uint8_t lead = text[unit->begin];
  const size_t more = lead >= 0xE0 && lead < 0xF0 ? 2 : lead >= 0xC0 && lead < 0xE0 ? 1 : 0;
  if (more == 0 || unit->begin + more >= text.size()) return false;
  uint32_t value = more == 2 ? lead & 0x0FU : lead & 0x1FU;
  for (size_t i = 1; i <= more; ++i) {
    const uint8_t next = text[unit->begin + i];
    if ((next & 0xC0) != 0x80) return false;
    value = value << 6 | (next & 0x3FU);
  }
  unit->end = unit->begin + more + 1;
  unit->code = value;
  return true;
}

Unit ReadUnit(std::span<const uint8_t> text, size_t at) {
  Unit unit{at, at + 1, text[at]};
  const uint8_t next = at + 1 < text.size() ? text[at + 1] : 0;
  uint32_t value = 0;
  if (text[at] == '%') {
    ReadPercent(text, &unit);
  } else if (text[at] == '\\' && next == 'u' && ReadHex(text, at + 2, 4, &value)) {
    unit = {at, at + 6, value};
  } else if (text[at] == '\\' && next == 'x' && ReadHex(text, at + 2, 2, &value)) {
    unit = {at, at + 4, value};
  } else if (text[at] == '\\' && std::strchr("nrtbf\"/", next) != nullptr && next != 0) {
    unit = {at, at + 2, next == '/' ? uint32_t{'/'} : uint32_t{' '}};
  } else if (text[at] == '&' && next == '#') {
    ReadEntity(text, &unit);
  } else if (text[at] >= 0xC0) {
    ReadUtf8(text, &unit);
  }
  return unit;
}

// ASCII, full-width (U+FF10), Arabic-Indic (U+0660, U+06F0) and Devanagari (U+0966) digits.
int DigitOf(uint32_t code) {
  for (const uint32_t zero : {0x30U, 0xFF10U, 0x660U, 0x6F0U, 0x966U}) {
    if (code >= zero && code <= zero + 9) return static_cast<int>(code - zero);
  }
  return -1;
}

void Star(std::span<uint8_t> text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) text[i] = kStar;
}

// How long a run of the number ends at each of its places; a digit lengthens the run before it.
class RunMatcher {
 public:
  RunMatcher(const FieldSet::Field& pan, bool reversed) : pan_(pan), reversed_(reversed) {}

  size_t Next(uint8_t digit) {
    size_t longest = 0;
    for (size_t j = pan_.length; j > 0; --j) {
      const uint8_t mine = pan_.digits[reversed_ ? pan_.length - j : j - 1];
      runs_[j] = mine == digit ? static_cast<uint8_t>(runs_[j - 1] + 1) : uint8_t{0};
      longest = std::max<size_t>(longest, runs_[j]);
    }
    return longest;
  }
  void Reset() { std::memset(runs_, 0, sizeof runs_); }

 private:
  const FieldSet::Field& pan_;
  const bool reversed_;
  uint8_t runs_[kFieldDigitsMax + 1] = {};   // runs_[0] stays 0.
};

// `is_plain`: the bytes as they stand. "%5665556" is a percent sign before a run of digits as well as a V before a
// shorter one, and nobody knows which the sender meant.
size_t ScrubPan(std::span<uint8_t> text, const FieldSet::Field& pan, bool is_plain) {
  if (pan.length < kPanRunMin) return 0;
  RunMatcher forward(pan, false);
  RunMatcher backward(pan, true);
  Unit recent[kRecent];
  size_t seen = 0;
  size_t gap = 0;
  size_t places = 0;
  size_t at = 0;
  while (at < text.size()) {
    const Unit unit = is_plain ? Unit{at, at + 1, text[at]} : ReadUnit(text, at);
    at = unit.end;
    const int digit = DigitOf(unit.code);
    if (digit < 0) {
      ++gap;
      if (gap > kDigitGapMax || IsAlnum(unit.code)) {
        forward.Reset();
        backward.Reset();
      }
      continue;
    }
    gap = 0;
    recent[seen++ % kRecent] = unit;
    const size_t run = std::max(forward.Next(static_cast<uint8_t>(digit)), backward.Next(static_cast<uint8_t>(digit)));
    if (run < kPanRunMin) continue;
    ++places;
    for (size_t i = 0; i < run && i < seen && i < kRecent; ++i) {
      const Unit& part = recent[(seen - 1 - i) % kRecent];
      Star(text, part.begin, part.end);
    }
  }
  return places;
}

// Digits that touch each other: one candidate for a code, a postcode or a date.
struct Group {
  size_t begin = 0;
  size_t end = 0;
  uint8_t count = 0;
  uint8_t digits[kFieldDigitsMax] = {};
  uint32_t before = kNothing;      // The characters around it, decoded.
};

bool SameDigits(const uint8_t* a, const uint8_t* b, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

bool IsIdSign(uint8_t c) { return IsAlnum(c) || c == '_' || c == '-'; }

bool StandsAlone(std::span<const uint8_t> text, const Group& group, uint32_t after) {
  if (IsAlnum(group.before) || group.before == '_' || IsAlnum(after) || after == '_') return false;
  // Part of a decimal number or of a time of day.
  const auto digit_at = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  if ((group.before == '.' || group.before == ':') && group.begin >= 2 && digit_at(group.begin - 2)) return false;
  if ((after == '.' || after == ':') && digit_at(group.end + 1)) return false;
  // Part of an identifier such as 6f1c-123-….
  size_t begin = group.begin;
  size_t end = group.end;
  while (begin > 0 && IsIdSign(text[begin - 1])) --begin;
  while (end < text.size() && IsIdSign(text[end])) ++end;
  return end - begin - (group.end - group.begin) < kIdTokenMin;
}

bool HasDateHint(std::span<const uint8_t> text, size_t at) {
  const size_t begin = at > kHintBytes ? at - kHintBytes : 0;
  for (const std::string_view word : {"exp", "month", "year", "valid", "start"}) {
    for (size_t i = begin; i + word.size() <= at; ++i) {
      size_t same = 0;
      while (same < word.size() && (text[i + same] | 0x20) == static_cast<uint8_t>(word[same])) ++same;
      if (same == word.size()) return true;
    }
  }
  return false;
}

bool IsMonth(const Group& group, const FieldSet::Field& date) {
  if (group.count == 2) return SameDigits(group.digits, date.digits, 2);
  return group.count == 1 && date.digits[0] == 0 && group.digits[0] == date.digits[1];
}

bool IsYear(const Group& group, const FieldSet::Field& date) {
  if (group.count == 2) return SameDigits(group.digits, date.digits + 2, 2);
  return group.count == 4 && (group.digits[0] == 2 || group.digits[0] == 1) && SameDigits(group.digits + 2, date.digits + 2, 2);
}

bool IsWholeDate(const Group& group, const FieldSet::Field& date) {
  const uint8_t* g = group.digits;
  const uint8_t* month = date.digits;
  const uint8_t* year = date.digits + 2;
  if (group.count == 4) {
    return (SameDigits(g, month, 2) && SameDigits(g + 2, year, 2)) || (SameDigits(g, year, 2) && SameDigits(g + 2, month, 2));
  }
  return group.count == 6 && ((SameDigits(g, month, 2) && SameDigits(g + 4, year, 2)) ||
                              (SameDigits(g + 2, year, 2) && SameDigits(g + 4, month, 2)));
}

class ShortValues {
 public:
  ShortValues(std::span<uint8_t> text, const FieldSet& fields) : text_(text), fields_(fields) {}
  ~ShortValues() {
    Wipe(&last_, sizeof last_);
  }

  size_t Judge(const Group& group, uint32_t after) {
    const size_t before = places_;
    if (StandsAlone(text_, group, after)) {
      for (const FieldKind kind : {FieldKind::kCvc, FieldKind::kPostcode, FieldKind::kIssueNumber}) JudgeCode(group, fields_.Get(kind), kind);
    }
    for (const FieldKind kind : {FieldKind::kExpiry, FieldKind::kStartDate}) JudgeDate(group, after, fields_.Get(kind));
    last_ = group;
    return places_ - before;
  }

 private:
  void JudgeCode(const Group& group, const FieldSet::Field& field, FieldKind kind) {
    const size_t length_min = kind == FieldKind::kIssueNumber ? 1 : 3;
    if (field.length < length_min || group.count != field.length || !SameDigits(group.digits, field.digits, field.length)) return;
    if (kind == FieldKind::kIssueNumber && !HasIssueHint(group.begin)) return;
    Cover(group);
  }

  void JudgeDate(const Group& group, uint32_t after, const FieldSet::Field& date) {
    if (date.length != 4) return;
    // 12/28, 12-28, 12\/2028, 2028-12: two groups with one sign between.
    const bool pair = last_.count > 0 && (group.before == '/' || group.before == '-') && group.begin - last_.end <= 6;
    if (pair && ((IsMonth(last_, date) && IsYear(group, date)) || (IsYear(last_, date) && IsMonth(group, date)))) {
      Cover(last_);
      Cover(group);
      return;
    }
    if (!StandsAlone(text_, group, after)) return;
    const bool part = (IsMonth(group, date) || IsYear(group, date)) && HasDateHint(text_, group.begin);
    if (part || IsWholeDate(group, date)) Cover(group);
  }

  bool HasIssueHint(size_t at) const {
    const size_t begin = at > kHintBytes ? at - kHintBytes : 0;
    const std::string_view near(reinterpret_cast<const char*>(text_.data()) + begin, at - begin);
    return near.find("ssue") != std::string_view::npos;
  }

  void Cover(const Group& group) {
    Star(text_, group.begin, group.end);
    ++places_;
  }

  std::span<uint8_t> text_;
  const FieldSet& fields_;
  Group last_;
  size_t places_ = 0;
};

size_t ScrubShort(std::span<uint8_t> text, const FieldSet& fields, bool is_plain) {
  ShortValues values(text, fields);
  Group group;
  size_t places = 0;
  uint32_t before = kNothing;
  bool overlong = false;
  size_t at = 0;
  while (at <= text.size()) {
    Unit unit{at, at + 1, kNothing};
    if (at < text.size() && is_plain) unit.code = text[at];
    if (at < text.size() && !is_plain) unit = ReadUnit(text, at);
    at = unit.end;
    const int digit = DigitOf(unit.code);
    if (digit >= 0) {
      if (group.count == 0) {
        group.begin = unit.begin;
        group.before = before;
      }
      if (group.count == kFieldDigitsMax) overlong = true;
      else group.digits[group.count++] = static_cast<uint8_t>(digit);
      group.end = unit.end;
    } else if (group.count > 0) {
      if (!overlong) places += values.Judge(group, unit.code);
      Wipe(&group, sizeof group);
      overlong = false;
    }
    before = unit.code;
  }
  Wipe(&group, sizeof group);
  return places;
}

int Base64Value(uint8_t c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

// Line breaks, and line breaks as JSON writes them, may stand inside.
size_t SkipBreak(std::span<const uint8_t> text, size_t at) {
  size_t next = at;
  while (next < text.size()) {
    if (text[next] == '\r' || text[next] == '\n') ++next;
    else if (text[next] == '\\' && next + 1 < text.size() && (text[next + 1] == 'n' || text[next + 1] == 'r')) next += 2;
    else if (text[next] == '\\' && next + 1 < text.size() && text[next + 1] == '/') ++next;  // "\/" is a slash.
    else break;
  }
  return next;
}

struct Alphabet {
  int (*value)(uint8_t);
  unsigned bits;
  size_t phases;
};

size_t Decode(std::span<const uint8_t> run, const Alphabet& alphabet, size_t phase, std::span<uint8_t> out) {
  size_t size = 0;
  size_t skipped = 0;
  unsigned bits = 0;
  uint32_t held = 0;
  for (size_t at = 0; at < run.size(); ++at) {
    const size_t next = SkipBreak(run, at);
    if (next != at) {
      at = next - 1;
      continue;
    }
    const int value = alphabet.value(run[at]);
    if (value < 0) continue;
    if (skipped < phase) {
      ++skipped;
      continue;
    }
    held = held << alphabet.bits | static_cast<uint32_t>(value);
    bits += alphabet.bits;
    if (bits < 8) continue;
    bits -= 8;
    if (size < out.size()) out[size++] = static_cast<uint8_t>(held >> bits);
    held &= (1U << bits) - 1;
  }
  return size;
}

size_t ScrubAt(std::span<uint8_t> text, const FieldSet& fields, std::span<uint8_t> scratch, unsigned depth);

size_t ScrubEncoded(std::span<uint8_t> text, const FieldSet& fields, std::span<uint8_t> scratch, unsigned depth,
                    const Alphabet& alphabet) {
  size_t places = 0;
  size_t at = 0;
  while (at < text.size()) {
    if (alphabet.value(text[at]) < 0) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size()) {
      const size_t next = SkipBreak(text, end);
      if (next < text.size() && alphabet.value(text[next]) >= 0) end = next + 1;
      else break;
    }
    bool found = false;
    if (end - at >= kEncodedRunMin) {
      for (size_t phase = 0; phase < alphabet.phases && !found; ++phase) {
        const size_t size = Decode(text.subspan(at, end - at), alphabet, phase, scratch);
        found = ScrubAt(scratch.first(size), fields, scratch.subspan(size), depth + 1) > 0;
        Wipe(scratch.data(), size);
      }
    }
    if (found) {
      Star(text, at, end);
      ++places;
    }
    at = end;
  }
  return places;
}

size_t ScrubAt(std::span<uint8_t> text, const FieldSet& fields, std::span<uint8_t> scratch, unsigned depth) {
  size_t places = 0;
  // Encoded runs first: once digits in them are stars they no longer decode.
  if (depth < kEncodingDepthMax) {
    places += ScrubEncoded(text, fields, scratch, depth, {Base64Value, 6, 4});
    places += ScrubEncoded(text, fields, scratch, depth, {HexValue, 4, 2});
  }
  places += ScrubPan(text, fields.Get(FieldKind::kPan), false);
  places += ScrubPan(text, fields.Get(FieldKind::kPan), true);
  places += ScrubShort(text, fields, false);
  places += ScrubShort(text, fields, true);
  return places;
}

bool IsSpace(uint8_t c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsNumberSign(uint8_t c) { return (c >= '0' && c <= '9') || c == kStar || c == '.' || c == '-' || c == '+'; }

}  // namespace

size_t Scrub(std::span<uint8_t> text, const FieldSet& fields, std::span<uint8_t> scratch) {
  return ScrubAt(text, fields, scratch, 0);
}

size_t ScrubEcho(std::span<uint8_t> text, std::span<const uint8_t> secret) {
  const auto lower = [](uint8_t c) { return c >= 'A' && c <= 'Z' ? static_cast<uint8_t>(c + 32) : c; };
  size_t places = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    size_t longest = 0;
    for (size_t from = 0; from + kEchoRunMin <= secret.size(); ++from) {
      size_t run = 0;
      while (at + run < text.size() && from + run < secret.size() && lower(text[at + run]) == lower(secret[from + run])) ++run;
      if (run > longest) longest = run;
    }
    if (longest < kEchoRunMin) continue;
    for (size_t i = 0; i < longest; ++i) text[at + i] = '*';
    at += longest - 1;
    ++places;
  }
  return places;
}

void QuoteStars(std::span<uint8_t> json) {
  size_t at = 0;
  while (at < json.size()) {
    if (!IsNumberSign(json[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    bool starred = false;
    for (; end < json.size() && IsNumberSign(json[end]); ++end) starred = starred || json[end] == kStar;
    size_t before = at;
    while (before > 0 && IsSpace(json[before - 1])) --before;
    size_t after = end;
    while (after < json.size() && IsSpace(json[after])) ++after;
    const bool value = before > 0 && std::strchr(":[,", json[before - 1]) != nullptr && after < json.size() &&
                       std::strchr(",]}", json[after]) != nullptr;
    // One sign has no room for two quotes: it becomes a digit that says nothing.
    if (starred && value && end - at == 1) json[at] = '0';
    if (starred && value && end - at >= 2) {
      Star(json, at, end);
      json[at] = '"';
      json[end - 1] = '"';
    }
    at = end;
  }
}

}  // namespace hushtone
