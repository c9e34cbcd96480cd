#include "kernels/screen/screen_products.h"

namespace orthant::kernels {
namespace {

#if defined(__AVX2__)

constexpr int64_t kTileValues = kScreenTileBytes / 2;

// The product of two rounded vectors of this length fits 31 bits, whatever their elements.
constexpr double kRoundedLength = 43000.0;
constexpr double kLargestElement = 32767.0;
constexpr double kSmallestScale = 1e-36;

// Fixed lanes, so that the compiler makes vector code of sums in f64.
struct Sum {
  double lanes[8] = {};
  [[nodiscard]] double total() const {
    double sum = 0.0;
    for (const double lane : lanes) sum += lane;
    return sum;
  }
};

// A piece of a vector, zeros after its end.
ORTHANT_LANES_INLINE void load_piece(const float* from, int64_t count, bool rounds, float* piece) {
  for (int64_t first = 0; first < kScreenDepth; first += kLanes) {
    const int64_t there = count - first < 0 ? 0 : count - first < kLanes ? count - first : kLanes;
    const Lanes values = there == kLanes ? load(from + first) : load_first(from + first, there);
    store(piece + first, rounds ? rounded_to_bf16(values) : values);
  }
}

ORTHANT_LANES_INLINE void add_squares(const float* piece, Sum& sum) {
  for (int64_t i = 0; i < kScreenDepth; i += 8) {
    for (int64_t lane = 0; lane < 8; ++lane) {
      const double value = piece[i + lane];
      sum.lanes[lane] += value * value;
    }
  }
}

double scale_of(double length, float largest) {
  const double scale = length / kRoundedLength > largest / kLargestElement ? length / kRoundedLength
                                                                           : largest / kLargestElement;
  // Also where it is not a number. Elements of a vector that short become zero.
  return scale > kSmallestScale ? scale : 1.0;
}

// Elements as whole numbers of `scale`; `piece` becomes what they miss.
ORTHANT_LANES_INLINE void quantize(float* piece, float scale, float inverse, int16_t* quantized) {
  for (int64_t i = 0; i < kScreenDepth; ++i) {
    const float whole = __builtin_rintf(piece[i] * inverse);
    piece[i] = __builtin_fmaf(-scale, whole, piece[i]);
    quantized[i] = static_cast<int16_t>(static_cast<int32_t>(whole));
  }
}

ORTHANT_LANES_INLINE void store_row(const int16_t* quantized, int64_t r, uint16_t* tile) {
  memcpy(tile + r * kScreenDepth, quantized, kScreenDepth * sizeof(int16_t));
}
ORTHANT_LANES_INLINE void store_latent(const int16_t* quantized, int64_t i, uint16_t* tile) {
  for (int64_t p = 0; p < kScreenDepth / 2; ++p) {
    memcpy(tile + p * kScreenDepth + 2 * i, quantized + 2 * p, 2 * sizeof(int16_t));
  }
}

template <bool kLatents>
RoundedVector pack_vector(const float* from, int64_t depth, bool rounds, int64_t index, uint16_t* tiles) {
  float piece[kScreenDepth];
  Sum squares, missed;
  Lanes largest = broadcast(0.0f);
  for (int64_t k = 0; k < depth; k += kScreenDepth) {
    load_piece(from + k, depth - k, rounds, piece);
    add_squares(piece, squares);
    for (int64_t i = 0; i < kScreenDepth; i += kLanes) {
      const Lanes values = load(piece + i);
      largest = larger(larger(values, broadcast(0.0f) - values), largest);
    }
  }
  const double length = __builtin_sqrt(squares.total());
  const auto scale = static_cast<float>(scale_of(length, folded_max(largest)));
  const float inverse = scale == 1.0f ? 0.0f : 1.0f / scale;
  for (int64_t k = 0; k < depth; k += kScreenDepth, tiles += kTileValues) {
    int16_t quantized[kScreenDepth];
    load_piece(from + k, depth - k, rounds, piece);
    quantize(piece, scale, inverse, quantized);
    add_squares(piece, missed);
    kLatents ? store_latent(quantized, index, tiles) : store_row(quantized, index, tiles);
  }
  return {length, __builtin_sqrt(missed.total()), scale};
}

template <bool kLatents>
void pack(const float* from, int64_t stride, int64_t count, int64_t depth, bool rounds, uint16_t* tiles,
          RoundedVector* vectors) {
  const int64_t tile_count = (depth + kScreenDepth - 1) / kScreenDepth;
  if (count < kScreenTile) memset(tiles, 0, static_cast<size_t>(tile_count * kScreenTileBytes));
  for (int64_t i = 0; i < count; ++i) {
    vectors[i] = pack_vector<kLatents>(from + i * stride, depth, rounds, i, tiles);
  }
}

// The two elements of a pair in every lane.
ORTHANT_LANES_INLINE int32_t pair_at(const uint16_t* from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return pair;
}

ORTHANT_LANES_INLINE void store_bounds(Lanes sums, const ScreenMargin& row, const ScreenTile& tile,
                                       int64_t latent, float* bounds) {
  const Lanes scale = broadcast(row.scale) * load(tile.latent_scales + latent);
  const Lanes across =
      fused(broadcast(row.length), load(tile.latent_errors + latent), broadcast(kScreenFloor));
  const Lanes margin = fused(broadcast(row.error), load(tile.latent_lengths + latent), across);
  store(bounds, fused(sums, scale, margin));
}

#if defined(__AVX512F__)

// Eight rows of half a tile by two tiles of latents.
constexpr int64_t kRows = 8;

[[gnu::target("avx512vnni")]] void bound_rows(const ScreenTile& tile, const uint16_t* rows, int64_t row,
                                              int64_t latent) {
  const uint16_t* const left = tile.latents + latent / kScreenTile * tile.depth_tiles * kTileValues;
  const uint16_t* const right = left + tile.depth_tiles * kTileValues;
  __m512i sums[kRows][2];
  for (int64_t r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
  for (int64_t k = 0; k < tile.depth_tiles * kTileValues; k += kTileValues) {
#pragma GCC unroll 16
    for (int64_t p = 0; p < kScreenDepth / 2; ++p) {
      const __m512i w[2] = {_mm512_loadu_si512(left + k + p * kScreenDepth),
                            _mm512_loadu_si512(right + k + p * kScreenDepth)};
#pragma GCC unroll 8
      for (int64_t r = 0; r < kRows; ++r) {
        const __m512i x = _mm512_set1_epi32(pair_at(rows + k + r * kScreenDepth + 2 * p));
        sums[r][0] = _mm512_dpwssd_epi32(sums[r][0], x, w[0]);
        sums[r][1] = _mm512_dpwssd_epi32(sums[r][1], x, w[1]);
      }
    }
  }
  for (int64_t r = 0; r < kRows; ++r) {
    for (int64_t half = 0; half < 2; ++half) {
      const Lanes sum = {_mm512_cvtepi32_ps(sums[r][half])};
      store_bounds(sum, tile.row_margins[row + r], tile, latent + half * kLanes,
                   tile.bounds + (row + r) * tile.stride + latent + half * kLanes);
    }
  }
}

constexpr int64_t kLatents = 2 * kScreenTile;

#else

// Four rows by one tile of latents.
constexpr int64_t kRows = 4;
constexpr int64_t kLatents = kScreenTile;

void bound_rows(const ScreenTile& tile, const uint16_t* rows, int64_t row, int64_t latent) {
  const uint16_t* const latents = tile.latents + latent / kScreenTile * tile.depth_tiles * kTileValues;
  __m256i sums[kRows][2];
  for (int64_t r = 0; r < kRows; ++r) sums[r][0] = sums[r][1] = _mm256_setzero_si256();
  for (int64_t k = 0; k < tile.depth_tiles * kTileValues; k += kTileValues) {
#pragma GCC unroll 16
    for (int64_t p = 0; p < kScreenDepth / 2; ++p) {
      const auto* const w = reinterpret_cast<const __m256i*>(latents + k + p * kScreenDepth);
      const __m256i low = _mm256_loadu_si256(w), high = _mm256_loadu_si256(w + 1);
#pragma GCC unroll 4
      for (int64_t r = 0; r < kRows; ++r) {
        const __m256i x = _mm256_set1_epi32(pair_at(rows + k + r * kScreenDepth + 2 * p));
        sums[r][0] = _mm256_add_epi32(sums[r][0], _mm256_madd_epi16(x, low));
        sums[r][1] = _mm256_add_epi32(sums[r][1], _mm256_madd_epi16(x, high));
        // Or the compiler forms all products first, to add them as a tree, and has no registers for them.
        asm("" : "+x"(sums[r][0]), "+x"(sums[r][1]));
      }
    }
  }
  for (int64_t r = 0; r < kRows; ++r) {
    const Lanes sum = {_mm256_cvtepi32_ps(sums[r][0]), _mm256_cvtepi32_ps(sums[r][1])};
    store_bounds(sum, tile.row_margins[row + r], tile, latent,
                 tile.bounds + (row + r) * tile.stride + latent);
  }
}

#endif

void upper_bounds(const ScreenTile& tile) {
  for (int64_t latent = 0; latent < tile.latent_tiles * kScreenTile; latent += kLatents) {
    for (int64_t row = 0; row < tile.row_tiles * kScreenTile; row += kRows) {
      const uint16_t* const rows =
          tile.rows + row / kScreenTile * tile.depth_tiles * kTileValues + row % kScreenTile * kScreenDepth;
      bound_rows(tile, rows, row, latent);
    }
  }
}

#endif

}  // namespace

namespace ORTHANT_ISA {

const ScreenOps* screen_table() {
#if defined(__AVX2__)
  static constexpr ScreenOps kTable = {.pack_rows = pack<false>,
                                       .pack_latents = pack<true>,
                                       .upper_bounds = upper_bounds,
                                       .chosen_products = chosen_products,
                                       .pair_products = pair_products};
#if defined(__AVX512F__)
  // Without this one, integers are no faster than f32.
  if (!__builtin_cpu_supports("avx512vnni")) return nullptr;
#endif
  return &kTable;
#else
  return nullptr;
#endif
}

}  // namespace ORTHANT_ISA
}  // namespace orthant::kernels
