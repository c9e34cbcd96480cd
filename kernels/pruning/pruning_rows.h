// Inner loops of pruning, compiled once per instruction set and reached through a table.
//
// Scores and ordered values are compared as integers, so every instruction set gives the same results.
// Pointers need no alignment. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

#include "kernels/pruning/prune_rows.h"

namespace orthant::kernels {

enum class Isa;

struct RowSums {
  double values;
  double squares;
};

// What mends the products of one row (mend_products.h); null where there is none.
struct MendedRow {
  const float *factor, *center, *weight_sums, *column_factors, *column_offsets;
};

struct PruningRows {
  // scores[c] = the bits of |x[c]| * gains[c]; `gains` null: 1.
  void (*scores)(const float* x, const float* gains, int64_t width, int32_t* scores);
  // survives[c] = -1 for the largest `keep` scores of each group, 0 for the others; the group divides width.
  void (*mark_groups)(const int32_t* scores, PrunePattern pattern, int64_t width, int32_t* survives);
  // keys[c] in the order of x[c].
  void (*order_keys)(const float* x, int64_t width, int32_t* keys);
  // The nth largest of `count` keys, 1 <= nth <= count.
  int32_t (*nth_largest)(const int32_t* keys, int64_t count, int64_t nth);
  // out[c] = x[c] - center, or x[c] - centers[c] where that is not null.
  void (*centered)(const float* x, const float* centers, float center, int64_t width, float* out);
  // kept[c] = x[c] where survives[c], else 0; rest[c] the other way round, where that is not null.
  void (*split)(const float* x, const int32_t* survives, int64_t width, float* kept, float* rest);
  // In f64, column c to sum c mod 8, which are added in order.
  RowSums (*sums)(const float* x, int64_t width);
  // `y` [outputs].
  void (*mend)(const MendedRow& row, float* y, int64_t outputs);
};

// The table of active_isa().
[[nodiscard]] const PruningRows& pruning_rows();
// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const PruningRows& pruning_rows(Isa isa);

namespace scalar {
const PruningRows& pruning_table();
}
namespace avx2 {
const PruningRows& pruning_table();
}
namespace avx512 {
const PruningRows& pruning_table();
}

}  // namespace orthant::kernels
