#include "audio/g711.h"

#include <algorithm>
#include <array>
#include <bit>

namespace hushtone {
namespace {

constexpr int16_t MuToLinear(uint8_t code) {
  const int inverted = ~code & 0xff;
  const int exponent = (inverted >> 4) & 7;
  const int magnitude = ((((inverted & 0x0f) << 3) + 0x84) << exponent) - 0x84;
  return static_cast<int16_t>((inverted & 0x80) != 0 ? -magnitude : magnitude);
}

constexpr int16_t AToLinear(uint8_t code) {
  const int toggled = code ^ 0x55;
  const int exponent = (toggled >> 4) & 7;
  int magnitude = ((toggled & 0x0f) << 4) + 8;
  if (exponent > 0) magnitude = (magnitude + 0x100) << (exponent - 1);
  return static_cast<int16_t>((toggled & 0x80) != 0 ? magnitude : -magnitude);
}

// Negative samples count by their one's complement, as in the reference software of ITU-T G.191: so 14 bits decide.
constexpr uint8_t LinearToMu(int sample) {
  constexpr int kClip = 32635;
  constexpr int kBias = 0x84;
  const int sign = sample < 0 ? 0x80 : 0;
  int magnitude = sample < 0 ? ~sample : sample;
  if (magnitude > kClip) magnitude = kClip;
  magnitude += kBias;
  int exponent = 7;
  for (int bit = 0x4000; exponent > 0 && (magnitude & bit) == 0; bit >>= 1) --exponent;
  const int mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return static_cast<uint8_t>(~(sign | (exponent << 4) | mantissa) & 0xff);
}

constexpr uint8_t LinearToA(int sample) {
  const int sign = sample >= 0 ? 0x80 : 0;
  int magnitude = sample >= 0 ? sample : ~sample;
  if (magnitude > 32767) magnitude = 32767;
  int exponent = 7;
  for (int bit = 0x4000; exponent > 0 && (magnitude & bit) == 0; bit >>= 1) --exponent;
  const int mantissa = (magnitude >> (exponent == 0 ? 4 : exponent + 3)) & 0x0f;
  return static_cast<uint8_t>((sign | (exponent << 4) | mantissa) ^ 0x55);
}

constexpr size_t kCodes = 256;
constexpr int kEncodeShift = 2;                       // 14 bits decide a µ-law code, 13 an A-law code.
constexpr size_t kEncodeEntries = 65536 >> kEncodeShift;

struct Tables {
  std::array<int16_t, kCodes> decode[2];
  std::array<uint8_t, kEncodeEntries> encode[2];
};

Tables MakeTables() {
  Tables tables{};
  for (size_t code = 0; code < kCodes; ++code) {
    tables.decode[0][code] = MuToLinear(static_cast<uint8_t>(code));
    tables.decode[1][code] = AToLinear(static_cast<uint8_t>(code));
  }
  for (size_t entry = 0; entry < kEncodeEntries; ++entry) {
    const int sample = static_cast<int16_t>(static_cast<uint16_t>(entry << kEncodeShift));
    tables.encode[0][entry] = LinearToMu(sample);
    tables.encode[1][entry] = LinearToA(sample);
  }
  return tables;
}

const Tables& TheTables() {
  static const Tables tables = MakeTables();
  return tables;
}

// A frame is encoded without a table: 16 kB of entries would push a leg's own state out of the nearest cache, and vectors
// do eight samples at once. The exponent is the one that the processor finds when it makes a float of the magnitude: exact,
// because 16 bits fit into its mantissa, and cut off, because it is read as bits. Decoding's 512 bytes stay a table.
[[gnu::always_inline]] inline void EncodeBody(Law law, const int16_t* in, size_t count, uint8_t* out) {
  constexpr int32_t kExponentShift = 23;
  constexpr int32_t kExponentBias = 127;
  constexpr int32_t kMantissaShift = kExponentShift - 4;
  if (law == Law::kMu) {
    for (size_t i = 0; i < count; ++i) {
      const int32_t sample = in[i];
      const int32_t magnitude = std::min(sample < 0 ? ~sample : sample, 32635) + 0x84;   // At least 2^7.
      const auto bits = std::bit_cast<int32_t>(static_cast<float>(magnitude));
      const int32_t exponent = (bits >> kExponentShift) - kExponentBias - 7;
      const int32_t code = (sample < 0 ? 0x80 : 0) | exponent << 4 | (bits >> kMantissaShift & 0x0f);
      out[i] = static_cast<uint8_t>(~code);
    }
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const int32_t sample = in[i];
    const int32_t magnitude = sample >= 0 ? sample : ~sample;
    const auto bits = std::bit_cast<int32_t>(static_cast<float>(std::max(magnitude, 0x100)));   // Below 2^8 it is linear.
    const int32_t exponent = (bits >> kExponentShift) - kExponentBias - 7;
    const int32_t curved = exponent << 4 | (bits >> kMantissaShift & 0x0f);
    const int32_t linear = magnitude >> 4;
    const int32_t code = (sample >= 0 ? 0x80 : 0) | (magnitude < 0x100 ? linear : curved);
    out[i] = static_cast<uint8_t>(code ^ 0x55);
  }
}

#if defined(__x86_64__)
[[gnu::target("avx2")]] void EncodeAvx2(Law law, const int16_t* in, size_t count, uint8_t* out) {
  EncodeBody(law, in, count, out);
}
const bool kHasAvx2 = __builtin_cpu_supports("avx2");
#endif

}  // namespace

int16_t DecodeSample(Law law, uint8_t code) { return TheTables().decode[law == Law::kA][code]; }

uint8_t EncodeSample(Law law, int16_t sample) {
  return TheTables().encode[law == Law::kA][static_cast<uint16_t>(sample) >> kEncodeShift];
}

void Decode(Law law, std::span<const uint8_t> in, int16_t* out) {
  const auto& table = TheTables().decode[law == Law::kA];
  for (const uint8_t code : in) *out++ = table[code];
}

void Encode(Law law, std::span<const int16_t> in, uint8_t* out) {
#if defined(__x86_64__)
  if (kHasAvx2) return EncodeAvx2(law, in.data(), in.size(), out);
#endif
  EncodeBody(law, in.data(), in.size(), out);
}

}  // namespace hushtone
