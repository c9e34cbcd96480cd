#include "kernels/dense/gemm_plan.h"

#include <algorithm>

namespace orthant::kernels {
namespace {

constexpr int64_t kCachedDepth = 192;
constexpr int64_t kStreamedDepth = 2048;
constexpr int64_t kTaskPanels = 256;
constexpr int64_t kTasksPerThread = 4;
// Reading the weights once more for each block of rows costs about as much as this many rows.
constexpr int64_t kRowsPerPass = 12;

constexpr int64_t parts_of(int64_t whole, int64_t part) {
  return (whole + part - 1) / part;
}

}  // namespace

int64_t depth_part_of(int64_t depth, int64_t rows, int64_t strip_rows) {
  const int64_t longest = rows <= strip_rows ? kStreamedDepth : kCachedDepth;
  const int64_t parts = std::max<int64_t>(1, parts_of(depth, longest));
  return std::max<int64_t>(1, parts_of(depth, parts));
}

int64_t packed_depth_of(int64_t rows, int64_t depth_part, int64_t strip_rows) {
  return kMaxPackedFloats / (parts_of(rows, strip_rows) * strip_rows) / depth_part * depth_part;
}

int64_t block_rows_of(int64_t rows, int64_t threads, int64_t strip_rows, int64_t target) {
  const int64_t most = std::max<int64_t>(1, parts_of(std::max<int64_t>(rows, 1), threads));
  const int64_t last = std::max(strip_rows, std::min(target, parts_of(most, strip_rows) * strip_rows));
  int64_t best = last, best_time = INT64_MAX;
  for (int64_t block = last; block >= std::max(strip_rows, last / 2); block -= strip_rows) {
    const int64_t time = parts_of(parts_of(rows, block), threads) * (block + kRowsPerPass);
    if (time < best_time) {
      best = block;
      best_time = time;
    }
  }
  return best;
}

GemmPlan plan_gemm(int64_t rows, int64_t panels, int64_t depth, int64_t threads, int64_t strip_rows) {
  const int64_t block_rows = std::min(parts_of(std::max<int64_t>(rows, 1), strip_rows) * strip_rows,
                                      kMaxBlockRows / strip_rows * strip_rows);
  const int64_t row_blocks = std::max<int64_t>(1, parts_of(rows, block_rows));
  const int64_t column_tiles = parts_of(kTasksPerThread * threads, row_blocks);
  const int64_t task_panels = std::clamp<int64_t>(parts_of(panels, column_tiles), 1, kTaskPanels);
  return {block_rows, task_panels, depth_part_of(depth, rows, strip_rows)};
}

}  // namespace orthant::kernels
