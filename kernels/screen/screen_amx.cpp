#include "kernels/screen/screen_products.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kTileValues = kScreenTileBytes / 2;

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
  const __m512 nearest = rounded_to_bf16(Lanes{values}).all;
  squares.length = plus_squares(squares.length, values);
  squares.error = plus_squares(squares.error, _mm512_sub_ps(values, nearest));
  return _mm512_castps_si512(nearest);
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
void pack(const float* from, int64_t stride, int64_t count, int64_t depth, bool rounds, uint16_t* tiles,
          RoundedVector* vectors) {
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
    const double length = __builtin_sqrt(_mm512_reduce_add_pd(squares[r].length));
    const double error = __builtin_sqrt(_mm512_reduce_add_pd(squares[r].error));
    vectors[r] = {rounds ? length + error : length, rounds ? 0.0 : error, 1.0f};
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

}  // namespace

namespace amx {

const ScreenOps* screen_table() {
  static constexpr ScreenOps kTable = {.pack_rows = pack<false>,
                                       .pack_latents = pack<true>,
                                       .upper_bounds = upper_bounds,
                                       .chosen_products = chosen_products,
                                       .pair_products = pair_products};
  return &kTable;
}

}  // namespace amx
}  // namespace orthant::kernels
