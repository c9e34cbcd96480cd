#include "kernels/gemm.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

#include "kernels/gemm_plan.h"
#include "kernels/gemm_tile.h"
#include "kernels/isa.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kPanel = PackedWeights::kPanel;

// Panel `index` of rows row_of(0), row_of(1), ... of `weights`: [depth, kPanel], missing columns zero.
template <typename RowOf>
void pack_panel(int64_t index, int64_t columns, int64_t depth, const RowOf& row_of, float* panel) {
  const int64_t first = index * kPanel;
  const int64_t count = std::min(kPanel, columns - first);
  const float* rows[kPanel];
  for (int64_t c = 0; c < count; ++c) rows[c] = row_of(first + c);
  if (count < kPanel) std::fill_n(panel, depth * kPanel, 0.0f);
  // Pieces of the depth, so that the lines written stay in the cache while all columns are read.
  constexpr int64_t kPiece = 64;
  for (int64_t piece = 0; piece < depth; piece += kPiece) {
    const int64_t end = std::min(depth, piece + kPiece);
    for (int64_t c = 0; c < count; ++c) {
      for (int64_t k = piece; k < end; ++k) panel[k * kPanel + c] = rows[c][k];
    }
  }
}

// The product of one task: rows [0, rows) of x times `panels` panels from `first_panel`.
class Task {
 public:
  Task(const GemmOps& ops, const PackedWeights& weights, int64_t depth_part)
      : ops_(ops), weights_(weights), depth_part_(depth_part) {}

  void run(const float* x, int64_t rows, int64_t first_panel, int64_t panels, float* out) const {
    const int64_t depth = weights_.depth(), columns = weights_.columns();
    const int64_t whole = std::min(panels, columns / kPanel - first_panel);
    alignas(64) float strips[kMaxPackedFloats];
    for (int64_t k = 0; k < depth; k += depth_part_) {
      const int64_t part = std::min(depth_part_, depth - k);
      ops_.pack_rows(x + k, depth, rows, part, strips);
      TileProduct tile{.strips = strips,
                       .rows = rows,
                       .depth = part,
                       .panels = weights_.panel(first_panel) + k * kPanel,
                       .panel_stride = depth * kPanel,
                       .panel_count = whole,
                       .out = out + first_panel * kPanel,
                       .out_stride = columns,
                       .accumulate = k > 0};
      ops_.multiply(tile);
      if (whole < panels) ragged_panel(tile, columns % kPanel);
    }
  }

 private:
  // The last panel where columns are no multiple of kPanel: through a buffer of full width.
  void ragged_panel(TileProduct tile, int64_t columns) const {
    alignas(64) float buffer[kMaxPackedFloats / 16];
    constexpr int64_t kRowsAtOnce = kMaxPackedFloats / 16 / kPanel;
    float* const out = tile.out + tile.panel_count * kPanel;
    const int64_t strips = kRowsAtOnce / ops_.strip_rows * ops_.strip_rows, rows = tile.rows;
    const size_t bytes = static_cast<size_t>(columns) * sizeof(float);
    tile.panels += tile.panel_count * tile.panel_stride;
    tile.panel_count = 1;
    for (int64_t row = 0; row < rows; row += strips) {
      tile.rows = std::min(strips, rows - row);
      for (int64_t r = 0; r < tile.rows && tile.accumulate; ++r) {
        std::memcpy(buffer + r * kPanel, out + (row + r) * tile.out_stride, bytes);
      }
      TileProduct piece = tile;
      piece.strips = tile.strips + row * tile.depth;
      piece.out = buffer;
      piece.out_stride = kPanel;
      ops_.multiply(piece);
      for (int64_t r = 0; r < tile.rows; ++r) {
        std::memcpy(out + (row + r) * tile.out_stride, buffer + r * kPanel, bytes);
      }
    }
  }

  const GemmOps& ops_;
  const PackedWeights& weights_;
  int64_t depth_part_;
};

}  // namespace

const GemmOps& gemm_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::gemm_table();
    case Isa::kAvx2:
      return avx2::gemm_table();
    case Isa::kAvx512:
      return avx512::gemm_table();
  }
  return scalar::gemm_table();
}

PackedWeights::PackedWeights(Memory& memory, std::string_view segment, int64_t columns, int64_t depth)
    : columns_(columns),
      depth_(depth),
      capacity_(columns),
      panels_(memory, segment, {(columns + kPanel - 1) / kPanel * kPanel * depth}) {}

void PackedWeights::pack(Matrix<const float> weights, Stream&) {
  require(weights.shape[1] == depth_, "packed weights have the depth of their construction");
  require(weights.shape[0] <= capacity_, "packed weights have room for all columns");
  columns_ = weights.shape[0];
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < panels(); ++p) {
    pack_panel(
        p, columns_, depth_, [&](int64_t row) { return weights.row(row); },
        panels_.data() + p * depth_ * kPanel);
  }
}

void PackedWeights::pack_chosen(Matrix<const float> weights, Vector<const int32_t> chosen, Stream&) {
  require(weights.shape[1] == depth_, "packed weights have the depth of their construction");
  require(chosen.shape[0] <= capacity_, "packed weights have room for all columns");
  columns_ = chosen.shape[0];
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < panels(); ++p) {
    pack_panel(
        p, columns_, depth_, [&](int64_t row) { return weights.row(chosen.data[row]); },
        panels_.data() + p * depth_ * kPanel);
  }
}

void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Stream& stream) {
  matmul_nt(x, weights, out, active_isa(), stream);
}

void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Isa isa, Stream&) {
  const int64_t rows = x.shape[0], depth = weights.depth(), panels = weights.panels();
  require(x.shape[1] == depth, "x has the depth of the weights");
  require(out.shape[0] == rows && out.shape[1] == weights.columns(),
          "out is [rows of x, columns of the weights]");
  if (rows == 0 || panels == 0) return;
  if (depth == 0) {
    std::fill_n(out.data, out.elements(), 0.0f);
    return;
  }
  const GemmOps& ops = gemm_ops(isa);
  const GemmPlan plan = plan_gemm(rows, panels, depth, omp_get_max_threads(), ops.strip_rows);
  const int64_t row_blocks = (rows + plan.block_rows - 1) / plan.block_rows;
  const int64_t column_tiles = (panels + plan.tile_panels - 1) / plan.tile_panels;
  const Task task(ops, weights, plan.depth_part);
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t t = 0; t < row_blocks * column_tiles; ++t) {
    const int64_t row = t / column_tiles * plan.block_rows, panel = t % column_tiles * plan.tile_panels;
    task.run(x.row(row), std::min(plan.block_rows, rows - row), panel,
             std::min(plan.tile_panels, panels - panel), out.row(row));
  }
}

}  // namespace orthant::kernels
