// How a product is cut into tasks: a pure function of the shape and the threads, without influence on any
// bit.
#pragma once

#include <cstdint>

namespace orthant::kernels {

struct GemmPlan {
  int64_t block_rows;   // rows of a task
  int64_t task_panels;  // panels of a task
  int64_t depth_part;   // depth of one pass
};

inline constexpr int64_t kMaxBlockRows = 96;
// Floats of packed rows that one task may hold, on its stack: 1 MiB.
inline constexpr int64_t kMaxPackedFloats = 256 * 1024;

// Depth that `rows` rows can be packed over at once: whole parts, as many as kMaxPackedFloats holds.
[[nodiscard]] int64_t packed_depth_of(int64_t rows, int64_t depth_part, int64_t strip_rows);

// Parts of equal size, near the depth at which a panel fits the first-level cache beside a strip. Few rows
// (no more than a strip) have nothing to keep there and take long parts.
[[nodiscard]] int64_t depth_part_of(int64_t depth, int64_t rows, int64_t strip_rows);

// About `target` rows (a multiple of strip_rows, at least one strip), chosen so that `threads` threads finish
// together.
[[nodiscard]] int64_t block_rows_of(int64_t rows, int64_t threads, int64_t strip_rows, int64_t target);

[[nodiscard]] GemmPlan plan_gemm(int64_t rows, int64_t panels, int64_t depth, int64_t threads,
                                 int64_t strip_rows);

}  // namespace orthant::kernels
