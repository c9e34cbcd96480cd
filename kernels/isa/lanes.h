// Sixteen float lanes in the instruction set of the file that includes this header.
//
// Only for *_isa.cpp files. Everything is forced inline and has internal linkage, so no code of one
// instruction set can be linked into another. Every function gives the same bits in every instruction set:
// multiply-adds are fused, reductions fold halves (lane i with lane i + 8, then + 4, + 2, + 1). larger and
// smaller return the second operand where either is NaN. Of uint16_t, load widens bf16 and store keeps the
// upper half of each lane, which rounded_at_random has made a bf16 number by the draws of rounding_draw.h; of
// int8_t, load gives the whole numbers. load_halves widens f16.
#pragma once

#include <stdint.h>

#include "kernels/isa/rounding_draw.h"

#if defined(__AVX2__)
// GCC 12 takes the undefined pass-through operands inside its own AVX-512 intrinsics for a mistake.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#define ORTHANT_LANES_INLINE [[gnu::always_inline]] inline

namespace orthant::kernels {
namespace {

constexpr int64_t kLanes = 16;

#if defined(__AVX512F__)

struct Lanes {
  __m512 all;
};

ORTHANT_LANES_INLINE Lanes broadcast(float value) {
  return {_mm512_set1_ps(value)};
}
ORTHANT_LANES_INLINE Lanes load(const float* from) {
  return {_mm512_loadu_ps(from)};
}
ORTHANT_LANES_INLINE void store(float* to, Lanes a) {
  _mm512_storeu_ps(to, a.all);
}
ORTHANT_LANES_INLINE __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1u);
}
ORTHANT_LANES_INLINE Lanes load_first(const float* from, int64_t count) {
  return {_mm512_maskz_loadu_ps(first_lanes(count), from)};
}
ORTHANT_LANES_INLINE void store_first(float* to, Lanes a, int64_t count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), a.all);
}
ORTHANT_LANES_INLINE Lanes fused(Lanes a, Lanes b, Lanes c) {
  return {_mm512_fmadd_ps(a.all, b.all, c.all)};
}
ORTHANT_LANES_INLINE Lanes operator+(Lanes a, Lanes b) {
  return {_mm512_add_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE Lanes operator-(Lanes a, Lanes b) {
  return {_mm512_sub_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE Lanes operator*(Lanes a, Lanes b) {
  return {_mm512_mul_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE Lanes operator/(Lanes a, Lanes b) {
  return {_mm512_div_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE Lanes square_root(Lanes a) {
  return {_mm512_sqrt_ps(a.all)};
}
ORTHANT_LANES_INLINE Lanes larger(Lanes a, Lanes b) {
  return {_mm512_max_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE Lanes smaller(Lanes a, Lanes b) {
  return {_mm512_min_ps(a.all, b.all)};
}
ORTHANT_LANES_INLINE uint32_t mask_not_at_most(Lanes a, Lanes b) {
  return _mm512_cmp_ps_mask(a.all, b.all, _CMP_NLE_UQ);
}
ORTHANT_LANES_INLINE Lanes zero_unless_above(Lanes a, Lanes x, Lanes bound) {
  return {_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x.all, bound.all, _CMP_NLE_UQ), a.all)};
}
ORTHANT_LANES_INLINE Lanes times_power_of_two(Lanes a, Lanes exponent) {
  const __m512i bits = _mm512_slli_epi32(_mm512_cvttps_epi32(exponent.all), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.all), bits))};
}
ORTHANT_LANES_INLINE Lanes load(const uint16_t* from) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
ORTHANT_LANES_INLINE Lanes load_halves(const uint16_t* from) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)))};
}
ORTHANT_LANES_INLINE Lanes load(const int8_t* from) {
  const __m128i numbers = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(numbers))};
}
ORTHANT_LANES_INLINE void store(uint16_t* to, Lanes a) {
  const __m512i bits = _mm512_srli_epi32(_mm512_castps_si512(a.all), 16);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(bits));
}
ORTHANT_LANES_INLINE Lanes rounded_at_random(Lanes a, RoundingKey key, int64_t first_column) {
  const auto all = [](uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); };
  const __m512i column =
      _mm512_add_epi32(all(static_cast<uint32_t>(first_column)),
                       _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  __m512i mixed = _mm512_add_epi32(_mm512_mullo_epi32(column, all(kRoundingColumn)), all(key.first));
  mixed = _mm512_mullo_epi32(_mm512_xor_si512(mixed, _mm512_srli_epi32(mixed, 16)), all(kRoundingFirst));
  mixed = _mm512_add_epi32(_mm512_xor_si512(mixed, _mm512_srli_epi32(mixed, 15)), all(key.second));
  const __m512i draw = _mm512_srli_epi32(_mm512_mullo_epi32(mixed, all(kRoundingSecond)), 16);
  const __m512i bits = _mm512_castps_si512(a.all);
  const __mmask16 is_nan = _mm512_cmp_ps_mask(a.all, a.all, _CMP_UNORD_Q);
  const __m512i drawn = _mm512_mask_or_epi32(_mm512_add_epi32(bits, draw), is_nan, bits, all(0x400000u));
  return {_mm512_castsi512_ps(_mm512_and_si512(drawn, all(0xffff0000u)))};
}

#elif defined(__AVX2__)

struct Lanes {
  __m256 low, high;
};

ORTHANT_LANES_INLINE Lanes broadcast(float value) {
  return {_mm256_set1_ps(value), _mm256_set1_ps(value)};
}
ORTHANT_LANES_INLINE Lanes load(const float* from) {
  return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
}
ORTHANT_LANES_INLINE void store(float* to, Lanes a) {
  _mm256_storeu_ps(to, a.low);
  _mm256_storeu_ps(to + 8, a.high);
}
ORTHANT_LANES_INLINE __m256i lanes_below(int64_t count, int first) {
  const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
}
ORTHANT_LANES_INLINE Lanes load_first(const float* from, int64_t count) {
  return {_mm256_maskload_ps(from, lanes_below(count, 0)),
          _mm256_maskload_ps(from + 8, lanes_below(count, 8))};
}
ORTHANT_LANES_INLINE void store_first(float* to, Lanes a, int64_t count) {
  _mm256_maskstore_ps(to, lanes_below(count, 0), a.low);
  _mm256_maskstore_ps(to + 8, lanes_below(count, 8), a.high);
}
ORTHANT_LANES_INLINE Lanes fused(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
ORTHANT_LANES_INLINE Lanes operator+(Lanes a, Lanes b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE Lanes operator-(Lanes a, Lanes b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE Lanes operator*(Lanes a, Lanes b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE Lanes operator/(Lanes a, Lanes b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE Lanes square_root(Lanes a) {
  return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)};
}
ORTHANT_LANES_INLINE Lanes larger(Lanes a, Lanes b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE Lanes smaller(Lanes a, Lanes b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
ORTHANT_LANES_INLINE uint32_t mask_not_at_most(Lanes a, Lanes b) {
  const int low = _mm256_movemask_ps(_mm256_cmp_ps(a.low, b.low, _CMP_NLE_UQ));
  const int high = _mm256_movemask_ps(_mm256_cmp_ps(a.high, b.high, _CMP_NLE_UQ));
  return static_cast<uint32_t>(low | (high << 8));
}
ORTHANT_LANES_INLINE Lanes zero_unless_above(Lanes a, Lanes x, Lanes bound) {
  return {_mm256_and_ps(a.low, _mm256_cmp_ps(x.low, bound.low, _CMP_NLE_UQ)),
          _mm256_and_ps(a.high, _mm256_cmp_ps(x.high, bound.high, _CMP_NLE_UQ))};
}
ORTHANT_LANES_INLINE __m256 times_power_of_two(__m256 a, __m256 exponent) {
  const __m256i bits = _mm256_slli_epi32(_mm256_cvttps_epi32(exponent), 23);
  return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), bits));
}
ORTHANT_LANES_INLINE Lanes times_power_of_two(Lanes a, Lanes exponent) {
  return {times_power_of_two(a.low, exponent.low), times_power_of_two(a.high, exponent.high)};
}
ORTHANT_LANES_INLINE Lanes load(const uint16_t* from) {
  const auto half = [&](int64_t first) {
    const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + first));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  };
  return {half(0), half(8)};
}
ORTHANT_LANES_INLINE Lanes load_halves(const uint16_t* from) {
  const auto half = [&](int64_t first) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from + first)));
  };
  return {half(0), half(8)};
}
ORTHANT_LANES_INLINE Lanes load(const int8_t* from) {
  const auto half = [&](int64_t first) {
    const __m128i numbers = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + first));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(numbers));
  };
  return {half(0), half(8)};
}
ORTHANT_LANES_INLINE void store(uint16_t* to, Lanes a) {
  const __m256i low = _mm256_srli_epi32(_mm256_castps_si256(a.low), 16);
  const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(a.high), 16);
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), packed);
}
ORTHANT_LANES_INLINE __m256 rounded_at_random(__m256 a, RoundingKey key, int64_t first_column) {
  const auto all = [](uint32_t value) { return _mm256_set1_epi32(static_cast<int>(value)); };
  const __m256i column =
      _mm256_add_epi32(all(static_cast<uint32_t>(first_column)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  __m256i mixed = _mm256_add_epi32(_mm256_mullo_epi32(column, all(kRoundingColumn)), all(key.first));
  mixed = _mm256_mullo_epi32(_mm256_xor_si256(mixed, _mm256_srli_epi32(mixed, 16)), all(kRoundingFirst));
  mixed = _mm256_add_epi32(_mm256_xor_si256(mixed, _mm256_srli_epi32(mixed, 15)), all(key.second));
  const __m256i draw = _mm256_srli_epi32(_mm256_mullo_epi32(mixed, all(kRoundingSecond)), 16);
  const __m256i bits = _mm256_castps_si256(a);
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
  const __m256i drawn =
      _mm256_blendv_epi8(_mm256_add_epi32(bits, draw), _mm256_or_si256(bits, all(0x400000u)), is_nan);
  return _mm256_castsi256_ps(_mm256_and_si256(drawn, all(0xffff0000u)));
}
ORTHANT_LANES_INLINE Lanes rounded_at_random(Lanes a, RoundingKey key, int64_t first_column) {
  return {rounded_at_random(a.low, key, first_column), rounded_at_random(a.high, key, first_column + 8)};
}

#else

struct Lanes {
  float of[kLanes];
};

template <typename Function>
ORTHANT_LANES_INLINE Lanes per_lane(Function function) {
  Lanes result;
  for (int64_t i = 0; i < kLanes; ++i) result.of[i] = function(i);
  return result;
}
ORTHANT_LANES_INLINE Lanes broadcast(float value) {
  return per_lane([&](int64_t) { return value; });
}
ORTHANT_LANES_INLINE Lanes load(const float* from) {
  return per_lane([&](int64_t i) { return from[i]; });
}
ORTHANT_LANES_INLINE void store(float* to, Lanes a) {
  for (int64_t i = 0; i < kLanes; ++i) to[i] = a.of[i];
}
ORTHANT_LANES_INLINE Lanes load_first(const float* from, int64_t count) {
  return per_lane([&](int64_t i) { return i < count ? from[i] : 0.0f; });
}
ORTHANT_LANES_INLINE void store_first(float* to, Lanes a, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = a.of[i];
}
ORTHANT_LANES_INLINE Lanes fused(Lanes a, Lanes b, Lanes c) {
  return per_lane([&](int64_t i) { return __builtin_fmaf(a.of[i], b.of[i], c.of[i]); });
}
ORTHANT_LANES_INLINE Lanes operator+(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] + b.of[i]; });
}
ORTHANT_LANES_INLINE Lanes operator-(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] - b.of[i]; });
}
ORTHANT_LANES_INLINE Lanes operator*(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] * b.of[i]; });
}
ORTHANT_LANES_INLINE Lanes operator/(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] / b.of[i]; });
}
ORTHANT_LANES_INLINE Lanes square_root(Lanes a) {
  return per_lane([&](int64_t i) { return __builtin_sqrtf(a.of[i]); });
}
ORTHANT_LANES_INLINE Lanes larger(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] > b.of[i] ? a.of[i] : b.of[i]; });
}
ORTHANT_LANES_INLINE Lanes smaller(Lanes a, Lanes b) {
  return per_lane([&](int64_t i) { return a.of[i] < b.of[i] ? a.of[i] : b.of[i]; });
}
ORTHANT_LANES_INLINE uint32_t mask_not_at_most(Lanes a, Lanes b) {
  uint32_t mask = 0;
  for (int64_t i = 0; i < kLanes; ++i) mask |= (a.of[i] <= b.of[i] ? 0u : 1u) << i;
  return mask;
}
ORTHANT_LANES_INLINE Lanes zero_unless_above(Lanes a, Lanes x, Lanes bound) {
  return per_lane([&](int64_t i) { return x.of[i] <= bound.of[i] ? 0.0f : a.of[i]; });
}
ORTHANT_LANES_INLINE Lanes times_power_of_two(Lanes a, Lanes exponent) {
  return per_lane([&](int64_t i) {
    uint32_t bits;
    __builtin_memcpy(&bits, &a.of[i], sizeof bits);
    bits += static_cast<uint32_t>(static_cast<int32_t>(exponent.of[i])) << 23;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  });
}
ORTHANT_LANES_INLINE Lanes load(const uint16_t* from) {
  return per_lane([&](int64_t i) {
    const uint32_t bits = static_cast<uint32_t>(from[i]) << 16;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  });
}
ORTHANT_LANES_INLINE Lanes load_halves(const uint16_t* from) {
  return per_lane([&](int64_t i) {
    const uint32_t sign = (from[i] & 0x8000u) << 16, magnitude = from[i] & 0x7fffu;
    uint32_t bits = magnitude << 13;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    result *= 0x1p112f;  // the exponents of the two formats differ by this; exact for subnormals too
    __builtin_memcpy(&bits, &result, sizeof bits);
    bits = (magnitude < 0x7c00u ? bits : magnitude << 13 | 0x7f800000u) | sign;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  });
}
ORTHANT_LANES_INLINE Lanes load(const int8_t* from) {
  return per_lane([&](int64_t i) { return static_cast<float>(from[i]); });
}
ORTHANT_LANES_INLINE void store(uint16_t* to, Lanes a) {
  for (int64_t i = 0; i < kLanes; ++i) {
    uint32_t bits;
    __builtin_memcpy(&bits, &a.of[i], sizeof bits);
    to[i] = static_cast<uint16_t>(bits >> 16);
  }
}
ORTHANT_LANES_INLINE Lanes rounded_at_random(Lanes a, RoundingKey key, int64_t first_column) {
  return per_lane([&](int64_t i) {
    uint32_t mixed = static_cast<uint32_t>(first_column + i) * kRoundingColumn + key.first;
    mixed = (mixed ^ mixed >> 16) * kRoundingFirst;
    mixed = (mixed ^ mixed >> 15) + key.second;
    const uint32_t draw = mixed * kRoundingSecond >> 16;
    uint32_t bits;
    __builtin_memcpy(&bits, &a.of[i], sizeof bits);
    bits = (a.of[i] != a.of[i] ? bits | 0x400000u : bits + draw) & 0xffff0000u;
    float result;
    __builtin_memcpy(&result, &bits, sizeof result);
    return result;
  });
}

#endif

ORTHANT_LANES_INLINE Lanes load_first(const uint16_t* from, int64_t count) {
  uint16_t padded[kLanes] = {};
  for (int64_t i = 0; i < count; ++i) padded[i] = from[i];
  return load(padded);
}
ORTHANT_LANES_INLINE void store_first(uint16_t* to, Lanes a, int64_t count) {
  uint16_t padded[kLanes];
  store(padded, a);
  for (int64_t i = 0; i < count; ++i) to[i] = padded[i];
}

ORTHANT_LANES_INLINE float folded_sum(Lanes a) {
  float lanes[kLanes];
  store(lanes, a);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  }
  return lanes[0];
}

ORTHANT_LANES_INLINE float folded_max(Lanes a) {
  float lanes[kLanes];
  store(lanes, a);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) lanes[i] = lanes[i] > lanes[i + half] ? lanes[i] : lanes[i + half];
  }
  return lanes[0];
}

}  // namespace
}  // namespace orthant::kernels
