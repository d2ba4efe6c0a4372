// Memory for card digits: mapped between guard pages, locked against swapping, left out of core dumps and of forked
// children, wiped before it is given back.
//
// Thread: Create and the destructor on the control thread; what lies in it belongs to whoever it was handed to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace hushtone {

class LockedMemory {
 public:
  // Null with a reason where the machine refuses, most often RLIMIT_MEMLOCK.
  static std::unique_ptr<LockedMemory> Create(size_t bytes, std::string* error);
  ~LockedMemory();
  LockedMemory(const LockedMemory&) = delete;
  LockedMemory& operator=(const LockedMemory&) = delete;

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  LockedMemory(void* mapping, size_t mapped, uint8_t* data, size_t size)
      : mapping_(mapping), mapped_(mapped), data_(data), size_(size) {}
  void* mapping_;
  size_t mapped_;
  uint8_t* data_;
  size_t size_;
};

// No core files (RLIMIT_CORE 0) and no attaching by other processes of the same user (PR_SET_DUMPABLE 0; a process with
// CAP_SYS_PTRACE still may, which is what the memory tests use). False with a reason.
bool HardenProcess(std::string* error);

void Wipe(void* bytes, size_t size);

// Copies digit by digit. memcpy would carry a whole number through a vector register, and a lazily bound call or a
// signal frame stores those on the stack, where nobody wipes them.
void CopySecret(uint8_t* to, const uint8_t* from, size_t size);

}  // namespace hushtone
