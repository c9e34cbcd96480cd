// The inner loops of N:M activation sparsity, compiled once per instruction set and reached through a table.
//
// Every instruction set gives the same bits: an output is one chain of fused multiply-adds. Pointers need no
// alignment. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

#include "kernels/sparse/weight_format.h"

namespace orthant::kernels {

enum class Isa;

// Outputs of one tile: their sums stay in the first-level cache while all kept inputs pass.
inline constexpr int64_t kSkippingTile = 4096;

// Outputs [first, first + count) of a product; `first` is a multiple of kOutputPadding, count at most
// kSkippingTile.
struct SkippingTile {
  const void* weights;  // [inputs] rows of row_bytes
  int64_t row_bytes;
  int64_t scales_at;  // where in a row of q8 its scales begin
  WeightFormat format;
  const int32_t* inputs;  // [kept]
  const float* values;    // [kept]
  int64_t kept;
  int64_t first;
  int64_t count;
  float* out;  // [count]
};

struct SparseRows {
  // out[o] = sum over kept inputs j ascending of x[j] * w[first + o, j].
  void (*multiply)(const SkippingTile& tile);
  // The selection of kept_inputs.h; false, with nothing done, for a group size without a body here.
  bool (*keep_largest)(const float* x, int64_t width, int64_t keep, int64_t group, int32_t* inputs,
                       float* values);
};

// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const SparseRows& sparse_rows(Isa isa);
// The table of active_isa().
[[nodiscard]] const SparseRows& sparse_rows();

namespace scalar {
const SparseRows& sparse_table();
}
namespace avx2 {
const SparseRows& sparse_table();
}
namespace avx512 {
const SparseRows& sparse_table();
}

}  // namespace orthant::kernels
