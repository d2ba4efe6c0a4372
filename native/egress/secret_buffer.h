// A bounded writer over locked memory that somebody else owns. It never grows: what does not fit sets `overflowed`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "vault/locked_memory.h"

namespace hushtone {

class SecretBuffer {
 public:
  explicit SecretBuffer(std::span<uint8_t> memory) : memory_(memory) {}

  void Append(std::string_view text) {
    for (const char c : text) AppendByte(static_cast<uint8_t>(c));
  }
  void AppendByte(uint8_t byte) {
    if (size_ == memory_.size()) {
      overflowed_ = true;
      return;
    }
    memory_[size_++] = byte;
  }
  void AppendDigit(uint8_t value) { AppendByte(static_cast<uint8_t>('0' + value)); }

  std::span<uint8_t> bytes() const { return memory_.first(size_); }
  size_t size() const { return size_; }
  bool overflowed() const { return overflowed_; }
  void Clear() {
    Wipe(memory_.data(), memory_.size());
    size_ = 0;
    overflowed_ = false;
  }

 private:
  std::span<uint8_t> memory_;
  size_t size_ = 0;
  bool overflowed_ = false;
};

}  // namespace hushtone
