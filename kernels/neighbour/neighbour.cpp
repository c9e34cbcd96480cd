#include "kernels/neighbour/neighbour.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "kernels/dense/gemm_plan.h"
#include "kernels/dense/packed_rows.h"
#include "kernels/isa/filter.h"
#include "kernels/isa/isa.h"
#include "kernels/neighbour/neighbour_cuda.h"

namespace orthant::kernels {
namespace {

constexpr int64_t kPanel = PackedWeights::kPanel;
constexpr int64_t kTileColumns = kPairColumns;
constexpr double kSmallestNorm = 1e-8;

struct Best {
  float value;
  int64_t index;
};

// The best of one row after the candidates of one tile, numbered from `first`.
Best best_of_tile(const FilterOps& filter, const float* products, int64_t count, int64_t first,
                  int64_t excluded, Best best) {
  uint64_t words[kTileColumns / 64];
  // The largest threshold that equal values still pass: they win with a lower index.
  const float below = std::nextafter(best.value, -std::numeric_limits<float>::infinity());
  filter.above({.products = products,
                .count = count,
                .bias = nullptr,
                .scale = nullptr,
                .thresholds = nullptr,
                .threshold = below},
               words);
  for (int64_t w = 0; w * 64 < count; ++w) {
    for (uint64_t word = words[w]; word != 0; word &= word - 1) {
      const int64_t i = w * 64 + std::countr_zero(word), index = first + i;
      const bool wins = products[i] > best.value || (products[i] == best.value && index < best.index);
      if (wins && index != excluded) best = {products[i], index};
    }
  }
  return best;
}

// Products of rows [row, row + count) of `queries`, at most kMaxBlockRows, with the candidates from
// `first_column` (a multiple of kPanel) on: visit(first candidate of the tile, candidates in it, products
// [count, kTileColumns]), tile after tile.
template <typename Visit>
void each_tile(const GemmOps& ops, Matrix<const float> queries, int64_t row, int64_t count,
               const PackedWeights& candidates, int64_t first_column, const Visit& visit) {
  alignas(64) float strips[kMaxPackedFloats];
  alignas(64) float products[kMaxBlockRows * kTileColumns];
  const Sums tile = {products, kTileColumns};
  const int64_t columns = candidates.columns(), depth = candidates.depth();
  const int64_t depth_part = depth_part_of(depth, count, ops.strip_rows);
  const int64_t group = packed_depth_of(count, depth_part, ops.strip_rows);
  PackedRows packed(ops, count, depth_part, candidates.precision(), strips);
  for (int64_t first = first_column; first < columns; first += kTileColumns) {
    for (int64_t k = 0; k == 0 || k < depth; k += group) {
      // Where the whole depth fits, the rows are packed once for all tiles.
      if (first == first_column || group < depth) {
        packed.pack(queries.row(row), depth, k, std::min(group, depth - k));
      }
      packed.multiply(candidates, first / kPanel,
                      std::min(kTileColumns / kPanel, candidates.panels() - first / kPanel),
                      k == 0 ? Sums{} : tile, tile, tile);
    }
    visit(first, std::min(kTileColumns, columns - first), products);
  }
}

// Offers the pairs of row `row` with the candidates of one tile that come after it, both ways.
void offer_pairs(const FilterOps& filter, const float* products, int64_t count, int64_t first, int64_t row,
                 const PairBest& best) {
  each_promising_pair(filter, products, count, first, row, best, [&](int64_t i) {
    best.offer(row, products[i], first + i);
    best.offer(first + i, products[i], row);
  });
}

bool is_on_cuda(Matrix<const float> rows) {
  return rows.device.kind == DeviceKind::kCuda;
}

void require_comparable(const PackedWeights& candidates, TileView tile) {
  require(candidates.precision() != Precision::kBF16, "neighbours on CUDA are compared in f32");
  require(candidates.columns() == 0 || tile.shape.elements() > 0, "there is room for a tile of products");
}

}  // namespace

void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, ProductTile& tile, Vector<float> best_value,
                       Vector<int64_t> best_index, Stream& stream) {
  nearest_neighbour(queries, candidates, candidate_offset, excluded, tile, best_value, best_index,
                    active_isa(), stream);
}

void nearest_neighbour(Matrix<const float> queries, const PackedWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, ProductTile& tile, Vector<float> best_value,
                       Vector<int64_t> best_index, Isa isa, Stream& stream) {
  const int64_t rows = queries.shape[0];
  require(queries.shape[1] == candidates.depth(), "queries have the depth of the candidates");
  require(excluded.shape[0] == rows && best_value.shape[0] == rows && best_index.shape[0] == rows,
          "excluded and best have one element a query");
  if (is_on_cuda(queries)) {
    require_comparable(candidates, tile.view());
    return cuda::nearest_neighbour(queries, candidates.dense(), candidate_offset, excluded, tile.view(),
                                   best_value, best_index, stream);
  }
  const GemmOps& ops = gemm_ops(isa);
  const FilterOps& filter = filter_ops(isa);
  const int64_t block_rows = block_rows_of(rows, omp_get_max_threads(), ops.strip_rows, kMaxBlockRows);
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t row = 0; row < rows; row += block_rows) {
    const int64_t count = std::min(block_rows, rows - row);
    const auto update = [&](int64_t first, int64_t width, const float* products) {
      for (int64_t query = row; query < row + count; ++query, products += kTileColumns) {
        const Best best =
            best_of_tile(filter, products, width, candidate_offset + first, excluded.data[query],
                         {best_value.data[query], best_index.data[query]});
        best_value.data[query] = best.value;
        best_index.data[query] = best.index;
      }
    };
    each_tile(ops, queries, row, count, candidates, 0, update);
  }
}

void nearest_of_pairs(Matrix<const float> rows, const PackedWeights& packed, int64_t band,
                      PairWorkspace& workspace, Vector<float> best_value, Vector<int64_t> best_index,
                      Stream& stream) {
  nearest_of_pairs(rows, packed, band, workspace, best_value, best_index, active_isa(), stream);
}

void nearest_of_pairs(Matrix<const float> rows, const PackedWeights& packed, int64_t band,
                      PairWorkspace& workspace, Vector<float> best_value, Vector<int64_t> best_index, Isa isa,
                      Stream& stream) {
  const int64_t n = rows.shape[0];
  require(packed.columns() == n && packed.depth() == rows.shape[1], "the packed rows are the rows");
  require(band >= 0 && band <= n && n <= workspace.rows(), "the band and the workspace fit the rows");
  require(best_value.shape[0] == n && best_index.shape[0] == n, "best has one element a row");
  if (is_on_cuda(rows)) {
    require_comparable(packed, workspace.tile());
    return cuda::nearest_of_pairs(rows, packed.dense(), band, workspace.tile(), best_value, best_index,
                                  stream);
  }
  const GemmOps& ops = gemm_ops(isa);
  const FilterOps& filter = filter_ops(isa);
  const int threads = std::min(workspace.threads(), omp_get_max_threads());
  const int64_t block_rows = block_rows_of(band, threads, ops.strip_rows, kMaxBlockRows);
#pragma omp parallel num_threads(threads)
  {
    const PairBest best = workspace.of_thread(omp_get_thread_num());
    best.clear(n);
#pragma omp for schedule(dynamic, 1)
    for (int64_t row = 0; row < band; row += block_rows) {
      const int64_t count = std::min(block_rows, band - row);
      const auto update = [&](int64_t first, int64_t width, const float* products) {
        for (int64_t r = 0; r < count; ++r) {
          offer_pairs(filter, products + r * kTileColumns, width, first, row + r, best);
        }
      };
      each_tile(ops, rows, row, count, packed, row / kPanel * kPanel, update);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < n; ++i) {
      workspace.join(omp_get_num_threads(), i, best_value.data[i], best_index.data[i]);
    }
  }
}

void unit_rows(Matrix<const float> rows, Matrix<float> unit, Vector<float> norms, Stream& stream) {
  const int64_t d_model = rows.shape[1];
  require(unit.shape == rows.shape && norms.shape[0] == rows.shape[0],
          "unit rows and norms have the shape of the rows");
  if (is_on_cuda(rows)) return cuda::unit_rows(rows, unit, norms, stream);
#pragma omp parallel for schedule(static)
  for (int64_t r = 0; r < rows.shape[0]; ++r) {
    constexpr int64_t kLanes = 16;
    const float* const from = rows.row(r);
    float* const to = unit.row(r);
    double lanes[kLanes] = {};
    for (int64_t i = 0; i < d_model; i += kLanes) {
      for (int64_t lane = 0; lane < std::min(kLanes, d_model - i); ++lane) {
        const double x = from[i + lane];
        lanes[lane] += x * x;
      }
    }
    double squares = 0.0;
    for (const double lane : lanes) squares += lane;
    const double norm = std::sqrt(squares), inverse = 1.0 / std::max(norm, kSmallestNorm);
    norms.data[r] = static_cast<float>(norm);
    for (int64_t i = 0; i < d_model; ++i) to[i] = static_cast<float>(from[i] * inverse);
  }
}

}  // namespace orthant::kernels
