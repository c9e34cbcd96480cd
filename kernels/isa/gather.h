// Weighted sums of gathered rows and dot products with gathered rows: the inner loops of everything sparse.
//
// Sums over rows run in the order given, one chain of fused multiply-adds a column; dot products run in 16
// lanes. All instruction sets give the same bits. Pointers need no alignment. Thread-safe for distinct
// outputs.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// Row i of a gather is matrix + (rows[i] - first_row) * width.
struct GatheredRows {
  const float* matrix = nullptr;
  int64_t width = 0;
  const int32_t* rows = nullptr;  // [count]
  int64_t first_row = 0;
  int64_t count = 0;
  // What will be gathered after this one: its first rows are called into the cache with the last ones here.
  const GatheredRows* following = nullptr;
};

struct GatherOps {
  // sum[c] += over i of weights[i] * row i [c]; `sum` [width].
  void (*weighted_sum)(const GatheredRows& gathered, const float* weights, float* sum);
  // products[i] = <row i, vector>; `vector` [width].
  void (*dots)(const GatheredRows& gathered, const float* vector, float* products);
  // gradient[c] = scale * (reconstruction[c] - input[c]), possibly in place; returns |input -
  // reconstruction|^2.
  double (*error_row)(const float* input, const float* reconstruction, float scale, int64_t width,
                      float* gradient);
};

// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const GatherOps& gather_ops(Isa isa);
// The table of active_isa().
[[nodiscard]] const GatherOps& gather_ops();

namespace scalar {
const GatherOps& gather_table();
}
namespace avx2 {
const GatherOps& gather_table();
}
namespace avx512 {
const GatherOps& gather_table();
}

}  // namespace orthant::kernels
