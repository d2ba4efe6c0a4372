#include "dtmf/correlate.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <numbers>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hushtone {
namespace {

constexpr size_t kPairs = kBlockSamples / 2;
constexpr size_t kLanes = 2 * kTones;
// Waves have 11 bits: 40 samples of 32,768 times Σ|wave| stay below 2^31, and what rounding adds is 77 dB down.
constexpr double kWaveScale = 2047.0;

struct Tables {
  // Two samples of a wave side by side, cosines of all tones before their sines: what one multiply-add takes.
  alignas(64) int16_t wave[kPairs][kLanes][2];
  // The same a sample at a time, for a CPU without that.
  alignas(64) int16_t plain[kBlockSamples][kLanes];
  Phasors advance;
};

const Tables kTables = [] {
  Tables made{};
  for (size_t tone = 0; tone < kTones; ++tone) {
    const double step = 2.0 * std::numbers::pi * static_cast<double>(kFrequenciesHz[tone]) / kDetectorSampleRate;
    for (size_t n = 0; n < kBlockSamples; ++n) {
      const double angle = step * static_cast<double>(n);
      made.wave[n / 2][tone][n % 2] = static_cast<int16_t>(std::lround(kWaveScale * std::cos(angle)));
      made.wave[n / 2][kTones + tone][n % 2] = static_cast<int16_t>(std::lround(-kWaveScale * std::sin(angle)));
    }
    for (size_t n = 0; n < kBlockSamples; ++n) {
      made.plain[n][tone] = made.wave[n / 2][tone][n % 2];
      made.plain[n][kTones + tone] = made.wave[n / 2][kTones + tone][n % 2];
    }
    const double turn = step * static_cast<double>(kBlockSamples);
    made.advance.re[tone] = static_cast<float>(std::cos(turn));
    made.advance.im[tone] = static_cast<float>(-std::sin(turn));
  }
  return made;
}();

struct Sums {
  alignas(64) int32_t tone[kLanes];
  uint64_t energy, band_energy;
};

typedef float Vector __attribute__((vector_size(32)));

// By reference: a vector as a result has another calling convention on every kind of CPU.
[[gnu::always_inline]] inline void Load(const Lanes& lanes, Vector& vector) { std::memcpy(&vector, lanes.data(), sizeof vector); }

[[gnu::always_inline]] inline void Store(Lanes& lanes, const Vector& vector) {
  std::memcpy(lanes.data(), &vector, sizeof vector);
}

typedef int32_t Integers __attribute__((vector_size(32)));

[[gnu::always_inline]] inline void Order(const Integers& a, const Integers& b, Integers& more, Integers& less) {
  const Integers is_more = a > b;
  more = (a & is_more) | (b & ~is_more);
  less = (b & is_more) | (a & ~is_more);
}

// Positive floats are in the order of their bits, and the last two bits make room for the index. Rows are the lower half
// of the vector, columns the upper; pairs are compared, then the winners, and the next strongest is a loser of either.
[[gnu::always_inline]] inline void Rank(const Vector& power, Spectrum& spectrum) {
  Integers bits;
  std::memcpy(&bits, &power, sizeof bits);
  const Integers keyed = (bits & ~3) | Integers{0, 1, 2, 3, 0, 1, 2, 3};
  Integers more, less, first, second, unused, next;
  Order(keyed, __builtin_shufflevector(keyed, keyed, 1, 0, 3, 2, 5, 4, 7, 6), more, less);
  Order(more, __builtin_shufflevector(more, more, 2, 3, 0, 1, 6, 7, 4, 5), first, second);
  Order(less, __builtin_shufflevector(less, less, 2, 3, 0, 1, 6, 7, 4, 5), next, unused);
  Order(second, next, second, unused);
  const auto at = [&](size_t lane) __attribute__((always_inline)) {
    const int32_t strongest = first[lane], other = second[lane];
    return Strongest{std::bit_cast<float>(strongest), std::bit_cast<float>(other), static_cast<uint32_t>(strongest & 3)};
  };
  spectrum.row = at(0);
  spectrum.column = at(4);
}

// Rounding makes the unit vectors grow or shrink: each turn brings them back by half of what is wrong with their square.
[[gnu::always_inline]] inline void Turn(Phasors& rotation) {
  Vector turn_re, turn_im, step_re, step_im;
  Load(rotation.re, turn_re);
  Load(rotation.im, turn_im);
  Load(kTables.advance.re, step_re);
  Load(kTables.advance.im, step_im);
  const Vector next_re = turn_re * step_re - turn_im * step_im;
  const Vector next_im = turn_re * step_im + turn_im * step_re;
  const Vector mend = 1.5F - 0.5F * (next_re * next_re + next_im * next_im);
  Store(rotation.re, next_re * mend);
  Store(rotation.im, next_im * mend);
}

[[gnu::always_inline]] inline void Add(const Sums& sums, Spectrum& spectrum) {
  Ring& ring = spectrum.ring;
  const size_t now = spectrum.blocks % kRingBlocks;
  Integers cosines, sines;
  std::memcpy(&cosines, sums.tone, sizeof cosines);
  std::memcpy(&sines, sums.tone + kTones, sizeof sines);
  constexpr float kScale = static_cast<float>(1.0 / kWaveScale);
  const Vector re = __builtin_convertvector(cosines, Vector) * kScale;
  const Vector im = __builtin_convertvector(sines, Vector) * kScale;
  Vector turn_re, turn_im;
  Load(spectrum.rotation.re, turn_re);
  Load(spectrum.rotation.im, turn_im);
  Vector window_re = re * turn_re - im * turn_im;
  Vector window_im = re * turn_im + im * turn_re;
  Store(ring.tone[now].re, window_re);
  Store(ring.tone[now].im, window_im);
  float energy = static_cast<float>(static_cast<int64_t>(sums.energy));
  float band_energy = static_cast<float>(static_cast<int64_t>(sums.band_energy));
  ring.energy[now] = energy;
  ring.band_energy[now] = band_energy;
#pragma GCC unroll 3
  for (size_t back = 1; back < kWindowBlocks; ++back) {
    const size_t before = (spectrum.blocks - back) % kRingBlocks;
    Vector before_re, before_im;
    Load(ring.tone[before].re, before_re);
    Load(ring.tone[before].im, before_im);
    window_re += before_re;
    window_im += before_im;
    energy += ring.energy[before];
    band_energy += ring.band_energy[before];
  }
  const Vector power = window_re * window_re + window_im * window_im;
  Store(spectrum.power, power);
  spectrum.energy = energy;
  spectrum.band_energy = band_energy;
  Rank(power, spectrum);
  Turn(spectrum.rotation);
  ++spectrum.blocks;
  ring.unheard[spectrum.blocks % kRingBlocks] = 0;
}

int32_t Saturate(int32_t value) { return value > 32767 ? 32767 : value < -32768 ? -32768 : value; }

void TakePortable(const int16_t* samples, Spectrum& spectrum) {
  Sums sums{};
  for (size_t n = 0; n < kBlockSamples; ++n) {
    const int16_t sample = samples[n];
    for (size_t lane = 0; lane < kLanes; ++lane) sums.tone[lane] += sample * kTables.plain[n][lane];
  }
  for (size_t n = 0; n < kBlockSamples; ++n) {
    sums.energy += static_cast<uint32_t>(samples[n] * samples[n]);
    if (n < 2) continue;
    const int32_t difference = Saturate(samples[n] - samples[n - 2]);
    sums.band_energy += static_cast<uint32_t>(difference * difference);
  }
  Add(sums, spectrum);
}

#if defined(__x86_64__)
// Sums of products of two neighbours reach 2^31, which fits an unsigned lane only.
[[gnu::target("avx2"), gnu::always_inline]] inline __m256i Widen(__m256i pairs) {
  const __m256i low = _mm256_and_si256(pairs, _mm256_set1_epi64x(0xFFFFFFFF));
  return _mm256_add_epi64(low, _mm256_srli_epi64(pairs, 32));
}

[[gnu::target("avx2"), gnu::always_inline]] inline uint64_t AddUp(__m256i sums) {
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return static_cast<uint64_t>(_mm_cvtsi128_si64(two)) + static_cast<uint64_t>(_mm_extract_epi64(two, 1));
}

[[gnu::target("avx2"), gnu::always_inline]] inline __m256i Squares(__m256i values) {
  return Widen(_mm256_madd_epi16(values, values));
}

// 40 samples: two and a half vectors; the differences leave out the first two, which have no partner.
[[gnu::target("avx2"), gnu::always_inline]] inline void Energies(const int16_t* samples, Sums& sums) {
  const auto load = [&](size_t at) __attribute__((always_inline, target("avx2"))) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(samples + at));
  };
  const auto half = [&](size_t at) __attribute__((always_inline, target("avx2"))) {
    return _mm256_zextsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(samples + at)));
  };
  const __m256i first = load(0), second = load(16), third = half(32);
  const __m256i all = _mm256_add_epi64(Squares(first), _mm256_add_epi64(Squares(second), Squares(third)));
  const __m256i head = _mm256_subs_epi16(load(2), first);
  const __m256i middle = _mm256_subs_epi16(load(18), second);
  // Samples 34 to 39 less 32 to 37: the two past the end are shifted out.
  const __m256i tail = _mm256_subs_epi16(_mm256_zextsi128_si256(_mm_srli_si128(_mm256_castsi256_si128(third), 4)),
                                         _mm256_zextsi128_si256(_mm_srli_si128(_mm_slli_si128(_mm256_castsi256_si128(third), 4), 4)));
  const __m256i band = _mm256_add_epi64(Squares(head), _mm256_add_epi64(Squares(middle), Squares(tail)));
  sums.energy = AddUp(all);
  sums.band_energy = AddUp(band);
}

[[gnu::target("avx2")]] void TakeAvx2(const int16_t* samples, Spectrum& spectrum) {
  Sums sums;
  __m256i cosines[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  __m256i sines[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
#pragma GCC unroll 20
  for (size_t pair = 0; pair < kPairs; ++pair) {
    int32_t both;
    std::memcpy(&both, samples + 2 * pair, sizeof both);
    const __m256i factor = _mm256_set1_epi32(both);
    const auto* wave = reinterpret_cast<const __m256i*>(kTables.wave[pair]);
    cosines[pair % 2] = _mm256_add_epi32(cosines[pair % 2], _mm256_madd_epi16(factor, _mm256_load_si256(wave)));
    sines[pair % 2] = _mm256_add_epi32(sines[pair % 2], _mm256_madd_epi16(factor, _mm256_load_si256(wave + 1)));
  }
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums.tone), _mm256_add_epi32(cosines[0], cosines[1]));
  _mm256_store_si256(reinterpret_cast<__m256i*>(sums.tone + kTones), _mm256_add_epi32(sines[0], sines[1]));
  Energies(samples, sums);
  Add(sums, spectrum);
}

// clang, which builds the fuzzers, has no name for the preference and warns.
#if defined(__clang__)
#define HUSHTONE_AVX512 "avx2,avx512f,avx512bw,avx512vl,avx512vnni"
#else
#define HUSHTONE_AVX512 "avx2,avx512f,avx512bw,avx512vl,avx512vnni,prefer-vector-width=512"
#endif

// VNNI: multiplication and addition are one, and the pair of samples is spread by the load.
[[gnu::target(HUSHTONE_AVX512)]] void TakeAvx512(const int16_t* samples, Spectrum& spectrum) {
  Sums sums;
  __m512i tones[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 20
  for (size_t pair = 0; pair < kPairs; ++pair) {
    int32_t both;
    std::memcpy(&both, samples + 2 * pair, sizeof both);
    tones[pair % 4] = _mm512_dpwssd_epi32(tones[pair % 4], _mm512_set1_epi32(both), _mm512_load_si512(kTables.wave[pair]));
  }
  _mm512_store_si512(sums.tone, _mm512_add_epi32(_mm512_add_epi32(tones[0], tones[1]), _mm512_add_epi32(tones[2], tones[3])));
  Energies(samples, sums);
  Add(sums, spectrum);
}
#endif

}  // namespace

Cpu FastestCpu() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) return Cpu::kAvx512;
  if (__builtin_cpu_supports("avx2")) return Cpu::kAvx2;
#endif
  return Cpu::kPortable;
}

TakeBlock TakeBlockOn(Cpu cpu) {
#if defined(__x86_64__)
  const Cpu fastest = FastestCpu();
  if (cpu == Cpu::kAvx512 && fastest == Cpu::kAvx512) return TakeAvx512;
  if (cpu == Cpu::kAvx2 && fastest != Cpu::kPortable) return TakeAvx2;
#endif
  static_cast<void>(cpu);
  return TakePortable;
}

void PassBlock(Spectrum& spectrum) {
  Turn(spectrum.rotation);
  uint8_t& unheard = spectrum.ring.unheard[spectrum.blocks % kRingBlocks];
  if (unheard < kUnheardMax) ++unheard;
  ++spectrum.unheard;
}

void ForgetSound(Spectrum& spectrum) {
  const uint8_t unheard = spectrum.ring.unheard[spectrum.blocks % kRingBlocks];
  spectrum.ring = Ring{};
  spectrum.ring.unheard[spectrum.blocks % kRingBlocks] = unheard;
}

const Phasors& Advance() { return kTables.advance; }

void ResetSpectrum(Spectrum& spectrum) {
  spectrum = Spectrum{};
  spectrum.rotation.re.fill(1.0F);
}

}  // namespace hushtone
