#include "kernels/dense/gemm.h"

#include <omp.h>

#include <algorithm>

#include "kernels/dense/gemm_cuda.h"
#include "kernels/dense/gemm_plan.h"
#include "kernels/dense/gemm_tile.h"
#include "kernels/dense/packed_rows.h"
#include "kernels/dense/round_bf16.h"
#include "kernels/isa/isa.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kPanel = PackedWeights::kPanel;
constexpr int64_t kTilePanels =
    16;  // with a block of rows and a part of the depth, within the second-level cache

// panel[k * kPanel + c] = rows[c][k] for four columns and k in [first, last).
void transpose_four(const float* const* rows, int64_t first, int64_t last, float* panel) {
  using Four [[gnu::vector_size(16), gnu::aligned(4), gnu::may_alias]] = float;
  const auto load = [](const float* from) { return *reinterpret_cast<const Four*>(from); };
  const auto store = [&](int64_t k, Four value) { *reinterpret_cast<Four*>(panel + k * kPanel) = value; };
  int64_t k = first;
  for (; k + 4 <= last; k += 4) {
    const Four a = load(rows[0] + k), b = load(rows[1] + k), c = load(rows[2] + k), d = load(rows[3] + k);
    const Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5),
               ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5),
               cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    store(k, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
    store(k + 1, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
    store(k + 2, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
    store(k + 3, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
  }
  for (; k < last; ++k) store(k, Four{rows[0][k], rows[1][k], rows[2][k], rows[3][k]});
}

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
    int64_t c = 0;
    for (; c + 4 <= count; c += 4) transpose_four(rows + c, piece, end, panel + c);
    for (; c < count; ++c) {
      for (int64_t k = piece; k < end; ++k) panel[k * kPanel + c] = rows[c][k];
    }
  }
}

// One task of a product: a block of rows times a range of panels.
struct Task {
  const float* x;  // [rows, depth]
  int64_t rows;
  int64_t first_panel;
  int64_t panel_count;
  float* out;  // [rows, columns]
};

// The last panel where the columns are no multiple of kPanel: through a buffer of full width.
void multiply_ragged(const PackedRows& rows, const PackedWeights& weights, bool continued, Sums buffer,
                     float* out) {
  const int64_t columns = weights.columns(), last = columns / kPanel, width = columns % kPanel;
  for (int64_t r = 0; r < rows.rows() && continued; ++r) {
    std::copy_n(out + r * columns + last * kPanel, width, buffer.data + r * buffer.stride);
  }
  rows.multiply(weights, last, 1, continued ? buffer : Sums{}, buffer, buffer);
  for (int64_t r = 0; r < rows.rows(); ++r) {
    std::copy_n(buffer.data + r * buffer.stride, width, out + r * columns + last * kPanel);
  }
}

void multiply_task(const GemmOps& ops, const PackedWeights& weights, int64_t depth_part, const Task& task) {
  alignas(64) float strips[kMaxPackedFloats];
  alignas(64) float tile[kMaxBlockRows * kTilePanels * kPanel];
  const Sums between = {tile, kTilePanels * kPanel};
  const int64_t depth = weights.depth(), columns = weights.columns();
  const int64_t group = packed_depth_of(task.rows, depth_part, ops.strip_rows);
  const int64_t end = std::min(task.first_panel + task.panel_count, columns / kPanel);
  PackedRows rows(ops, task.rows, depth_part, weights.precision(), strips);
  for (int64_t k = 0; k == 0 || k < depth; k += group) {
    rows.pack(task.x, depth, k, std::min(group, depth - k));
    for (int64_t p = task.first_panel; p < end; p += kTilePanels) {
      const Sums out = {task.out + p * kPanel, columns};
      rows.multiply(weights, p, std::min(kTilePanels, end - p), k == 0 ? Sums{} : out, between, out);
    }
    if (end < task.first_panel + task.panel_count) multiply_ragged(rows, weights, k > 0, between, task.out);
  }
}

}  // namespace

const GemmOps& gemm_ops(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return scalar::gemm_table();
    case Isa::kAvx2:
      return avx2::gemm_table();
    case Isa::kAvx512:
    case Isa::kAmx:
      return avx512::gemm_table();
  }
  return scalar::gemm_table();
}

PackedWeights::PackedWeights(Memory& memory, std::string_view segment, int64_t columns, int64_t depth,
                             Precision precision, ProductOrder order)
    : columns_(columns), depth_(depth), capacity_(columns), precision_(precision), device_(memory.device()) {
  require_precision(precision, device_);
  require_order(order, precision);
  if (!is_on_cuda()) {
    panels_ = Tensor<float, 1>(memory, segment, {(columns + kPanel - 1) / kPanel * kPanel * depth});
    return;
  }
  rows_ = Tensor<std::byte, 1>(memory, segment, {columns * depth * cuda::operand_bytes(precision)});
  if (!memory.counts_only()) product_ = cuda::DenseProduct(device_, depth, precision, order);
}

void PackedWeights::set_columns(int64_t columns, Matrix<const float> weights) {
  require(weights.shape[1] == depth_, "packed weights have the depth of their construction");
  require(columns <= capacity_, "packed weights have room for all columns");
  require(weights.device == device_, "weights are packed on their device");
  columns_ = columns;
}

template <typename RowOf>
void PackedWeights::pack_panels(const RowOf& row_of) {
#pragma omp parallel for schedule(static)
  for (int64_t p = 0; p < panels(); ++p) {
    float* const panel = panels_.data() + p * depth_ * kPanel;
    pack_panel(p, columns_, depth_, row_of, panel);
    if (precision_ == Precision::kBF16) round_bf16({panel, static_cast<size_t>(depth_ * kPanel)});
  }
}

void PackedWeights::pack(Matrix<const float> weights, Stream& stream) {
  set_columns(weights.shape[0], weights);
  if (is_on_cuda()) return cuda::pack_operand(weights, nullptr, columns_, precision_, rows_.data(), stream);
  pack_panels([&](int64_t row) { return weights.row(row); });
}

void PackedWeights::pack_chosen(Matrix<const float> weights, Vector<const int32_t> chosen, Stream& stream) {
  set_columns(chosen.shape[0], weights);
  if (is_on_cuda())
    return cuda::pack_operand(weights, chosen.data, columns_, precision_, rows_.data(), stream);
  pack_panels([&](int64_t row) { return weights.row(chosen.data[row]); });
}

void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Stream& stream) {
  matmul_nt(x, weights, out, active_isa(), stream);
}

void matmul_nt(Matrix<const float> x, const PackedWeights& weights, Matrix<float> out, Isa isa,
               Stream& stream) {
  const int64_t rows = x.shape[0], depth = weights.depth(), panels = weights.panels();
  require(x.shape[1] == depth, "x has the depth of the weights");
  require(out.shape[0] == rows && out.shape[1] == weights.columns(),
          "out is [rows of x, columns of the weights]");
  if (rows == 0 || panels == 0) return;
  if (x.device.kind == DeviceKind::kCuda) return cuda::matmul_nt(x, weights.dense(), out, stream);
  const GemmOps& ops = gemm_ops(isa);
  const GemmPlan plan = plan_gemm(rows, panels, depth, omp_get_max_threads(), ops.strip_rows);
  const int64_t row_blocks = (rows + plan.block_rows - 1) / plan.block_rows;
  const int64_t column_tiles = (panels + plan.task_panels - 1) / plan.task_panels;
  // Below this, waking the threads costs more than the product.
  constexpr int64_t kSmallProduct = 1 << 17;
#pragma omp parallel for schedule(dynamic, 1) if (rows * panels * kPanel * depth > kSmallProduct)
  for (int64_t t = 0; t < row_blocks * column_tiles; ++t) {
    const int64_t row = t / column_tiles * plan.block_rows, panel = t % column_tiles * plan.task_panels;
    multiply_task(ops, weights, plan.depth_part,
                  {.x = x.row(row),
                   .rows = std::min(plan.block_rows, rows - row),
                   .first_panel = panel,
                   .panel_count = std::min(plan.task_panels, panels - panel),
                   .out = out.row(row)});
  }
}

}  // namespace orthant::kernels
