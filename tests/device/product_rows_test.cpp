#include "kernels/dense/product_rows.h"

#include <gtest/gtest.h>

#include "tests/device/device.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using ProductRowsOnDevice = testing::DeviceTest;

Tensor<float, 2> there(const Tensor<float, 2>& host, Memory& memory) {
  Tensor<float, 2> copy(memory, "test", host.shape());
  copy_bytes(copy.data(), memory.device(), host.data(), kCpu, host.view().bytes());
  return copy;
}

TEST_F(ProductRowsOnDevice, GiveTheBitsOfTheProductThatRoundsByItself) {
  Memory memory(testing::device());
  Stream stream(testing::device());
  const Tensor<float, 2> x = there(testing::random_matrix(5, 24, 1), memory),
                         w = there(testing::random_matrix(7, 24, 2), memory);
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
    PackedWeights weights(memory, "test", 7, 24, precision);
    weights.pack(w.view(), stream);
    Tensor<float, 2> expected(memory, "test", {5, 7}), found(memory, "test", {5, 7});
    matmul_nt(x.view(), weights, expected.view(), stream);
    ProductRows rows(memory, "rounded", 5 * 24, precision);
    const int64_t taken = memory.allocated_bytes();
    matmul_nt(rows.of(x.view(), stream), weights, found.view(), stream);
    EXPECT_EQ(testing::on_host(found.view()), testing::on_host(expected.view())) << name_of(precision);
    EXPECT_EQ(memory.allocated_bytes(), taken);
    if (precision != Precision::kBF16) continue;
    EXPECT_THROW((void)rows.of({x.data(), {6, 24}, testing::device()}, stream), Error);
  }
}

}  // namespace
}  // namespace orthant::kernels
