// The vault, key by key, and its rules against slow and obvious ones.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>

#include "test/brand_table.h"
#include "test/check.h"
#include "vault/card_rules.h"
#include "vault/field_set.h"
#include "vault/vault.h"

using namespace hushtone;

namespace {

std::unique_ptr<Vault> NewVault() {
  std::string error;
  auto vault = Vault::Create(test::LoadBrands(), &error);
  if (vault == nullptr) std::fprintf(stderr, "%s\n", error.c_str());
  if (vault != nullptr) vault->SetToday(2026, 11);
  return vault;
}

uint8_t Event(char key) { return static_cast<uint8_t>(key == '*' ? 10 : key == '#' ? 11 : key - '0'); }

KeyResult Press(Vault& vault, VaultHandle payment, const std::string& keys) {
  KeyResult last;
  for (const char key : keys) CHECK(vault.OnKey(payment, Event(key), &last));
  return last;
}

std::string Names(BrandMask mask) {
  static const BrandTable table = test::LoadBrands();
  std::string names;
  for (size_t i = 0; i < table.brands.size(); ++i) {
    if ((mask >> i & 1U) != 0) names += (names.empty() ? "" : " ") + table.brands[i].name;
  }
  return names;
}

struct PanRow {
  const char* keys;
  int complete, full, luhn;
  const char* end;      // "", "hash" or "full"
  const char* last4;
  int cvc;
  const char* brands;
};

const PanRow kPanRows[] = {
    // A 16-digit Visa is complete, but a 19-digit one may still come.
    {"4242424242424242", 1, 0, 1, "", "", 3, "visa"},
    {"4242424242424242#", 1, 0, 1, "hash", "4242", 3, "visa"},
    {"4242424242424241", 0, 0, 0, "", "", 0, "visa"},
    {"4242424242424241#", 0, 0, 0, "hash", "", 0, "visa"},
    {"4000000000000000006", 1, 1, 1, "full", "0006", 3, "visa"},
    {"4007000000027#", 1, 0, 1, "hash", "0027", 3, "visa"},
    {"5555555555554444", 1, 1, 1, "full", "4444", 3, "mastercard"},
    {"2223000010309703", 1, 1, 1, "full", "9703", 3, "mastercard"},
    {"378282246310005", 1, 1, 1, "full", "0005", 4, "amex"},
    {"37828224631000", 0, 0, 0, "", "", 0, "amex"},
    {"378282246310004", 0, 1, 0, "full", "", 0, "amex"},
    {"6011111111111117", 1, 0, 1, "", "", 3, "discover maestro rupay"},
    {"6200000000000001#", 1, 0, 0, "hash", "0001", 3, "unionpay"},   // Luhn fails, and UnionPay does not ask.
    {"3088000000000017#", 1, 0, 1, "hash", "0017", 3, "jcb"},
    {"38000000000006#", 1, 0, 1, "hash", "0006", 3, "diners"},
    {"9", 0, 0, 0, "", "", 0, "troy"},
    {"0", 0, 0, 0, "", "", 0, ""},
    {"0000000000000000000", 0, 1, 0, "full", "", 0, ""},             // No brand: ends at length_max only.
    {"42*5555555555554444", 1, 1, 1, "full", "4444", 3, "mastercard"},
    {"#", 0, 0, 0, "hash", "", 0, nullptr},
};

void PanTable() {
  auto vault = NewVault();
  CHECK(vault != nullptr);
  for (const PanRow& row : kPanRows) {
    const VaultHandle payment = vault->Begin();
    CHECK(vault->OpenField(payment, {FieldKind::kPan, 12, 19, 0}));
    const KeyResult result = Press(*vault, payment, row.keys);
    const FieldFacts& facts = result.facts;
    const char* end = result.end == FieldEnd::kHash ? "hash" : result.end == FieldEnd::kFull ? "full" : "";
    const bool same = facts.complete == row.complete && facts.full == row.full && facts.luhn_ok == row.luhn &&
                      std::string(end) == row.end && std::string(facts.last4, strnlen(facts.last4, 4)) == row.last4 &&
                      facts.cvc_length == row.cvc && (row.brands == nullptr || Names(facts.brands) == row.brands);
    if (!same) {
      std::fprintf(stderr, "row %s: complete %d full %d luhn %d end %s last4 %.4s cvc %d brands %s\n", row.keys,
                   facts.complete, facts.full, facts.luhn_ok, end, facts.last4, facts.cvc_length,
                   Names(facts.brands).c_str());
    }
    CHECK(same);
    vault->End(payment);
  }
}

void DateTable() {
  struct Row { const char* keys; FieldKind kind; int valid; };
  const Row rows[] = {
      {"1126", FieldKind::kExpiry, 1},  // This month: valid through its last day.
      {"1026", FieldKind::kExpiry, 0}, {"1226", FieldKind::kExpiry, 1}, {"1326", FieldKind::kExpiry, 0},
      {"0026", FieldKind::kExpiry, 0}, {"0145", FieldKind::kExpiry, 1}, {"0146", FieldKind::kExpiry, 0},
      {"0160", FieldKind::kExpiry, 0}, {"112", FieldKind::kExpiry, 0},
      {"1126", FieldKind::kStartDate, 1}, {"1226", FieldKind::kStartDate, 0}, {"0107", FieldKind::kStartDate, 1},
      {"0105", FieldKind::kStartDate, 0}, {"1399", FieldKind::kStartDate, 0},
  };
  auto vault = NewVault();
  for (const Row& row : rows) {
    const VaultHandle payment = vault->Begin();
    CHECK(vault->OpenField(payment, {row.kind, 4, 4, 0}));
    const KeyResult result = Press(*vault, payment, row.keys);
    if (result.facts.date_valid != row.valid) std::fprintf(stderr, "date %s\n", row.keys);
    CHECK(result.facts.date_valid == row.valid);
    CHECK(result.facts.complete == (row.valid == 1 && std::strlen(row.keys) == 4));
    vault->End(payment);
  }
  // Two digits around the turn of a century mean the nearest year.
  const uint8_t expiry[] = {0, 1, 0, 5};
  CHECK(ExpiryOk(expiry, 4, {2097, 6}));
  const uint8_t start[] = {0, 1, 9, 5};
  CHECK(StartDateOk(start, 4, {2101, 6}));
  CHECK(!ExpiryOk(expiry, 4, {0, 0}));
}

void TypeAhead() {
  auto vault = NewVault();
  const VaultHandle payment = vault->Begin();
  KeyResult result = Press(*vault, payment, "1228#12");
  CHECK(result.field == FieldKind::kNone && result.facts.length == 0);
  CHECK(!vault->NextTypeAhead(payment, &result));            // No field to take it.
  CHECK(vault->OpenField(payment, {FieldKind::kExpiry, 4, 4, 0}));
  int keys = 0;
  while (vault->NextTypeAhead(payment, &result)) {
    ++keys;
    if (result.end != FieldEnd::kOpen) break;
  }
  CHECK(keys == 4 && result.end == FieldEnd::kFull && result.facts.date_valid == 1);
  CHECK(vault->OpenField(payment, {FieldKind::kCvc, 3, 3, 0}));
  CHECK(vault->NextTypeAhead(payment, &result) && result.end == FieldEnd::kHash && result.facts.length == 0);
  CHECK(vault->OpenField(payment, {FieldKind::kCvc, 3, 3, 0}));
  CHECK(vault->NextTypeAhead(payment, &result) && vault->NextTypeAhead(payment, &result) && result.facts.length == 2);
  CHECK(!vault->NextTypeAhead(payment, &result));
  vault->CloseField(payment);
  // More than the buffer holds: the rest is dropped, nothing overflows.
  Press(*vault, payment, std::string(kTypeAheadMax + 20, '7'));
  vault->WipeTypeAhead(payment);
  CHECK(vault->OpenField(payment, {FieldKind::kCvc, 3, 3, 0}));
  CHECK(!vault->NextTypeAhead(payment, &result));
}

void Handles() {
  auto vault = NewVault();
  KeyResult result;
  const VaultHandle first = vault->Begin();
  CHECK(first != 0);
  CHECK(vault->OpenField(first, {FieldKind::kCvc, 3, 4, 0}));
  Press(*vault, first, "123");
  FieldSet fields;
  CHECK(vault->CopyFields(first, &fields) && fields.Get(FieldKind::kCvc).length == 3 && fields.Get(FieldKind::kCvc).digits[2] == 3);
  uint8_t digits[kFieldDigitsMax] = {};
  CHECK(vault->DigitsForReadBack(first, FieldKind::kCvc, digits, sizeof digits) == 3 && digits[0] == 1);
  CHECK(vault->DigitsForReadBack(first, FieldKind::kCvc, digits, 2) == 0);
  vault->WipeField(first, FieldKind::kCvc);
  CHECK(vault->CopyFields(first, &fields) && fields.Get(FieldKind::kCvc).length == 0 && fields.Get(FieldKind::kCvc).digits[2] == 0);
  vault->End(first);
  vault->End(first);
  CHECK(!vault->OnKey(first, 5, &result) && !vault->CopyFields(first, &fields));
  const VaultHandle second = vault->Begin();
  CHECK(second != first);
  CHECK(!vault->OnKey(second, 12, &result) && !vault->OnKey(second, 255, &result));
  CHECK(!vault->OpenField(second, {FieldKind::kNone, 1, 2, 0}));
  CHECK(!vault->OpenField(second, {static_cast<FieldKind>(9), 1, 2, 0}));
  CHECK(!vault->OpenField(second, {FieldKind::kPan, 12, kFieldDigitsMax + 1, 0}));
  CHECK(!vault->OpenField(second, {FieldKind::kPan, 12, 0, 0}));
  size_t open = 1;
  while (vault->Begin() != 0) ++open;
  CHECK(open == kPaymentsMax);
}

// Against a Luhn written the school way, and "no input changes another payment".
void Properties() {
  std::mt19937 random(20261123);
  const BrandTable table = test::LoadBrands();
  for (int round = 0; round < 20000; ++round) {
    uint8_t digits[19];
    const size_t length = random() % 20;
    for (size_t i = 0; i < length; ++i) digits[i] = static_cast<uint8_t>(random() % 10);
    int sum = 0;
    for (size_t i = 0; i < length; ++i) {
      const int twice[] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
      sum += (length - i) % 2 == 0 ? twice[digits[i]] : digits[i];
    }
    CHECK(LuhnOk(digits, length) == (length > 0 && sum % 10 == 0));
    // More digits never bring a brand back, and a full number has no longer brother.
    const PanFacts now = JudgePan(table, digits, length, true);
    if (length < 19) {
      digits[length] = static_cast<uint8_t>(random() % 10);
      const PanFacts next = JudgePan(table, digits, length + 1, true);
      CHECK((next.possible & ~now.possible) == 0);
      if (!now.longer_exists) CHECK(next.possible == 0);
    }
    CHECK((now.exact & ~now.possible) == 0);
  }
  auto vault = NewVault();
  VaultHandle payments[8];
  std::string kept[8];
  for (auto& payment : payments) {
    payment = vault->Begin();
    vault->OpenField(payment, {FieldKind::kPan, 12, 24, 0});
  }
  for (int round = 0; round < 5000; ++round) {
    const size_t i = random() % 8;
    const auto event = static_cast<uint8_t>(random() % 11);
    KeyResult result;
    CHECK(vault->OnKey(payments[i], event, &result));
    if (event == 10) kept[i].clear();
    else if (result.field == FieldKind::kPan) kept[i] += static_cast<char>('0' + event);
    CHECK(result.field == FieldKind::kNone || result.facts.length == kept[i].size());
    // Last four appear with a finished, checked number only.
    CHECK(result.facts.last4[0] == 0 || (result.end != FieldEnd::kOpen && result.facts.complete != 0));
    if (result.end != FieldEnd::kOpen) {
      FieldSet fields;
      vault->CopyFields(payments[i], &fields);
      const auto& pan = fields.Get(FieldKind::kPan);
      std::string held;
      for (size_t d = 0; d < pan.length; ++d) held += static_cast<char>('0' + pan.digits[d]);
      CHECK(held == kept[i]);
      kept[i].clear();
      vault->WipeTypeAhead(payments[i]);
      vault->OpenField(payments[i], {FieldKind::kPan, 12, 24, 0});
    }
  }
}

// A child of the worker sees nothing, and memory beyond the arena cannot be read.
void ForkAndGuards() {
  std::string error;
  auto memory = LockedMemory::Create(100, &error);
  CHECK(memory != nullptr && memory->size() >= 100);
  std::memset(memory->data(), 0x55, memory->size());
  const pid_t child = fork();
  if (child == 0) {
    for (size_t i = 0; i < memory->size(); ++i) {
      if (memory->data()[i] != 0) _exit(1);
    }
    _exit(0);
  }
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (const long offset : {-1L, static_cast<long>(memory->size())}) {
    int ends[2];
    CHECK(pipe(ends) == 0);
    CHECK(write(ends[1], memory->data() + offset, 1) == -1);  // EFAULT instead of a crash.
    close(ends[0]);
    close(ends[1]);
  }
  CHECK(LockedMemory::Create(size_t{1} << 46, &error) == nullptr && !error.empty());
}

}  // namespace

int main() {
  PanTable();
  DateTable();
  TypeAhead();
  Handles();
  Properties();
  ForkAndGuards();
  return test::Finish();
}
