#include "kernels/dense/gemm_plan.h"

#include <gtest/gtest.h>

#include "kernels/dense/gemm_tile.h"

namespace orthant {
namespace {

using kernels::block_rows_of;
using kernels::depth_part_of;
using kernels::plan_gemm;

TEST(GemmPlan, TasksFitTheirBuffers) {
  for (const int64_t strip : {6, 12}) {
    for (const int64_t rows : {1, 6, 7, 12, 13, 143, 145, 4096, 1000003}) {
      for (const int64_t depth : {1, 576, 2304, 100000}) {
        for (const int64_t panels : {1, 5, 1024}) {
          const auto plan = plan_gemm(rows, panels, depth, 2, strip);
          EXPECT_EQ(plan.block_rows % strip, 0);
          EXPECT_GE(plan.task_panels, 1);
          EXPECT_GE(plan.depth_part, 1);
          const int64_t packed = kernels::packed_depth_of(plan.block_rows, plan.depth_part, strip);
          EXPECT_GE(packed, plan.depth_part);
          EXPECT_LE(plan.block_rows * packed, kernels::kMaxPackedFloats);
          EXPECT_LE(plan.block_rows, kernels::kMaxBlockRows);
        }
      }
    }
  }
}

TEST(GemmPlan, FewRowsAreSplitByColumns) {
  const auto plan = plan_gemm(1, 1024, 576, 2, 6);
  EXPECT_GE((1024 + plan.task_panels - 1) / plan.task_panels, 2);
  EXPECT_EQ(plan.depth_part, 576);
}

TEST(GemmPlan, DepthPartsAreEqual) {
  EXPECT_EQ(depth_part_of(576, 100, 6), 192);
  EXPECT_EQ(depth_part_of(2304, 100, 6), 192);
  EXPECT_EQ(depth_part_of(321, 100, 6), 161);
}

TEST(GemmPlan, RowBlocksKeepThreadsEvenlyBusy) {
  for (const int64_t rows : {1, 50, 100, 1000, 4096, 8192}) {
    for (const int64_t threads : {1, 2, 8}) {
      const int64_t block = block_rows_of(rows, threads, 6, 96);
      EXPECT_EQ(block % 6, 0);
      EXPECT_LE(block, 96);
      const int64_t rounds = ((rows + block - 1) / block + threads - 1) / threads;
      EXPECT_LE(rounds * block * threads, rows + rows / 8 + 6 * threads)
          << rows << " rows, " << threads << " threads";
    }
  }
}

}  // namespace
}  // namespace orthant
