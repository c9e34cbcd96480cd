#include "kernels/dense/packed_rows.h"

#include <algorithm>

#include "kernels/dense/round_bf16.h"

namespace orthant::kernels {

void PackedRows::pack(const float* x, int64_t row_stride, int64_t first, int64_t depth) {
  first_ = first;
  depth_ = depth;
  for (int64_t k = 0; k < depth; k += depth_part_) {
    const int64_t part = std::min(depth_part_, depth - k);
    float* const strips = strips_ + k * padded_rows_;
    if (precision_ == Precision::kBF16) clear_unfilled(strips, part);
    ops_.pack_rows(x + first + k, row_stride, rows_, part, strips);
    if (precision_ == Precision::kBF16) round_bf16({strips, static_cast<size_t>(padded_rows_ * part)});
  }
}

// Gives the lanes of a last strip that no row fills a value, so that they can be rounded with the others.
void PackedRows::clear_unfilled(float* strips, int64_t part) const {
  const int64_t whole = rows_ / ops_.strip_rows * ops_.strip_rows;
  std::fill(strips + whole * part, strips + padded_rows_ * part, 0.0f);
}

void PackedRows::multiply(const PackedWeights& weights, int64_t first_panel, int64_t panel_count, Sums start,
                          Sums between, Sums out) const {
  constexpr int64_t kPanel = PackedWeights::kPanel;
  for (int64_t k = 0; k < depth_; k += depth_part_) {
    const int64_t part = std::min(depth_part_, depth_ - k);
    const Sums from = k == 0 ? start : between, to = k + part == depth_ ? out : between;
    const float* const panels = weights.panel(first_panel) + (first_ + k) * kPanel;
    // The next part of the same panels, or the panels after them from the start of the depth.
    const int64_t after = first_panel + panel_count < weights.panels() ? first_panel + panel_count : 0;
    const float* const following =
        k + part < depth_ ? panels + part * kPanel : weights.panel(after) + first_ * kPanel;
    ops_.multiply({.strips = strips_ + k * padded_rows_,
                   .rows = rows_,
                   .depth = part,
                   .panels = panels,
                   .panel_stride = weights.depth() * kPanel,
                   .panel_count = panel_count,
                   .following = following,
                   .start = from.data,
                   .start_stride = from.stride,
                   .out = to.data,
                   .out_stride = to.stride});
  }
  for (int64_t r = 0; r < rows_ && depth_ == 0; ++r) {
    std::fill_n(out.data + r * out.stride, panel_count * kPanel, 0.0f);
  }
}

}  // namespace orthant::kernels
