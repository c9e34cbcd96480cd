// Inner loops of attention and of the gated MLP, compiled once per instruction set and reached through a
// table.
//
// Every instruction set gives the same bits. Pointers need no alignment. Thread-safe for distinct outputs.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class Isa;

// out[r, 0..16) += sum over k of a[r, k] * b[k, 0..16), a chain of fused multiply-adds over ascending k that
// begins with what `out` holds.
struct PanelProduct {
  const float* a;  // [rows, depth]
  int64_t a_stride;
  const float* b;  // [depth, 16]
  int64_t b_stride;
  float* out;  // [rows, 16]
  int64_t out_stride;
  int64_t rows;
  int64_t depth;
};

// One query row of the online softmax: what it has seen so far.
struct SoftmaxRow {
  float* top;       // largest score so far, -infinity at first
  float* sums;      // [16] sums of exp(score - top), lane by lane
  float* weighted;  // [width] sum of exp(score - top) * value
  int64_t width;    // a multiple of 16
};

struct TransformerRows {
  void (*panel_product)(const PanelProduct& product);
  // `scores` [64] of which the first `visible` count become exp(score - top) under the new top, the others 0;
  // `row` is rescaled to it.
  void (*softmax_block)(float* scores, int64_t visible, const SoftmaxRow& row);
  // out = weighted / sum of sums, `count` <= width elements.
  void (*softmax_finish)(const SoftmaxRow& row, float* out, int64_t count);
  // out = gate / (1 + exp(-gate)) * up.
  void (*swiglu)(const float* gate, const float* up, float* out, int64_t count);
};

// The table of active_isa().
[[nodiscard]] const TransformerRows& transformer_rows();
// The table of one instruction set; calling it needs supported_here(isa).
[[nodiscard]] const TransformerRows& transformer_rows(Isa isa);

namespace scalar {
const TransformerRows& transformer_table();
}
namespace avx2 {
const TransformerRows& transformer_table();
}
namespace avx512 {
const TransformerRows& transformer_table();
}

}  // namespace orthant::kernels
