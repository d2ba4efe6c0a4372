// The digits of one payment, from the first key to the wipe. The only place in the product that holds them.
//
// Thread: every member function is called on the media thread, but for Vault::Create, ~Vault and SetToday (one atomic,
// any thread). Egress gets its copy by CopyFields into another locked slot, so nothing here locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "vault/brands.h"

namespace hushtone {

enum class FieldKind : uint8_t {
  kNone = 0, kPan = 1, kExpiry = 2, kCvc = 3, kPostcode = 4, kStartDate = 5, kIssueNumber = 6,
};
constexpr size_t kFieldKinds = 7;
constexpr size_t kFieldDigitsMax = 24;   // The longest field, a number of 19 digits, and room to see "too long".
constexpr size_t kTypeAheadMax = 32;     // Keys pressed while no field is open.
constexpr size_t kPaymentsMax = 2048;    // Payments at the same time in one worker.

enum class Key : uint8_t { kDigit = 1, kStar = 2, kHash = 3 };

struct FieldOrder {
  FieldKind kind = FieldKind::kNone;
  uint8_t length_min = 0;
  uint8_t length_max = 0;
  BrandMask brands_allowed = 0;
};

// What may leave the vault while a field is keyed, and when it ended. Fixed size, no digit but the last four of a number.
struct FieldFacts {
  uint8_t length = 0;
  uint8_t luhn_ok = 0;       // Only told at a length that exists: at every length it would say more of the digits.
  uint8_t complete = 0;      // The length is complete for a candidate and passes its check.
  uint8_t full = 0;          // No candidate can be longer. Without any candidate: length_max is reached.
  uint8_t date_valid = 0;    // 0 no, 1 yes, 2 not a date field.
  uint8_t cvc_length = 0;    // Of the best candidate that the complete number fits; 0 before.
  char last4[4] = {0, 0, 0, 0};  // Only of a complete number whose field has ended.
  BrandMask brands = 0;      // Candidates among all brands; once the number is complete, those that fit it exactly.
};

enum class FieldEnd : uint8_t { kOpen = 0, kHash = 1, kFull = 2 };

struct KeyResult {
  Key key = Key::kDigit;
  FieldKind field = FieldKind::kNone;  // kNone: no field was open; the key waits as type-ahead, or was dropped.
  FieldEnd end = FieldEnd::kOpen;
  FieldFacts facts;
};

// A copy of a payment's fields in locked memory, made for one request and wiped by its destructor.
struct FieldSet;

// Handle of a payment in the vault; 0 is none.
using VaultHandle = uint32_t;

class Vault {
 public:
  // Maps, locks and guards the arena; turns core dumps and ptrace attachment off. Null with a reason where the
  // machine refuses (RLIMIT_MEMLOCK): the worker does not start without it.
  static std::unique_ptr<Vault> Create(const BrandTable& brands, std::string* error);
  virtual ~Vault() = default;

  virtual VaultHandle Begin() = 0;                  // 0 where kPaymentsMax are open.
  virtual void End(VaultHandle payment) = 0;        // Wipes; unknown handles are ignored.
  // Opens a field with empty contents. Keys that waited as type-ahead are NOT in it yet: the caller drains them one by
  // one with NextTypeAhead, so that each makes its own KeyResult.
  virtual bool OpenField(VaultHandle payment, const FieldOrder& order) = 0;
  virtual bool NextTypeAhead(VaultHandle payment, KeyResult* result) = 0;
  virtual void WipeTypeAhead(VaultHandle payment) = 0;
  // `event` is an RFC 4733 event code: 0-9 digits, 10 star, 11 hash. 12-15 (A-D) and others are ignored: false.
  // Star empties the open field; hash ends it; a digit after which no candidate can be longer ends it.
  virtual bool OnKey(VaultHandle payment, uint8_t event, KeyResult* result) = 0;
  virtual FieldFacts CloseField(VaultHandle payment) = 0;
  virtual void WipeField(VaultHandle payment, FieldKind field) = 0;
  // Read-back: writes the digit values 0-9 of a field, returns how many. The caller wipes `digits` at once.
  virtual size_t DigitsForReadBack(VaultHandle payment, FieldKind field, uint8_t* digits, size_t capacity) = 0;
  // For egress: copies every field into `out`. False for an unknown handle.
  virtual bool CopyFields(VaultHandle payment, FieldSet* out) = 0;
  // For `date_valid`: today, as the worker's host says once a minute.
  virtual void SetToday(uint16_t year, uint8_t month) = 0;
};

}  // namespace hushtone
