// Sixteen float lanes in the instruction set of the file that includes this header.
//
// Only for *_isa.cpp files. Everything is forced inline and has internal linkage, so no code of one
// instruction set can be linked into another. Every function gives the same bits in every instruction set:
// multiply-adds are fused, reductions fold halves (lane i with lane i + 8, then + 4, + 2, + 1). larger and
// smaller return the second operand where either is NaN.
#pragma once

#include <stdint.h>

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

#endif

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
