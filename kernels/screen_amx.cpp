#include <string.h>

#include "kernels/lanes.h"
#include "kernels/screen.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kTileValues = kScreenTileBytes / 2;

// The nearest bf16 values, in the upper halves of the lanes.
ORTHANT_LANES_INLINE __m512i nearest_bf16(__m512 values) {
  const __m512i bits = _mm512_castps_si512(values);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
  const __m512i chosen = _mm512_mask_or_epi32(nearest, is_nan, bits, _mm512_set1_epi32(0x400000));
  return _mm512_and_si512(chosen, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
}

struct Squares {
  __m512d length = _mm512_setzero_pd();
  __m512d error = _mm512_setzero_pd();
};

ORTHANT_LANES_INLINE __m512d plus_squares(__m512d sum, __m512 values) {
  const __m512d low = _mm512_cvtps_pd(_mm512_castps512_ps256(values));
  const __m512d high = _mm512_cvtps_pd(_mm512_extractf32x8_ps(values, 1));
  return _mm512_fmadd_pd(high, high, _mm512_fmadd_pd(low, low, sum));
}

ORTHANT_LANES_INLINE __m512i rounded(__m512 values, Squares& squares) {
  const __m512i nearest = nearest_bf16(values);
  squares.length = plus_squares(squares.length, values);
  squares.error = plus_squares(squares.error, _mm512_sub_ps(values, _mm512_castsi512_ps(nearest)));
  return nearest;
}

ORTHANT_LANES_INLINE __m512 load_part(const float* from, int64_t count) {
  if (count >= kLanes) return _mm512_loadu_ps(from);
  return count <= 0 ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(first_lanes(count), from);
}

// 32 values of a vector from `from`, of which `count` are there, as 16 pairs.
ORTHANT_LANES_INLINE __m512i pairs_of(const float* from, int64_t count, Squares& squares) {
  const __m512i low = rounded(load_part(from, count), squares);
  const __m512i high = rounded(load_part(from + kLanes, count - kLanes), squares);
  // Each half of 16 values: the upper 16 bits of its lanes, in order.
  const __m256i first = _mm512_cvtepi32_epi16(_mm512_srli_epi32(low, 16));
  const __m256i second = _mm512_cvtepi32_epi16(_mm512_srli_epi32(high, 16));
  return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

ORTHANT_LANES_INLINE void transpose_lanes(__m512i* rows) {
  __m512i half[16], quad[16];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    half[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
    half[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    quad[4 * i] = _mm512_unpacklo_epi64(half[4 * i], half[4 * i + 2]);
    quad[4 * i + 1] = _mm512_unpackhi_epi64(half[4 * i], half[4 * i + 2]);
    quad[4 * i + 2] = _mm512_unpacklo_epi64(half[4 * i + 1], half[4 * i + 3]);
    quad[4 * i + 3] = _mm512_unpackhi_epi64(half[4 * i + 1], half[4 * i + 3]);
  }
#pragma GCC unroll 4
  for (int c = 0; c < 4; ++c) {
    const __m512i low = _mm512_shuffle_i32x4(quad[c], quad[c + 4], 0x88);
    const __m512i high = _mm512_shuffle_i32x4(quad[c + 8], quad[c + 12], 0x88);
    const __m512i low_odd = _mm512_shuffle_i32x4(quad[c], quad[c + 4], 0xdd);
    const __m512i high_odd = _mm512_shuffle_i32x4(quad[c + 8], quad[c + 12], 0xdd);
    rows[c] = _mm512_shuffle_i32x4(low, high, 0x88);
    rows[c + 8] = _mm512_shuffle_i32x4(low, high, 0xdd);
    rows[c + 4] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
    rows[c + 12] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd);
  }
}

template <bool kLatents>
void pack(const float* from, int64_t stride, int64_t count, int64_t depth, uint16_t* tiles,
          RoundedLength* lengths) {
  Squares squares[kScreenTile];
  for (int64_t k = 0; k < depth; k += kScreenDepth, tiles += kTileValues) {
    __m512i rows[kScreenTile];
    for (int64_t r = 0; r < kScreenTile; ++r) {
      rows[r] = r < count ? pairs_of(from + r * stride + k, depth - k, squares[r]) : _mm512_setzero_si512();
    }
    if constexpr (kLatents) transpose_lanes(rows);
    for (int64_t r = 0; r < kScreenTile; ++r) _mm512_storeu_si512(tiles + r * 2 * kLanes, rows[r]);
  }
  for (int64_t r = 0; r < count; ++r) {
    lengths[r] = {__builtin_sqrt(_mm512_reduce_add_pd(squares[r].length)),
                  __builtin_sqrt(_mm512_reduce_add_pd(squares[r].error))};
  }
}

struct alignas(64) TileConfiguration {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_per_row[16] = {};
  uint8_t rows[16] = {};
};

// The compiler does not know that these instructions read memory.
ORTHANT_LANES_INLINE void write_all_to_memory() {
  asm volatile("" ::: "memory");
}

void configure_tiles() {
  TileConfiguration configuration;
  for (int i = 0; i < 8; ++i) {
    configuration.bytes_per_row[i] = 64;
    configuration.rows[i] = 16;
  }
  asm volatile("ldtilecfg %0" ::"m"(configuration) : "memory");
}

// sums [32, 32] of two tiles of rows and two of latents.
ORTHANT_LANES_INLINE void multiply_tiles(const uint16_t* rows, const uint16_t* latents, int64_t depth_tiles,
                                         float* sums) {
  const uint16_t* const lower_rows = rows + depth_tiles * kTileValues;
  const uint16_t* const right_latents = latents + depth_tiles * kTileValues;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int64_t k = 0; k < depth_tiles * kTileValues; k += kTileValues) {
    _tile_loadd(4, rows + k, 64);
    _tile_loadd(6, latents + k, 64);
    _tile_loadd(5, lower_rows + k, 64);
    _tile_loadd(7, right_latents + k, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, sums, 128);
  _tile_stored(1, sums + 16, 128);
  _tile_stored(2, sums + 512, 128);
  _tile_stored(3, sums + 528, 128);
}

void upper_bounds(const ScreenTile& tile) {
  alignas(64) float sums[kScreenStep * kScreenStep];
  const int64_t step = 2 * tile.depth_tiles * kTileValues;
  write_all_to_memory();
  configure_tiles();
  const __m512 floor = _mm512_set1_ps(kScreenFloor);
  for (int64_t j = 0; j < tile.latent_tiles / 2; ++j) {
    const __m512 lengths[2] = {_mm512_loadu_ps(tile.latent_lengths + j * kScreenStep),
                               _mm512_loadu_ps(tile.latent_lengths + j * kScreenStep + kLanes)};
    const __m512 errors[2] = {_mm512_loadu_ps(tile.latent_errors + j * kScreenStep),
                              _mm512_loadu_ps(tile.latent_errors + j * kScreenStep + kLanes)};
    for (int64_t i = 0; i < tile.row_tiles / 2; ++i) {
      multiply_tiles(tile.rows + i * step, tile.latents + j * step, tile.depth_tiles, sums);
      float* bounds = tile.bounds + i * kScreenStep * tile.stride + j * kScreenStep;
      for (int64_t r = 0; r < kScreenStep; ++r, bounds += tile.stride) {
        const ScreenMargin row = tile.row_margins[i * kScreenStep + r];
        const __m512 error = _mm512_set1_ps(row.error), length = _mm512_set1_ps(row.length);
        for (int half = 0; half < 2; ++half) {
          const __m512 margin =
              _mm512_fmadd_ps(error, lengths[half], _mm512_fmadd_ps(length, errors[half], floor));
          _mm512_storeu_ps(bounds + half * kLanes,
                           _mm512_add_ps(_mm512_load_ps(sums + r * kScreenStep + half * kLanes), margin));
        }
      }
    }
  }
  _tile_release();
}

// Columns k .. k + 4 of 16 rows: lane r of columns[c] is rows[r][c].
template <typename Load>
ORTHANT_LANES_INLINE void load_columns(const float* const* rows, int64_t k, const Load& load,
                                       __m512* columns) {
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
  columns[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(low_01, low_23));
  columns[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low_01, low_23));
  columns[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high_01, high_23));
  columns[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high_01, high_23));
}

template <bool kRounds>
ORTHANT_LANES_INLINE __m512 operand(__m512 values) {
  if constexpr (kRounds) return _mm512_castsi512_ps(nearest_bf16(values));
  return values;
}

// One chain of fused multiply-adds over the depth in each lane, as in matmul_nt.
template <bool kRounds>
void products_of_sixteen(const ChosenProducts& args, const float* const* rows, float* products) {
  __m512 sums = _mm512_setzero_ps(), columns[4];
  int64_t k = 0;
  for (; k + 4 <= args.depth; k += 4) {
    load_columns(
        rows, k, [](const float* from) { return _mm_loadu_ps(from); }, columns);
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) {
      sums = _mm512_fmadd_ps(operand<kRounds>(_mm512_set1_ps(args.x[k + c])), operand<kRounds>(columns[c]),
                             sums);
    }
  }
  if (k < args.depth) {
    const __mmask8 there = static_cast<__mmask8>((1u << (args.depth - k)) - 1u);
    load_columns(
        rows, k, [there](const float* from) { return _mm_maskz_loadu_ps(there, from); }, columns);
    for (int64_t c = 0; k + c < args.depth; ++c) {
      sums = _mm512_fmadd_ps(operand<kRounds>(_mm512_set1_ps(args.x[k + c])), operand<kRounds>(columns[c]),
                             sums);
    }
  }
  _mm512_storeu_ps(products, sums);
}

void chosen_products(const ChosenProducts& args) {
  for (int64_t first = 0; first < args.count; first += kLanes) {
    const int64_t count = args.count - first < kLanes ? args.count - first : kLanes;
    const float* rows[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) {
      rows[i] = args.weights + args.chosen[first + (i < count ? i : 0)] * args.depth;
    }
    alignas(64) float products[kLanes];
    args.rounds ? products_of_sixteen<true>(args, rows, products)
                : products_of_sixteen<false>(args, rows, products);
    memcpy(args.products + first, products, static_cast<size_t>(count) * sizeof(float));
  }
}

// One chain of fused multiply-adds over the depth in each lane, as in matmul_nt.
void products_of_sixteen_pairs(int64_t depth, const float* const* first, const float* const* second,
                               float* products) {
  __m512 sums = _mm512_setzero_ps(), of_first[4], of_second[4];
  int64_t k = 0;
  for (; k + 4 <= depth; k += 4) {
    const auto load = [](const float* from) { return _mm_loadu_ps(from); };
    load_columns(first, k, load, of_first);
    load_columns(second, k, load, of_second);
#pragma GCC unroll 4
    for (int c = 0; c < 4; ++c) sums = _mm512_fmadd_ps(of_first[c], of_second[c], sums);
  }
  if (k < depth) {
    const __mmask8 there = static_cast<__mmask8>((1u << (depth - k)) - 1u);
    const auto load = [there](const float* from) { return _mm_maskz_loadu_ps(there, from); };
    load_columns(first, k, load, of_first);
    load_columns(second, k, load, of_second);
    for (int64_t c = 0; k + c < depth; ++c) sums = _mm512_fmadd_ps(of_first[c], of_second[c], sums);
  }
  _mm512_storeu_ps(products, sums);
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
    alignas(64) float products[kLanes];
    products_of_sixteen_pairs(args.depth, first, second, products);
    memcpy(args.products + begin, products, static_cast<size_t>(count) * sizeof(float));
  }
}

}  // namespace

namespace amx {

const ScreenOps& screen_table() {
  static constexpr ScreenOps kTable = {.pack_rows = pack<false>,
                                       .pack_latents = pack<true>,
                                       .upper_bounds = upper_bounds,
                                       .chosen_products = chosen_products,
                                       .pair_products = pair_products};
  return kTable;
}

}  // namespace amx
}  // namespace orthant::kernels
