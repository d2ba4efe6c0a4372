// The fields of one payment as egress gets them. Lies in locked memory only: see egress/job.h.
#pragma once

#include <cstdint>

#include "vault/locked_memory.h"
#include "vault/vault.h"

namespace hushtone {

struct FieldSet {
  struct Field {
    uint8_t length = 0;
    uint8_t digits[kFieldDigitsMax] = {};  // Values 0-9, not characters.
  };
  Field fields[kFieldKinds];

  FieldSet() = default;
  FieldSet(const FieldSet&) = delete;
  FieldSet& operator=(const FieldSet&) = delete;
  ~FieldSet() { Clear(); }

  const Field& Get(FieldKind kind) const { return fields[static_cast<size_t>(kind)]; }
  void Clear() { Wipe(fields, sizeof fields); }
};

}  // namespace hushtone
