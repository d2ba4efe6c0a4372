// Raw audio files of the benchmarks: 16 bit little-endian, 8 kHz, mono.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <vector>

namespace hushtone::bench {

inline std::vector<int16_t> ReadRaw(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::vector<char> bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  std::vector<int16_t> samples(bytes.size() / 2);
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<int16_t>(static_cast<uint8_t>(bytes[2 * i]) | static_cast<uint8_t>(bytes[2 * i + 1]) << 8);
  }
  return samples;
}

inline void WriteRaw(const std::string& path, std::span<const int16_t> samples) {
  std::ofstream file(path, std::ios::binary);
  for (const int16_t sample : samples) {
    file.put(static_cast<char>(sample & 0xff));
    file.put(static_cast<char>(sample >> 8 & 0xff));
  }
}

}  // namespace hushtone::bench
