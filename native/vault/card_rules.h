// Rules of card fields on digit values 0-9, one byte each. Pure: no allocation, no copy, the same time for every digit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vault/brands.h"
#include "vault/vault.h"

namespace hushtone {

constexpr int kExpiryYearsAheadMax = 19;   // card-validator's limit: 0144 is believed in 2026, 0160 is not.
constexpr int kStartYearsBackMax = 20;

struct Today {
  uint16_t year = 0;                       // 0: not set; then no date is valid.
  uint8_t month = 0;
};

// ISO/IEC 7812-1 Annex B: every second digit from the right but one is doubled, the sum divides by ten.
bool LuhnOk(const uint8_t* digits, size_t length);

// MMYY, valid through the last day of its month, so this month still counts.
bool ExpiryOk(const uint8_t* digits, size_t length, Today today);
// MMYY, not after this month.
bool StartDateOk(const uint8_t* digits, size_t length, Today today);

struct PanFacts {
  BrandMask possible = 0;   // The first digits fit, and a number at least this long exists.
  BrandMask exact = 0;      // ... a number of exactly this length exists, and its check passes.
  bool length_exists = false;
  bool longer_exists = false;
};
PanFacts JudgePan(const BrandTable& table, const uint8_t* digits, size_t length, bool luhn_ok);

// Index of the candidate with the lowest precedence; -1 for none.
int BestBrand(const BrandTable& table, BrandMask mask);

}  // namespace hushtone
