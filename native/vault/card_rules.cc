#include "vault/card_rules.h"

namespace hushtone {
namespace {

struct MonthYear {
  bool ok = false;
  int months = 0;  // Since year 0.
};

MonthYear ReadMmYy(const uint8_t* digits, size_t length, Today today) {
  if (length != 4 || today.year == 0) return {};
  const int month = digits[0] * 10 + digits[1];
  if (month < 1 || month > 12) return {};
  const int century = today.year / 100 * 100;
  return {true, (century + digits[2] * 10 + digits[3]) * 12 + month - 1};
}

int MonthsOf(Today today) { return today.year * 12 + today.month - 1; }

bool PrefixFits(const PrefixRange& range, const uint8_t* digits, size_t length) {
  const size_t known = length < range.digits ? length : range.digits;
  uint32_t value = 0;
  for (size_t i = 0; i < known; ++i) value = value * 10 + digits[i];
  uint32_t scale = 1;
  for (size_t i = known; i < range.digits; ++i) scale *= 10;
  return value >= range.first / scale && value <= range.last / scale;
}

}  // namespace

bool LuhnOk(const uint8_t* digits, size_t length) {
  unsigned sum = 0;
  for (size_t i = 0; i < length; ++i) {
    unsigned digit = digits[length - 1 - i];
    if (i % 2 == 1) {
      digit *= 2;
      if (digit > 9) digit -= 9;
    }
    sum += digit;
  }
  return length > 0 && sum % 10 == 0;
}

bool ExpiryOk(const uint8_t* digits, size_t length, Today today) {
  const MonthYear date = ReadMmYy(digits, length, today);
  if (!date.ok) return false;
  int months = date.months;
  // A card issued in 2095 expires in "07": two digits mean the year nearest ahead.
  if (months < MonthsOf(today) - 80 * 12) months += 100 * 12;
  return months >= MonthsOf(today) && months / 12 <= today.year + kExpiryYearsAheadMax;
}

bool StartDateOk(const uint8_t* digits, size_t length, Today today) {
  const MonthYear date = ReadMmYy(digits, length, today);
  if (!date.ok) return false;
  int months = date.months;
  if (months > MonthsOf(today) + 79 * 12) months -= 100 * 12;
  return months <= MonthsOf(today) && months / 12 >= today.year - kStartYearsBackMax;
}

PanFacts JudgePan(const BrandTable& table, const uint8_t* digits, size_t length, bool luhn_ok) {
  PanFacts facts;
  for (size_t b = 0; b < table.brands.size() && b < kBrandsMax; ++b) {
    const Brand& brand = table.brands[b];
    const BrandMask bit = BrandMask{1} << b;
    for (const PrefixRange& range : brand.ranges) {
      if (!PrefixFits(range, digits, length)) continue;
      if (range.lengths >> length == 0) continue;  // No number in this range is that long.
      facts.possible |= bit;
      const bool exists = (range.lengths >> length & 1U) != 0;
      facts.length_exists = facts.length_exists || exists;
      if (range.lengths >> (length + 1) != 0) facts.longer_exists = true;
      if (exists && length >= range.digits && (luhn_ok || !brand.luhn)) facts.exact |= bit;
    }
  }
  return facts;
}

int BestBrand(const BrandTable& table, BrandMask mask) {
  int best = -1;
  for (size_t b = 0; b < table.brands.size() && b < kBrandsMax; ++b) {
    if ((mask >> b & 1U) == 0) continue;
    if (best < 0 || table.brands[b].precedence < table.brands[static_cast<size_t>(best)].precedence) {
      best = static_cast<int>(b);
    }
  }
  return best;
}

}  // namespace hushtone
