// Network byte order, read and written at places the caller has proved to exist.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hushtone {

inline uint16_t ReadU16(const uint8_t* at) { return static_cast<uint16_t>((at[0] << 8) | at[1]); }

inline uint32_t ReadU32(const uint8_t* at) {
  return (static_cast<uint32_t>(at[0]) << 24) | (static_cast<uint32_t>(at[1]) << 16) |
         (static_cast<uint32_t>(at[2]) << 8) | static_cast<uint32_t>(at[3]);
}

inline void WriteU16(uint8_t* at, uint16_t value) {
  at[0] = static_cast<uint8_t>(value >> 8);
  at[1] = static_cast<uint8_t>(value);
}

inline void WriteU32(uint8_t* at, uint32_t value) {
  WriteU16(at, static_cast<uint16_t>(value >> 16));
  WriteU16(at + 2, static_cast<uint16_t>(value));
}

// Serial number arithmetic: is `a` after `b`, given that they are less than half the circle apart?
inline bool IsNewer16(uint16_t a, uint16_t b) { return static_cast<int16_t>(static_cast<uint16_t>(a - b)) > 0; }
inline bool IsNewer32(uint32_t a, uint32_t b) { return static_cast<int32_t>(a - b) > 0; }

}  // namespace hushtone
