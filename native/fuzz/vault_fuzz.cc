// libFuzzer entry of the keys that callers press into the vault: fields opened, keyed, read back, copied and wiped in any
// order. What the vault tells of a field never exceeds what was keyed; a wiped field is empty.
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

#include "fuzz/fuzz_input.h"
#include "vault/field_set.h"
#include "vault/vault.h"

using namespace hushtone;

namespace {

BrandTable Brands() {
  BrandTable table;
  table.brands.push_back({"visa", {{4, 4, 1, 1u << 13 | 1u << 16 | 1u << 19}}, 3, true, 1});
  table.brands.push_back({"mastercard", {{51, 55, 2, 1u << 16}, {222100, 272099, 6, 1u << 16}}, 3, true, 2});
  table.brands.push_back({"american-express", {{34, 34, 2, 1u << 15}, {37, 37, 2, 1u << 15}}, 4, true, 3});
  table.brands.push_back({"local", {{6, 6, 1, 0x7f << 12}}, 0, false, 4});
  return table;
}

void Check(const FieldFacts& facts) {
  if (facts.length > kFieldDigitsMax || facts.cvc_length > 4 || facts.date_valid > 2) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string error;
  static const auto vault = Vault::Create(Brands(), &error);
  if (vault == nullptr) std::abort();
  fuzz::Input input(data, size);
  vault->SetToday(static_cast<uint16_t>(2020 + input.Byte() % 20), static_cast<uint8_t>(1 + input.Byte() % 12));
  const VaultHandle payment = vault->Begin();
  if (payment == 0) std::abort();
  while (!input.IsEmpty()) {
    const uint8_t op = input.Byte();
    const auto kind = static_cast<FieldKind>(op % kFieldKinds);
    KeyResult result;
    std::array<uint8_t, kFieldDigitsMax> digits{};
    FieldSet fields;
    switch (op >> 4) {
      case 0:
        (void)vault->OpenField(payment, {kind, input.Byte(), input.Byte(), input.Byte()});
        break;
      case 1:
        if (vault->NextTypeAhead(payment, &result)) Check(result.facts);
        break;
      case 2:
        Check(vault->CloseField(payment));
        break;
      case 3:
        vault->WipeField(payment, kind);
        if (vault->DigitsForReadBack(payment, kind, digits.data(), digits.size()) != 0) std::abort();
        break;
      case 4:
        if (vault->DigitsForReadBack(payment, kind, digits.data(), input.Byte() % (kFieldDigitsMax + 1)) > kFieldDigitsMax) std::abort();
        break;
      case 5:
        if (!vault->CopyFields(payment, &fields)) std::abort();
        for (const auto& field : fields.fields) {
          if (field.length > kFieldDigitsMax) std::abort();
          for (size_t i = 0; i < field.length; ++i) {
            if (field.digits[i] > 9) std::abort();
          }
        }
        break;
      case 6:
        vault->WipeTypeAhead(payment);
        break;
      case 7:
        if (vault->OnKey(payment + input.Byte(), op, &result)) Check(result.facts);
        break;
      default:
        if (vault->OnKey(payment, op & 0x0f, &result)) {
          Check(result.facts);
          if ((op & 0x0f) > 11) std::abort();
        }
    }
  }
  vault->End(payment);
  return 0;
}
