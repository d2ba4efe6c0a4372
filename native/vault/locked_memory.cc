#include "vault/locked_memory.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hushtone {
namespace {

std::string Reason(const char* call) { return std::string(call) + ": " + std::strerror(errno); }

}  // namespace

std::unique_ptr<LockedMemory> LockedMemory::Create(size_t bytes, std::string* error) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = (bytes + page - 1) / page * page;
  const size_t mapped = size + 2 * page;
  // Everything unreadable at first: the first and the last page stay so and guard the rest.
  void* mapping = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    *error = Reason("mmap");
    return nullptr;
  }
  uint8_t* data = static_cast<uint8_t*>(mapping) + page;
  const char* failed = nullptr;
  if (mprotect(data, size, PROT_READ | PROT_WRITE) != 0) failed = "mprotect";
  else if (mlock(data, size) != 0) failed = "mlock";
  else if (madvise(data, size, MADV_DONTDUMP) != 0) failed = "madvise(MADV_DONTDUMP)";
  // Either keeps a child from seeing digits; WIPEONFORK first, because a child that touches it then reads zeros.
  else if (madvise(data, size, MADV_WIPEONFORK) != 0 && madvise(data, size, MADV_DONTFORK) != 0) failed = "madvise(fork)";
  if (failed != nullptr) {
    *error = Reason(failed) + " (" + std::to_string(size) + " bytes)";
    munmap(mapping, mapped);
    return nullptr;
  }
  return std::unique_ptr<LockedMemory>(new LockedMemory(mapping, mapped, data, size));
}

LockedMemory::~LockedMemory() {
  Wipe(data_, size_);
  munmap(mapping_, mapped_);
}

bool HardenProcess(std::string* error) {
  const rlimit none{0, 0};
  if (setrlimit(RLIMIT_CORE, &none) != 0) {
    *error = Reason("setrlimit(RLIMIT_CORE)");
    return false;
  }
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    *error = Reason("prctl(PR_SET_DUMPABLE)");
    return false;
  }
  return true;
}

void Wipe(void* bytes, size_t size) { explicit_bzero(bytes, size); }

void CopySecret(uint8_t* to, const uint8_t* from, size_t size) {
  volatile uint8_t* target = to;
  for (size_t i = 0; i < size; ++i) target[i] = from[i];
}

}  // namespace hushtone
