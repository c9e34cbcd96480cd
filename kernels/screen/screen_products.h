// Exact products of gathered rows, sixteen at a time: what a screen leaves. Each is one chain of fused
// multiply-adds over the depth in its own lane, as in matmul_nt (kernels/dense/gemm.h).
//
// Only for files that are compiled for one instruction set, AVX2 or more; as in lanes.h everything has
// internal linkage.
#pragma once

#include <string.h>

#include "kernels/isa/lanes.h"
#include "kernels/screen/screen.h"

namespace orthant::kernels {
namespace {

#if defined(__AVX512F__)

ORTHANT_LANES_INLINE Lanes rounded_to_bf16(Lanes values) {
  const __m512i bits = _mm512_castps_si512(values.all);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(values.all, values.all, _CMP_UNORD_Q);
  const __m512i chosen = _mm512_mask_or_epi32(nearest, is_nan, bits, _mm512_set1_epi32(0x400000));
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  return {_mm512_castsi512_ps(_mm512_and_si512(chosen, upper))};
}

// Columns k .. k + 4 of 16 rows: lane r of columns[c] is rows[r][c].
template <typename Load>
ORTHANT_LANES_INLINE void load_columns(const float* const* rows, int64_t k, const Load& load,
                                       Lanes* columns) {
  __m512 groups[4];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    groups[g] = _mm512_castps128_ps512(load(rows[g] + k));
    groups[g] = _mm512_insertf32x4(groups[g], load(rows[g + 4] + k), 1);
    groups[g] = _mm512_insertf32x4(groups[g], load(rows[g + 8] + k), 2);
    groups[g] = _mm512_insertf32x4(groups[g], load(rows[g + 12] + k), 3);
  }
  const __m512d low_01 = _mm512_castps_pd(_mm512_unpacklo_ps(groups[0], groups[1]));
  const __m512d high_01 = _mm512_castps_pd(_mm512_unpackhi_ps(groups[0], groups[1]));
  const __m512d low_23 = _mm512_castps_pd(_mm512_unpacklo_ps(groups[2], groups[3]));
  const __m512d high_23 = _mm512_castps_pd(_mm512_unpackhi_ps(groups[2], groups[3]));
  columns[0] = {_mm512_castpd_ps(_mm512_unpacklo_pd(low_01, low_23))};
  columns[1] = {_mm512_castpd_ps(_mm512_unpackhi_pd(low_01, low_23))};
  columns[2] = {_mm512_castpd_ps(_mm512_unpacklo_pd(high_01, high_23))};
  columns[3] = {_mm512_castpd_ps(_mm512_unpackhi_pd(high_01, high_23))};
}

#elif defined(__AVX2__)

ORTHANT_LANES_INLINE __m256 rounded_to_bf16(__m256 values) {
  const __m256i bits = _mm256_castps_si256(values);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i nearest = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  const __m256 is_nan = _mm256_cmp_ps(values, values, _CMP_UNORD_Q);
  const __m256i chosen = _mm256_blendv_epi8(nearest, quiet, _mm256_castps_si256(is_nan));
  return _mm256_castsi256_ps(_mm256_and_si256(chosen, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}
ORTHANT_LANES_INLINE Lanes rounded_to_bf16(Lanes values) {
  return {rounded_to_bf16(values.low), rounded_to_bf16(values.high)};
}

// Columns k .. k + 4 of 8 rows: lane r of columns[c] is rows[r][c].
template <typename Load>
ORTHANT_LANES_INLINE void load_half_columns(const float* const* rows, int64_t k, const Load& load,
                                            __m256* columns) {
  __m256 groups[4];
#pragma GCC unroll 4
  for (int g = 0; g < 4; ++g) {
    groups[g] = _mm256_insertf128_ps(_mm256_castps128_ps256(load(rows[g] + k)), load(rows[g + 4] + k), 1);
  }
  const __m256d low_01 = _mm256_castps_pd(_mm256_unpacklo_ps(groups[0], groups[1]));
  const __m256d high_01 = _mm256_castps_pd(_mm256_unpackhi_ps(groups[0], groups[1]));
  const __m256d low_23 = _mm256_castps_pd(_mm256_unpacklo_ps(groups[2], groups[3]));
  const __m256d high_23 = _mm256_castps_pd(_mm256_unpackhi_ps(groups[2], groups[3]));
  columns[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_01, low_23));
  columns[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_01, low_23));
  columns[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_01, high_23));
  columns[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_01, high_23));
}

// Columns k .. k + 4 of 16 rows: lane r of columns[c] is rows[r][c].
template <typename Load>
ORTHANT_LANES_INLINE void load_columns(const float* const* rows, int64_t k, const Load& load,
                                       Lanes* columns) {
  __m256 low[4], high[4];
  load_half_columns(rows, k, load, low);
  load_half_columns(rows + 8, k, load, high);
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) columns[c] = {low[c], high[c]};
}

#endif

#if defined(__AVX2__)

// visit(columns [count], first column, count) for all columns of 16 rows, four at a time.
template <typename Visit>
ORTHANT_LANES_INLINE void each_columns(int64_t depth, const Visit& visit) {
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4) visit(k, 4, [](const float* from) { return _mm_loadu_ps(from); });
  if (k == depth) return;
  const __m128i there =
      _mm_cmpgt_epi32(_mm_set1_epi32(static_cast<int>(depth - k)), _mm_setr_epi32(0, 1, 2, 3));
  visit(k, depth - k, [there](const float* from) { return _mm_maskload_ps(from, there); });
}

template <bool kRounds>
ORTHANT_LANES_INLINE Lanes operand(Lanes values) {
  if constexpr (kRounds) return rounded_to_bf16(values);
  return values;
}

template <bool kRounds>
void products_of_sixteen(const ChosenProducts& args, const float* const* rows, float* products) {
  Lanes sums = broadcast(0.0f);
  each_columns(args.depth, [&](int64_t k, int64_t count, const auto& load) {
    Lanes columns[4];
    load_columns(rows, k, load, columns);
#pragma GCC unroll 4
    for (int64_t c = 0; c < count; ++c) {
      sums = fused(operand<kRounds>(broadcast(args.x[k + c])), operand<kRounds>(columns[c]), sums);
    }
  });
  store(products, sums);
}

void chosen_products(const ChosenProducts& args) {
  for (int64_t first = 0; first < args.count; first += kLanes) {
    const int64_t count = args.count - first < kLanes ? args.count - first : kLanes;
    const float* rows[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      rows[i] = args.weights + args.chosen[first + (i < count ? i : 0)] * args.depth;
    }
    float products[kLanes];
    args.rounds ? products_of_sixteen<true>(args, rows, products)
                : products_of_sixteen<false>(args, rows, products);
    memcpy(args.products + first, products, static_cast<size_t>(count) * sizeof(float));
  }
}

void pair_products(const PairProducts& args) {
  for (int64_t begin = 0; begin < args.count; begin += kLanes) {
    const int64_t count = args.count - begin < kLanes ? args.count - begin : kLanes;
    const float *first[kLanes], *second[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      const int64_t pair = begin + (i < count ? i : 0);
      first[i] = args.rows + args.first[pair] * args.depth;
      second[i] = args.rows + args.second[pair] * args.depth;
    }
    Lanes sums = broadcast(0.0f);
    each_columns(args.depth, [&](int64_t k, int64_t there, const auto& load) {
      Lanes of_first[4], of_second[4];
      load_columns(first, k, load, of_first);
      load_columns(second, k, load, of_second);
#pragma GCC unroll 4
      for (int64_t c = 0; c < there; ++c) sums = fused(of_first[c], of_second[c], sums);
    });
    float products[kLanes];
    store(products, sums);
    memcpy(args.products + begin, products, static_cast<size_t>(count) * sizeof(float));
  }
}

#endif

}  // namespace
}  // namespace orthant::kernels
