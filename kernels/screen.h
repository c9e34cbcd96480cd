// Upper bounds of a product from bf16 tiles, and exact products of what they leave: a safe screen before a
// selection.
//
// A selection keeps few elements of X W^T. Rounded to bf16 the product is many times cheaper on processors
// with tiles, and its error is bounded (Cauchy-Schwarz): |x w - x' w'| <= |x - x'| |w| + |x'| |w - w'|, to
// which the rounding of both sums is added. An element whose upper bound is not selected cannot be; the
// others are computed again in f32 with the bits of matmul_nt (kernels/gemm.h). So the result of a screened
// selection has the bits of the unscreened one. What is not finite, or too large for the bound, has a bound
// that is not a number or infinite and is always computed. Bodies exist for some instruction sets only.
// Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// Rows and columns of a tile, and the depth it holds: 16 rows of 32 bf16 for x; 16 pairs of depth by 16
// latents by 2 for w.
inline constexpr int64_t kScreenTile = 16;
inline constexpr int64_t kScreenDepth = 32;
inline constexpr int64_t kScreenTileBytes = 1024;
// Tiles are multiplied in pairs: row counts and latents of a screen are padded to this.
inline constexpr int64_t kScreenStep = 2 * kScreenTile;

// The length of a vector and of what bf16 cannot hold of it.
struct RoundedLength {
  double length;
  double error;
};

// What the bound needs of a row x (for a latent w the same with the roles of the two exchanged): the margin
// of an element is x.error * w.length + x.length * w.error.
struct ScreenMargin {
  float length;
  float error;
};

// Covers what bf16 tiles flush to zero.
inline constexpr float kScreenFloor = 1e-34f;

[[nodiscard]] inline float screen_margin(ScreenMargin row, float latent_length, float latent_error) {
  return row.error * latent_length + row.length * latent_error + kScreenFloor;
}

struct ScreenTile {
  const uint16_t* rows;     // [row_tiles, depth_tiles] tiles
  const uint16_t* latents;  // [latent_tiles, depth_tiles] tiles
  int64_t row_tiles;        // even
  int64_t latent_tiles;     // even
  int64_t depth_tiles;
  const ScreenMargin* row_margins;  // [16 * row_tiles]
  const float* latent_lengths;      // [16 * latent_tiles]
  const float* latent_errors;       // [16 * latent_tiles]
  float* bounds;                    // [16 * row_tiles, stride]
  int64_t stride;
};

// Exact products of one row with chosen latents.
struct ChosenProducts {
  const float* x;        // [depth]
  const float* weights;  // [latents, depth]
  int64_t depth;
  const int32_t* chosen;  // [count] rows of `weights`
  int64_t count;
  bool rounds;      // both operands to bf16 (kernels/round_bf16.h)
  float* products;  // [count]
};

// Exact products of pairs of rows of one matrix.
struct PairProducts {
  const float* rows;  // [n, depth]
  int64_t depth;
  const int32_t* first;   // [count]
  const int32_t* second;  // [count]
  int64_t count;
  float* products;  // [count]
};

struct ScreenOps {
  // `count` <= 16 vectors of `depth` floats, `stride` apart, as the tiles of rows or of latents, the rest of
  // which becomes zero. lengths [count].
  void (*pack_rows)(const float* from, int64_t stride, int64_t count, int64_t depth, uint16_t* tiles,
                    RoundedLength* lengths);
  void (*pack_latents)(const float* from, int64_t stride, int64_t count, int64_t depth, uint16_t* tiles,
                       RoundedLength* lengths);
  void (*upper_bounds)(const ScreenTile& tile);
  void (*chosen_products)(const ChosenProducts& products);
  void (*pair_products)(const PairProducts& products);
};

// Null where the instruction set has no screen; calling it needs supported_here(isa).
[[nodiscard]] const ScreenOps* screen_ops(Isa isa);

// The margin of a vector of `depth` elements as a row or as a latent. `rounds`: the exact product rounds its
// operands too.
[[nodiscard]] ScreenMargin margin_of_row(RoundedLength lengths, int64_t depth, bool rounds);
[[nodiscard]] ScreenMargin margin_of_latent(RoundedLength lengths, bool rounds);

namespace amx {
const ScreenOps& screen_table();
}

}  // namespace orthant::kernels
