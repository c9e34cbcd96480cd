#include "kernels/gemm_block.h"

#include <algorithm>

namespace orthant::kernels {

void multiply_block(const GemmOps& ops, const PackedWeights& weights, const BlockProduct& block) {
  constexpr int64_t kPanel = PackedWeights::kPanel;
  const int64_t depth = weights.depth();
  for (int64_t r = 0; r < block.rows && depth == 0; ++r) {
    std::fill_n(block.out + r * block.out_stride, block.panel_count * kPanel, 0.0f);
  }
  for (int64_t k = 0; k < depth; k += block.depth_part) {
    const int64_t part = std::min(block.depth_part, depth - k);
    ops.pack_rows(block.x + k, depth, block.rows, part, block.strips);
    ops.multiply({.strips = block.strips,
                  .rows = block.rows,
                  .depth = part,
                  .panels = weights.panel(block.first_panel) + k * kPanel,
                  .panel_stride = depth * kPanel,
                  .panel_count = block.panel_count,
                  .out = block.out,
                  .out_stride = block.out_stride,
                  .accumulate = k > 0});
  }
}

}  // namespace orthant::kernels
