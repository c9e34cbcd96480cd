#include "kernels/dense/product_rows.h"

#include <gtest/gtest.h>

#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

TEST(ProductRows, AreTheRowsThemselvesOnTheCpu) {
  testing::NormalMatrix x(5, 24, 1), w(7, 24, 2), expected(5, 7, 3), found(5, 7, 4);
  Memory memory;
  Stream stream;
  for (const auto precision : {kernels::Precision::kF32, kernels::Precision::kBF16}) {
    kernels::PackedWeights weights(memory, "weights", 7, 24, precision);
    weights.pack(w.view(), stream);
    const int64_t taken = memory.allocated_bytes();
    kernels::ProductRows rows(memory, "rounded", 5 * 24, precision);
    EXPECT_EQ(memory.allocated_bytes(), taken);
    kernels::matmul_nt(x.view(), weights, expected.view(), stream);
    kernels::matmul_nt(rows.of(x.view(), stream), weights, found.view(), stream);
    EXPECT_EQ(found.values(), expected.values());
  }
}

}  // namespace
}  // namespace orthant
