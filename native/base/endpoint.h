// Where a packet came from or goes to. Compared and copied on the media thread, so it has no string and no pointer.
#pragma once

#include <array>
#include <cstdint>

namespace hushtone {

struct Endpoint {
  uint8_t family = 0;                  // 4, 6, or 0: none.
  uint16_t port = 0;
  std::array<uint8_t, 16> address{};   // Network order; IPv4 in the first four.

  bool operator==(const Endpoint&) const = default;
  bool IsKnown() const { return family != 0 && port != 0; }
};

}  // namespace hushtone
