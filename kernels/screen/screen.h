// Upper bounds of a product from rounded operands, and exact products of what they leave: a safe screen
// before a selection.
//
// A selection keeps few elements of X W^T. With operands x', w' of 16 bits the product is two to seven times
// cheaper, and its error is bounded (Cauchy-Schwarz): |x w - x' w'| <= |x - x'| |w| + |x'| |w - w'|, to which
// the rounding of the sums is added. An element whose upper bound is not selected cannot be; the others are
// computed again in f32 with the bits of matmul_nt (kernels/dense/gemm.h). So the result of a screened
// selection has the bits of the unscreened one. What is not finite, or too large for the bound, has a bound
// that is not a number or infinite and is always computed. Operands are bf16 where the processor multiplies
// tiles of them, and otherwise 16-bit integers times a scale. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// Rows and columns of a tile, and the depth it holds: 16 rows of 32 elements of x; 16 pairs of depth by 16
// latents by 2 of w.
inline constexpr int64_t kScreenTile = 16;
inline constexpr int64_t kScreenDepth = 32;
inline constexpr int64_t kScreenTileBytes = 1024;
// Tiles are multiplied in pairs: row counts and latents of a screen are padded to this.
inline constexpr int64_t kScreenStep = 2 * kScreenTile;

// A vector and what 16 bits cannot hold of it.
struct RoundedVector {
  double length;  // of the exact operand
  double error;   // length of the difference
  float scale;    // of the rounded elements
};

// What the bound needs of a row x (for a latent w the same with the roles of the two exchanged): the margin
// of an element is x.error * w.length + x.length * w.error.
struct ScreenMargin {
  float length;
  float error;
  float scale;
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
  const float* latent_scales;       // [16 * latent_tiles]
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
  bool rounds;      // both operands to bf16 (kernels/dense/round_bf16.h)
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
  // which becomes zero; vectors [count]. `rounds`: the exact operands are those rounded to bf16.
  void (*pack_rows)(const float* from, int64_t stride, int64_t count, int64_t depth, bool rounds,
                    uint16_t* tiles, RoundedVector* vectors);
  void (*pack_latents)(const float* from, int64_t stride, int64_t count, int64_t depth, bool rounds,
                       uint16_t* tiles, RoundedVector* vectors);
  void (*upper_bounds)(const ScreenTile& tile);
  void (*chosen_products)(const ChosenProducts& products);
  void (*pair_products)(const PairProducts& products);
};

// Null where the instruction set has no screen that pays; calling it needs supported_here(isa).
[[nodiscard]] const ScreenOps* screen_ops(Isa isa);

// The margin of a vector of `depth` elements as a row or as a latent.
[[nodiscard]] ScreenMargin margin_of_row(RoundedVector vector, int64_t depth);
[[nodiscard]] ScreenMargin margin_of_latent(RoundedVector vector);

namespace scalar {
const ScreenOps* screen_table();
}
namespace avx2 {
const ScreenOps* screen_table();
}
namespace avx512 {
const ScreenOps* screen_table();
}
namespace amx {
const ScreenOps* screen_table();
}

}  // namespace orthant::kernels
