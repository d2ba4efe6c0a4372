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
  // The unspecified address is nobody's: a peer on hold in the old way, or one whose media are not agreed yet. Linux
  // would send there to this host itself.
  bool IsKnown() const { return family != 0 && port != 0 && address != std::array<uint8_t, 16>{}; }
};

}  // namespace hushtone
