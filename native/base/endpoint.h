// Where a packet came from or goes to. Compared and copied on the media thread, so it has no string and no pointer.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace hushtone {

struct Endpoint {
  uint8_t family = 0;                  // 4, 6, or 0: none.
  uint16_t port = 0;
  std::array<uint8_t, 16> address{};   // Network order; IPv4 in the first four.

  // Two words, not sixteen bytes: this is asked several times a packet, and a call to memcmp would show.
  bool operator==(const Endpoint& other) const {
    return family == other.family && port == other.port && Words() == other.Words();
  }
  // The unspecified address is nobody's: a peer on hold in the old way, or one whose media are not agreed yet. Linux
  // would send there to this host itself.
  bool IsKnown() const {
    const auto [low, high] = Words();
    return family != 0 && port != 0 && (low | high) != 0;
  }

 private:
  std::array<uint64_t, 2> Words() const { return std::bit_cast<std::array<uint64_t, 2>>(address); }
};

}  // namespace hushtone
