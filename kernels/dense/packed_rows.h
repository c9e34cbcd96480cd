// A block of rows packed over some depth, and its products with panels of weights, part by part of that
// depth.
//
// The buffer is the caller's. Not thread-safe; each thread packs its own block.
#pragma once

#include "kernels/dense/gemm.h"
#include "kernels/dense/gemm_tile.h"

namespace orthant::kernels {

// Rows of sums, `stride` floats apart; no data: zero.
struct Sums {
  float* data = nullptr;
  int64_t stride = 0;
};

class PackedRows {
 public:
  // `strips` has room for buffer_floats(rows, depth) floats of the deepest pack.
  // With bf16 the packed copy is rounded, not the rows.
  PackedRows(const GemmOps& ops, int64_t rows, int64_t depth_part, Precision precision, float* strips)
      : ops_(ops),
        rows_(rows),
        padded_rows_(padded(rows, ops.strip_rows)),
        depth_part_(depth_part),
        precision_(precision),
        strips_(strips) {}
  [[nodiscard]] static int64_t padded(int64_t rows, int64_t strip_rows) {
    return (rows + strip_rows - 1) / strip_rows * strip_rows;
  }
  // Elements [first, first + depth) of rows `row_stride` floats apart.
  void pack(const float* x, int64_t row_stride, int64_t first, int64_t depth);
  // out = start + product over the packed depth with `panel_count` panels. Between parts of the depth the
  // sums rest in `between`, which may be `out`; neither may be `start` unless both are.
  void multiply(const PackedWeights& weights, int64_t first_panel, int64_t panel_count, Sums start,
                Sums between, Sums out) const;
  [[nodiscard]] int64_t rows() const { return rows_; }

 private:
  void clear_unfilled(float* strips, int64_t part) const;

  const GemmOps& ops_;
  int64_t rows_;
  int64_t padded_rows_;
  int64_t depth_part_;
  Precision precision_;
  float* strips_;
  int64_t first_ = 0;
  int64_t depth_ = 0;
};

}  // namespace orthant::kernels
