// The nearest neighbour of each unit row among others by cosine.
//
// OrtSAE (arXiv 2509.22033) equations 3 and 4. Ties go to the lowest candidate. No Gram matrix is stored
// beyond a tile. Bits do not depend on tiles, threads or the instruction set; on CUDA products have the bits
// of kernels/dense/dense_product.h. A NaN never wins. All operands are on one device. Thread-safe for
// distinct outputs. Not Collective.
#pragma once

#include "kernels/dense/gemm.h"
#include "kernels/neighbour/pair_best.h"
#include "kernels/neighbour/product_tile.h"

namespace orthant::kernels {

// Scratch of nearest_of_pairs(), allocated once and used for every step: each thread's best so far, or a
// tile.
class PairWorkspace {
 public:
  // Enough for `rows` rows, and for `threads` threads on the CPU.
  PairWorkspace(Memory& memory, int threads, int64_t rows)
      : rows_(rows), tile_(memory, "workspace", rows, rows) {
    if (memory.device().kind == DeviceKind::kCuda) return;
    below_ = Tensor<float, 2>(memory, "workspace", {threads, rows});
    values_ = Tensor<float, 2>(memory, "workspace", {threads, rows});
    indices_ = Tensor<int64_t, 2>(memory, "workspace", {threads, rows});
  }
  [[nodiscard]] int64_t rows() const { return rows_; }
  [[nodiscard]] TileView tile() { return tile_.view(); }
  [[nodiscard]] int threads() const { return static_cast<int>(values_.shape()[0]); }
  [[nodiscard]] PairBest of_thread(int thread) {
    return {below_.view().row(thread), values_.view().row(thread), indices_.view().row(thread)};
  }
  // The best of row `row` over the first `threads` threads.
  void join(int threads, int64_t row, float& value, int64_t& index) {
    const PairBest all = of_thread(0);
    for (int t = 1; t < threads; ++t) all.offer(row, of_thread(t).values[row], of_thread(t).indices[row]);
    value = all.values[row];
    index = all.indices[row];
  }

 private:
  int64_t rows_;
  ProductTile tile_;
  Tensor<float, 2> below_;  // [threads, rows] the largest threshold that equal values still pass
  Tensor<float, 2> values_;
  Tensor<int64_t, 2> indices_;
};

// For each row q of `queries` [n, d]: over the rows j of `candidates` [c, d], except the one numbered
// excluded[q] (-1: none), the largest dot product and its index. Where best_value is not -infinity on entry,
// only larger ones (or equal ones with a lower index) replace it, so that candidates may come in pieces.
// Indices written are candidate_offset + j; excluded[q] is in the same numbering. On CUDA `tile` is for as
// many rows and candidates, and the precision f32.
void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, ProductTile& tile, Vector<float> best_value,
                       Vector<int64_t> best_index, Stream& stream);
// In a given instruction set, which the host must support.
void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, ProductTile& tile, Vector<float> best_value,
                       Vector<int64_t> best_index, Isa isa, Stream& stream);

// Of each row of `rows` [n, d], the largest dot product with another one and that one's index, over the pairs
// {i, j} with i < band and i < j: each product serves both rows. `packed` holds the same rows. With band = n
// it is the nearest neighbour among themselves; a whole cut into bands is the best over the bands, larger
// values first, then lower indices. -infinity and -1 where a row is in no pair. `best_value`, `best_index`
// [n]. Threads: OpenMP's, at most those of the workspace. On CUDA the precision is f32.
void nearest_of_pairs(Matrix<const float> rows, const PackedWeights& packed, int64_t band,
                      PairWorkspace& workspace, Vector<float> best_value, Vector<int64_t> best_index,
                      Stream& stream);
// In a given instruction set, which the host must support.
void nearest_of_pairs(Matrix<const float> rows, const PackedWeights& packed, int64_t band,
                      PairWorkspace& workspace, Vector<float> best_value, Vector<int64_t> best_index, Isa isa,
                      Stream& stream);

// unit[i] = rows[i] / max(|rows[i]|, 1e-8), norms[i] = |rows[i]| (f64 sums).
void unit_rows(Matrix<const float> rows, Matrix<float> unit, Vector<float> norms, Stream& stream);

}  // namespace orthant::kernels
