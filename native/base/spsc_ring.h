// A bounded queue between exactly one writing and one reading thread. No lock, no allocation after construction; a
// full ring refuses, it never waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace hushtone {

template <typename T>
class SpscRing {
 public:
  // `slots` is a power of two.
  explicit SpscRing(size_t slots) : mask_(slots - 1), items_(std::make_unique<T[]>(slots)) {}

  // Writing thread. False: full.
  bool Push(T&& item) {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) > mask_) return false;
    items_[tail & mask_] = std::move(item);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  bool Push(const T& item) {
    T copy = item;
    return Push(std::move(copy));
  }

  // Reading thread. False: empty.
  bool Pop(T* item) {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return false;
    *item = std::move(items_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  bool Empty() const { return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire); }

 private:
  const size_t mask_;
  std::unique_ptr<T[]> items_;
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
};

}  // namespace hushtone
