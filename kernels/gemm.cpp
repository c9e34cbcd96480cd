#include "kernels/gemm.h"

#include <omp.h>

#include <algorithm>

#include "kernels/gemm_block.h"
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

// Rows [0, rows) of x times `panels` panels from `first_panel`; the last one may be narrower than kPanel and
// then goes through a buffer of full width.
void multiply_task(const GemmOps& ops, const PackedWeights& weights, BlockProduct block) {
  const int64_t columns = weights.columns();
  alignas(64) float strips[kMaxPackedFloats];
  block.strips = strips;
  block.out += block.first_panel * kPanel;
  block.out_stride = columns;
  const int64_t panels = block.panel_count;
  block.panel_count = std::min(panels, columns / kPanel - block.first_panel);
  if (block.panel_count > 0) multiply_block(ops, weights, block);
  if (block.panel_count == panels) return;
  alignas(64) float ragged[kMaxBlockRows * kPanel];
  float* const out = block.out + block.panel_count * kPanel;
  block.first_panel += block.panel_count;
  block.panel_count = 1;
  block.out = ragged;
  block.out_stride = kPanel;
  multiply_block(ops, weights, block);
  for (int64_t r = 0; r < block.rows; ++r)
    std::copy_n(ragged + r * kPanel, columns % kPanel, out + r * columns);
}

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
  const GemmOps& ops = gemm_ops(isa);
  const GemmPlan plan = plan_gemm(rows, panels, depth, omp_get_max_threads(), ops.strip_rows);
  const int64_t row_blocks = (rows + plan.block_rows - 1) / plan.block_rows;
  const int64_t column_tiles = (panels + plan.tile_panels - 1) / plan.tile_panels;
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t t = 0; t < row_blocks * column_tiles; ++t) {
    const int64_t row = t / column_tiles * plan.block_rows, panel = t % column_tiles * plan.tile_panels;
    multiply_task(ops, weights,
                  {.x = x.row(row),
                   .rows = std::min(plan.block_rows, rows - row),
                   .first_panel = panel,
                   .panel_count = std::min(plan.tile_panels, panels - panel),
                   .depth_part = plan.depth_part,
                   .strips = nullptr,
                   .out = out.row(row),
                   .out_stride = out.shape[1]});
  }
}

}  // namespace orthant::kernels
