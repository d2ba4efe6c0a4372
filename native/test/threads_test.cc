// What several threads share, by itself and under load: for the thread sanitizer, which sees only what runs. Bounded by counts.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/spsc_ring.h"
#include "brand_table.h"
#include "check.h"
#include "io/resolver.h"
#include "vault/vault.h"

using namespace hushtone;

namespace {

constexpr size_t kItems = 100'000;
constexpr uint8_t kExpiry[] = {1, 2, 3, 0};           // December 2030.

// One writes, one reads; what is refused is tried again, so everything arrives, in order and whole.
void RingHandsOverInOrder() {
  SpscRing<std::unique_ptr<size_t>> ring(64);
  size_t refused = 0;
  std::thread writer([&] {
    for (size_t i = 0; i < kItems; ++i) {
      auto item = std::make_unique<size_t>(i);
      while (!ring.Push(std::move(item))) {
        ++refused;
        std::this_thread::yield();
      }
    }
  });
  size_t in_order = 0;
  for (size_t expected = 0; expected < kItems;) {
    std::unique_ptr<size_t> item;
    if (!ring.Pop(&item)) {
      std::this_thread::yield();
      continue;
    }
    if (item != nullptr && *item == expected) ++in_order;
    ++expected;
  }
  writer.join();
  CHECK(in_order == kItems);
  CHECK(ring.Empty());
  std::printf("ring: %zu items, %zu refused while full\n", kItems, refused);
}

// Numbers only: no name server is asked. Askers lose interest, and the resolver ends while answers are due.
void ResolverEndsWhileAskedOf() {
  std::atomic<size_t> notified{0};
  size_t answered = 0;
  for (int round = 0; round < 20; ++round) {
    Resolver resolver([&] { notified.fetch_add(1); });
    std::vector<std::shared_ptr<Resolution>> kept;
    for (uint16_t port = 1; port <= 50; ++port) {
      auto resolution = resolver.Ask(port % 2 == 0 ? "127.0.0.1" : "localhost", port);
      CHECK(resolution != nullptr);
      if (port % 3 != 0) kept.push_back(std::move(resolution));
    }
    for (const auto& resolution : kept) {
      if (resolution->done.load()) ++answered;
    }
  }
  CHECK(answered > 0);
}

// The date is told by another thread than the one that keys.
void DateIsToldWhileKeysArePressed() {
  std::string error;
  const auto vault = Vault::Create(test::LoadBrands(), &error);
  CHECK(vault != nullptr);
  if (vault == nullptr) return;
  vault->SetToday(2026, 1);
  std::atomic<bool> ends{false};
  std::thread host([&] {
    for (uint8_t month = 1; !ends.load(); month = static_cast<uint8_t>(month % 12 + 1)) vault->SetToday(2026, month);
  });
  size_t valid = 0;
  for (size_t round = 0; round < 500; ++round) {
    const VaultHandle payment = vault->Begin();
    (void)vault->OpenField(payment, {FieldKind::kExpiry, 4, 4, 0});
    KeyResult result;
    for (const uint8_t key : kExpiry) (void)vault->OnKey(payment, key, &result);
    if (result.end == FieldEnd::kFull && result.facts.date_valid == 1) ++valid;
    vault->End(payment);
  }
  ends.store(true);
  host.join();
  CHECK(valid == 500);
}

}  // namespace

int main() {
  RingHandsOverInOrder();
  ResolverEndsWhileAskedOf();
  DateIsToldWhileKeysArePressed();
  return test::Finish();
}
