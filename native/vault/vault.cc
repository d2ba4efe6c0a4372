#include "vault/vault.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <vector>

#include "vault/card_rules.h"
#include "vault/field_set.h"
#include "vault/locked_memory.h"

namespace hushtone {
namespace {

constexpr uint8_t kEventStar = 10;
constexpr uint8_t kEventHash = 11;

// One payment in the arena. Everything that a key's value touches lies here.
struct Slot {
  uint16_t generation = 0;
  uint8_t used = 0;
  FieldKind open = FieldKind::kNone;
  uint8_t length_min = 0;
  uint8_t length_max = 0;
  uint8_t waiting_first = 0;   // Type-ahead: oldest key of `waiting`.
  uint8_t waiting_count = 0;
  uint8_t waiting[kTypeAheadMax] = {};
  uint8_t lengths[kFieldKinds] = {};
  uint8_t digits[kFieldKinds][kFieldDigitsMax] = {};
};

class LockedVault final : public Vault {
 public:
  LockedVault(const BrandTable& brands, std::unique_ptr<LockedMemory> memory)
      : brands_(brands), memory_(std::move(memory)), slots_(new (memory_->data()) Slot[kPaymentsMax]) {
    free_.reserve(kPaymentsMax);
    for (size_t i = kPaymentsMax; i > 0; --i) free_.push_back(static_cast<uint16_t>(i - 1));
  }

  VaultHandle Begin() override {
    if (free_.empty()) return 0;
    const uint16_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.used = 1;
    slot.generation = static_cast<uint16_t>(slot.generation == UINT16_MAX ? 1 : slot.generation + 1);
    return static_cast<VaultHandle>(slot.generation) << 16 | index;
  }

  void End(VaultHandle payment) override {
    Slot* slot = Find(payment);
    if (slot == nullptr) return;
    const uint16_t generation = slot->generation;
    Wipe(slot, sizeof *slot);
    slot->generation = generation;
    free_.push_back(static_cast<uint16_t>(payment & 0xFFFF));  // Capacity was reserved: no allocation here.
  }

  bool OpenField(VaultHandle payment, const FieldOrder& order) override {
    Slot* slot = Find(payment);
    const auto kind = static_cast<size_t>(order.kind);
    if (slot == nullptr || kind == 0 || kind >= kFieldKinds) return false;
    if (order.length_max == 0 || order.length_max > kFieldDigitsMax || order.length_min > order.length_max) return false;
    WipeContents(*slot, kind);
    slot->open = order.kind;
    slot->length_min = order.length_min;
    slot->length_max = order.length_max;
    return true;
  }

  bool NextTypeAhead(VaultHandle payment, KeyResult* result) override {
    Slot* slot = Find(payment);
    if (slot == nullptr || slot->waiting_count == 0 || slot->open == FieldKind::kNone) return false;
    const uint8_t event = slot->waiting[slot->waiting_first];
    slot->waiting[slot->waiting_first] = 0;
    slot->waiting_first = static_cast<uint8_t>((slot->waiting_first + 1) % kTypeAheadMax);
    --slot->waiting_count;
    return OnKey(payment, event, result);
  }

  void WipeTypeAhead(VaultHandle payment) override {
    Slot* slot = Find(payment);
    if (slot == nullptr) return;
    Wipe(slot->waiting, sizeof slot->waiting);
    slot->waiting_first = 0;
    slot->waiting_count = 0;
  }

  bool OnKey(VaultHandle payment, uint8_t event, KeyResult* result) override {
    Slot* slot = Find(payment);
    if (slot == nullptr || event > kEventHash) return false;
    *result = KeyResult{};
    result->key = event == kEventStar ? Key::kStar : event == kEventHash ? Key::kHash : Key::kDigit;
    if (slot->open == FieldKind::kNone) {
      Wait(*slot, event);
      return true;
    }
    result->field = slot->open;
    const auto kind = static_cast<size_t>(slot->open);
    if (result->key == Key::kStar) {
      WipeContents(*slot, kind);
    } else if (result->key == Key::kDigit && slot->lengths[kind] < slot->length_max) {
      slot->digits[kind][slot->lengths[kind]++] = event;
    }
    result->facts = FactsOf(*slot, result->key == Key::kHash);
    if (result->key == Key::kHash) {
      result->end = FieldEnd::kHash;
    } else if (result->key == Key::kDigit && result->facts.full != 0) {
      result->end = FieldEnd::kFull;
      result->facts = FactsOf(*slot, true);
    }
    if (result->end != FieldEnd::kOpen) slot->open = FieldKind::kNone;
    return true;
  }

  FieldFacts CloseField(VaultHandle payment) override {
    Slot* slot = Find(payment);
    if (slot == nullptr || slot->open == FieldKind::kNone) return {};
    const FieldFacts facts = FactsOf(*slot, true);
    slot->open = FieldKind::kNone;
    return facts;
  }

  void WipeField(VaultHandle payment, FieldKind field) override {
    Slot* slot = Find(payment);
    const auto kind = static_cast<size_t>(field);
    if (slot == nullptr || kind == 0 || kind >= kFieldKinds) return;
    WipeContents(*slot, kind);
  }

  size_t DigitsForReadBack(VaultHandle payment, FieldKind field, uint8_t* digits, size_t capacity) override {
    const Slot* slot = Find(payment);
    const auto kind = static_cast<size_t>(field);
    if (slot == nullptr || kind == 0 || kind >= kFieldKinds || slot->lengths[kind] > capacity) return 0;
    CopySecret(digits, slot->digits[kind], slot->lengths[kind]);
    return slot->lengths[kind];
  }

  bool CopyFields(VaultHandle payment, FieldSet* out) override {
    const Slot* slot = Find(payment);
    if (slot == nullptr) return false;
    for (size_t kind = 1; kind < kFieldKinds; ++kind) {
      out->fields[kind].length = slot->lengths[kind];
      CopySecret(out->fields[kind].digits, slot->digits[kind], kFieldDigitsMax);
    }
    return true;
  }

  void SetToday(uint16_t year, uint8_t month) override {
    today_.store(static_cast<uint32_t>(year) << 8 | month, std::memory_order_relaxed);
  }

 private:
  Slot* Find(VaultHandle payment) {
    const size_t index = payment & 0xFFFF;
    if (payment == 0 || index >= kPaymentsMax) return nullptr;
    Slot& slot = slots_[index];
    return slot.used != 0 && slot.generation == payment >> 16 ? &slot : nullptr;
  }

  static void WipeContents(Slot& slot, size_t kind) {
    Wipe(slot.digits[kind], sizeof slot.digits[kind]);
    slot.lengths[kind] = 0;
  }

  // A key that finds the buffer full is dropped: the caller hears from the prompt that the field is short.
  static void Wait(Slot& slot, uint8_t event) {
    if (slot.waiting_count == kTypeAheadMax) return;
    slot.waiting[(slot.waiting_first + slot.waiting_count) % kTypeAheadMax] = event;
    ++slot.waiting_count;
  }

  FieldFacts FactsOf(const Slot& slot, bool ended) const {
    return slot.open == FieldKind::kPan ? PanFactsOf(slot, ended) : OtherFactsOf(slot);
  }

  FieldFacts PanFactsOf(const Slot& slot, bool ended) const {
    const auto kind = static_cast<size_t>(FieldKind::kPan);
    const uint8_t* digits = slot.digits[kind];
    const uint8_t length = slot.lengths[kind];
    const bool luhn_ok = LuhnOk(digits, length);
    const PanFacts pan = JudgePan(brands_, digits, length, luhn_ok);
    FieldFacts facts;
    facts.length = length;
    facts.date_valid = 2;
    facts.luhn_ok = pan.length_exists && luhn_ok;
    facts.complete = pan.exact != 0 && length >= slot.length_min && length <= slot.length_max;
    facts.full = length >= slot.length_max || (pan.possible != 0 && !pan.longer_exists);
    facts.brands = facts.complete != 0 ? pan.exact : pan.possible;
    // A number that is complete but may still grow fits longer brands too: they stay candidates until the end.
    if (!ended) facts.brands = pan.possible;
    if (facts.complete != 0) {
      const int best = BestBrand(brands_, pan.exact);
      facts.cvc_length = brands_.brands[static_cast<size_t>(best)].cvc_length;
      if (ended) {
        for (size_t i = 0; i < 4; ++i) facts.last4[i] = static_cast<char>('0' + digits[length - 4U + i]);
      }
    }
    return facts;
  }

  FieldFacts OtherFactsOf(const Slot& slot) const {
    const auto kind = static_cast<size_t>(slot.open);
    const uint32_t packed = today_.load(std::memory_order_relaxed);
    const Today today{static_cast<uint16_t>(packed >> 8), static_cast<uint8_t>(packed & 0xFF)};
    FieldFacts facts;
    facts.length = slot.lengths[kind];
    facts.date_valid = 2;
    if (slot.open == FieldKind::kExpiry) facts.date_valid = ExpiryOk(slot.digits[kind], facts.length, today);
    if (slot.open == FieldKind::kStartDate) facts.date_valid = StartDateOk(slot.digits[kind], facts.length, today);
    facts.full = facts.length >= slot.length_max;
    facts.complete = facts.length > 0 && facts.length >= slot.length_min && facts.date_valid != 0;
    return facts;
  }

  const BrandTable brands_;
  const std::unique_ptr<LockedMemory> memory_;
  Slot* const slots_;
  std::vector<uint16_t> free_;
  std::atomic<uint32_t> today_{0};
};

bool TableOk(const BrandTable& table, std::string* error) {
  if (table.brands.empty() || table.brands.size() > kBrandsMax) {
    *error = "brand table has " + std::to_string(table.brands.size()) + " brands, 1 to 32 are possible";
    return false;
  }
  for (const Brand& brand : table.brands) {
    for (const PrefixRange& range : brand.ranges) {
      const bool lengths_ok = range.lengths != 0 && (range.lengths & 1U) == 0 && range.lengths >> (kFieldDigitsMax + 1) == 0;
      if (range.digits == 0 || range.digits > kPrefixDigitsMax || range.first > range.last || !lengths_ok) {
        *error = "brand " + brand.name + " has a range that is not one";
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::unique_ptr<Vault> Vault::Create(const BrandTable& brands, std::string* error) {
  if (!TableOk(brands, error) || !HardenProcess(error)) return nullptr;
  std::unique_ptr<LockedMemory> memory = LockedMemory::Create(sizeof(Slot) * kPaymentsMax, error);
  if (memory == nullptr) return nullptr;
  return std::make_unique<LockedVault>(brands, std::move(memory));
}

}  // namespace hushtone
