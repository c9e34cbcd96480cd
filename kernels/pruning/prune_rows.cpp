#include "kernels/pruning/prune_rows.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/pruning/keep_largest.h"
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/pruning_rows.h"
#include "kernels/pruning/row_variance.h"
#include "kernels/pruning/score_bits.h"

namespace orthant::kernels {
namespace {

void check(const PruneRows& rows, const PrunedRows& into) {
  const int64_t width = rows.x.shape[1], count = rows.x.shape[0];
  require(into.kept.shape == rows.x.shape, "pruned rows have the shape of x");
  require_fits(rows.producer, rows.x);
  require(rows.pattern.group >= 0 && rows.pattern.keep >= 0, "a pattern keeps some of a group");
  require(rows.pattern.keep <= (rows.pattern.group == 0 ? width : rows.pattern.group),
          "a pattern keeps no more than its group has");
  require(rows.pattern.group == 0 || width % rows.pattern.group == 0, "the group divides the width");
  require(rows.gains.shape[0] == 0 || rows.gains.shape[1] == width, "gains are [sets, width]");
  require(rows.gain_sets.shape[0] == 0 || rows.gain_sets.shape[0] == count, "gain sets are [rows]");
  require(rows.center != RowCenter::kGiven || rows.given_center.shape[0] == width, "the centre is [width]");
  const bool has_centers = rows.center == RowCenter::kMedian || rows.center == RowCenter::kMean;
  require(into.centers.shape[0] == (has_centers ? count : 0), "centers are [rows] where they are measured");
  require(into.factors.shape[0] == 0 || into.factors.shape[0] == count, "factors are [rows]");
  require(into.rest.shape[0] == 0 || (into.rest.shape == rows.x.shape && rows.center == RowCenter::kNone),
          "the rest is that of rows without a centre");
}

// What a thread needs for a row.
struct RowScratch {
  explicit RowScratch(int64_t width)
      : values(static_cast<size_t>(width)), keys(values.size()), survives(values.size()) {}
  std::vector<float> values;
  std::vector<int32_t> keys, survives;
};

float measured_center(RowCenter center, const float* x, int64_t width, RowScratch& scratch) {
  const PruningRows& ops = pruning_rows();
  if (center == RowCenter::kMean)
    return static_cast<float>(ops.sums(x, width).values / static_cast<double>(width));
  ops.order_keys(x, width, scratch.keys.data());
  return value_of_key(ops.nth_largest(scratch.keys.data(), width, width - (width - 1) / 2));
}

// `x`, or x without its centre in the scratch, where x may be itself.
const float* without_center(const PruneRows& rows, const PrunedRows& into, int64_t row, const float* x,
                            RowScratch& scratch) {
  const int64_t width = rows.x.shape[1];
  if (rows.center == RowCenter::kNone) return x;
  float center = 0.0f;
  if (rows.center != RowCenter::kGiven) {
    center = measured_center(rows.center, x, width, scratch);
    into.centers.data[row] = center;
  }
  pruning_rows().centered(x, rows.center == RowCenter::kGiven ? rows.given_center.data : nullptr, center,
                          width, scratch.values.data());
  return scratch.values.data();
}

void prune_row(const PruneRows& rows, const PrunedRows& into, int64_t row, RowScratch& scratch) {
  const PruningRows& ops = pruning_rows();
  const int64_t width = rows.x.shape[1];
  const int32_t set = rows.gain_sets.shape[0] == 0 ? 0 : rows.gain_sets.data[row];
  const float* const gains = rows.gains.shape[0] == 0 ? nullptr : rows.gains.row(set);
  const float* const x = produced_row(rows.producer, rows.x, row, scratch.values.data());
  const RowSums before = into.factors.shape[0] == 0 ? RowSums{} : ops.sums(x, width);
  const float* const values = without_center(rows, into, row, x, scratch);
  ops.scores(values, gains, width, scratch.keys.data());
  if (rows.pattern.group > 0) {
    ops.mark_groups(scratch.keys.data(), rows.pattern, width, scratch.survives.data());
  } else {
    mark_largest(scratch.keys.data(), width, rows.pattern.keep, scratch.survives.data());
  }
  ops.split(values, scratch.survives.data(), width, into.kept.row(row),
            into.rest.shape[0] == 0 ? nullptr : into.rest.row(row));
  if (into.factors.shape[0] == 0) return;
  const RowSums after = ops.sums(into.kept.row(row), width);
  into.factors.data[row] = variance_factor(before.values, before.squares, after.values, after.squares, width);
}

}  // namespace

void mark_largest(const int32_t* scores, int64_t count, int64_t keep, int32_t* survives) {
  if (keep == 0) {
    std::fill_n(survives, count, 0);
    return;
  }
  const int32_t least = pruning_rows().nth_largest(scores, count, keep);
  int64_t above = 0;
  for (int64_t i = 0; i < count; ++i) above += scores[i] > least ? 1 : 0;
  int64_t ties = keep - above;
  for (int64_t i = 0; i < count; ++i) {
    const bool tie = scores[i] == least && ties > 0;
    if (tie) --ties;
    survives[i] = scores[i] > least || tie ? -1 : 0;
  }
}

void prune_rows(const PruneRows& rows, const PrunedRows& into, Stream& stream) {
  check(rows, into);
  if (rows.x.device.kind == DeviceKind::kCuda) return cuda::prune_rows(rows, into, stream);
  if (rows.x.shape[1] == 0) return;
#pragma omp parallel if (rows.x.elements() > 65536)
  {
    RowScratch scratch(rows.x.shape[1]);
#pragma omp for schedule(static)
    for (int64_t row = 0; row < rows.x.shape[0]; ++row) prune_row(rows, into, row, scratch);
  }
}

}  // namespace orthant::kernels
