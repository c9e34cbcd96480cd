// A block of rows on its way through the encoder: packed once, multiplied tile by tile, each tile handed over
// while it is in the cache. Shared by the selections; each thread works on its own block and scratch.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>

#include "kernels/dense/packed_rows.h"
#include "kernels/encode/encode.h"
#include "kernels/isa/filter.h"

namespace orthant::kernels {

inline constexpr int64_t kEncodeRows = 288;     // rows of a block at most: more read the weights less often
inline constexpr int64_t kEncodeColumns = 256;  // latents of a tile
inline constexpr int64_t kTileWords = kEncodeColumns / 64;

// Where the candidates of each row of a block wait to be among the k largest.
struct RowCandidates {
  int64_t room;       // of a row
  int64_t* keys;      // [kEncodeRows, room]
  float* values;      // [kEncodeRows, room]
  int64_t* counts;    // [kEncodeRows]
  float* thresholds;  // [kEncodeRows]
  int64_t* spare;     // [room]

  // A tile fits beside what tightening leaves; more room makes tightening rarer.
  [[nodiscard]] static int64_t after_tightening(int64_t k) { return k + k / 4 + 8; }
  [[nodiscard]] static int64_t room_for(int64_t k) { return after_tightening(k) + k + kEncodeColumns; }
};

// Where the latents of each row of a block that a screen left wait for their exact products.
struct PendingLatents {
  // Exact products are formed sixteen at a time; a tile fits beside what remains.
  static constexpr int64_t kTogether = 16;
  static constexpr int64_t kRoom = kTogether + kEncodeColumns;
  int32_t* latents;  // [kEncodeRows, kRoom] local numbers
  int32_t* counts;   // [kEncodeRows]
};

// What one thread needs, laid out in its part of the workspace.
struct EncodeScratch {
  float* strips;  // [kEncodeRows, depth] as strips, one depth part after the other, or as tiles of a screen
  ScreenMargin* margins;  // [kEncodeRows]
  PendingLatents pending;
  float* tile;  // [kEncodeRows, kEncodeColumns]
  RowCandidates selected;
  RowCandidates beside;  // room 0 where nothing is kept beside a selection

  [[nodiscard]] static int64_t bytes(int64_t k, int64_t depth, int64_t k_beside);
  EncodeScratch(const EncodeWorkspace& workspace, int thread);
};

class EncodeBlock {
 public:
  // Rows [first_row, first_row + rows) of args.input, rows <= kEncodeRows; packs them.
  EncodeBlock(const EncodeArgs& args, Isa isa, int64_t first_row, int64_t rows, const EncodeScratch& scratch);

  // visit(row of the block, filter row, first local latent of the tile): once per row and tile, latents
  // ascending. The threshold of the filter row is left to `visit`.
  template <typename Visit>
  void each_row_of_each_tile(const Visit& visit) const {
    const int64_t latents = args_.local_latents();
    for (int64_t first = 0; first < latents; first += kEncodeColumns) {
      multiply(first);
      FilterRow filter =
          filter_of(first, latents - first < kEncodeColumns ? latents - first : kEncodeColumns);
      for (int64_t r = 0; r < rows_; ++r, filter.products += kEncodeColumns) visit(r, filter, first);
    }
  }
  [[nodiscard]] int64_t rows() const { return rows_; }
  // Not null: the products of filter rows are upper bounds of the true ones.
  [[nodiscard]] const ScreenedRows* screen() const { return screened_.has_value() ? &*screened_ : nullptr; }
  // Of row r of the block and a local latent.
  [[nodiscard]] float product(int64_t r, int64_t latent) const;

 private:
  void multiply(int64_t first_latent) const;
  [[nodiscard]] FilterRow filter_of(int64_t first_latent, int64_t latents) const;

  const EncodeArgs& args_;
  int64_t first_row_;
  int64_t rows_;
  std::optional<PackedRows> packed_;
  std::optional<ScreenedRows> screened_;
  const EncodeScratch& scratch_;
};

// Calls take(i) for every set bit i below 64 * words, ascending.
template <typename Take>
inline void each_set_bit(const uint64_t* words, int64_t count, const Take& take) {
  for (int64_t w = 0; w * 64 < count; ++w) {
    for (uint64_t word = words[w]; word != 0; word &= word - 1) take(w * 64 + std::countr_zero(word));
  }
}

// How many of the first `count` bits are set.
[[nodiscard]] inline int64_t bits_set(const uint64_t* words, int64_t count) {
  int64_t set = 0;
  for (int64_t w = 0; w * 64 < count; ++w) set += std::popcount(words[w]);
  return set;
}

// relu of product plus bias; NaN stays NaN.
[[nodiscard]] inline float activation_of(float product, const float* bias, int64_t i) {
  const float sum = bias == nullptr ? product : product + bias[i];
  return sum <= 0.0f ? 0.0f : sum;
}
[[nodiscard]] inline float activation_of(const FilterRow& row, int64_t i) {
  return activation_of(row.products[i], row.bias, i);
}

[[nodiscard]] inline int32_t latent_number(const EncodeArgs& args, int64_t local) {
  return args.latent_numbers.shape[0] > 0 ? args.latent_numbers.data[local]
                                          : static_cast<int32_t>(args.first_latent + local);
}

// Rows of a block of an encode.
[[nodiscard]] int64_t encode_block_rows(const EncodeArgs& args, int threads, Isa isa);

// Threads of an encode: what OpenMP offers, no more than the workspace has room for.
[[nodiscard]] int encode_threads(const EncodeWorkspace& workspace);

// Fails where shapes do not belong together.
void check_encode(const EncodeArgs& args, const EncodeWorkspace& workspace, CodesView out);

}  // namespace orthant::kernels
