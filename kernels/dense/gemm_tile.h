// The tile product behind every dense product: strips of rows times panels of columns, one part of the depth
// at a time.
//
// A depth is cut into parts so that one part of a panel stays in the first-level cache while all strips of a
// row block pass by it. Between parts the sums rest in memory, so each element remains one chain of fused
// multiply-adds in ascending k. Compiled once per instruction set. Thread-safe.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// One row block times some panels over one part of the depth.
struct TileProduct {
  const float* strips;  // ceil(rows / strip_rows) strips, each [depth, strip_rows], from pack_rows
  int64_t rows;
  int64_t depth;         // of this part
  const float* panels;   // the first panel at the start of this part: [depth, 16]
  int64_t panel_stride;  // floats from one panel to the next
  int64_t panel_count;
  const float* following;  // panels multiplied next, called into the cache with the last ones here; not null
  const float* start;      // [rows, 16 * panel_count] sums so far; null: zero
  int64_t start_stride;    // floats from one row to the next
  float* out;              // [rows, 16 * panel_count]; may be `start`
  int64_t out_stride;
};

struct GemmOps {
  int64_t strip_rows;
  // x [rows, depth] with rows `row_stride` floats apart, into strips.
  void (*pack_rows)(const float* x, int64_t row_stride, int64_t rows, int64_t depth, float* strips);
  void (*multiply)(const TileProduct& tile);
};

// The largest strip_rows of any instruction set: buffers for strips are sized with it.
inline constexpr int64_t kMaxStripRows = 12;

// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const GemmOps& gemm_ops(Isa isa);

namespace scalar {
const GemmOps& gemm_table();
}
namespace avx2 {
const GemmOps& gemm_table();
}
namespace avx512 {
const GemmOps& gemm_table();
}

}  // namespace orthant::kernels
