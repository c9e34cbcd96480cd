// A block of rows times some panels over the whole depth, packed on the way: for callers without a workspace.
#pragma once

#include "kernels/gemm.h"
#include "kernels/gemm_tile.h"

namespace orthant::kernels {

struct BlockProduct {
  const float* x;  // [rows, depth of the weights]
  int64_t rows;
  int64_t first_panel;
  int64_t panel_count;  // the padding of the last panel is written too
  int64_t depth_part;   // from gemm_plan.h
  float* strips;        // rows (rounded up to a strip) * depth_part floats
  float* out;           // [rows, 16 * panel_count]
  int64_t out_stride;   // floats from one row to the next
};

void multiply_block(const GemmOps& ops, const PackedWeights& weights, const BlockProduct& block);

}  // namespace orthant::kernels
