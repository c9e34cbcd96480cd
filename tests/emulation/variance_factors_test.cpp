#include "kernels/pruning/variance_factors.h"

#include <gtest/gtest.h>

#include "kernels/pruning/pruning_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;
using testing::random_matrix;

class VarianceFactorsKernel : public testing::KernelTest {};

TEST_F(VarianceFactorsKernel, IsNearTheCpu) {
  for (const int64_t width : {1, 30, 300, 1100}) {
    for (const int64_t rows : {0, 1, 3}) {
      const Tensor<float, 2> x = random_matrix(rows, width, 1), kept = random_matrix(rows, width, 2);
      Tensor<float, 1> expected = testing::make_vector<float>(rows);
      Stream host;
      variance_factors(x.view(), kept.view(), expected.view(), host);
      const auto device_x = on_device(x), device_kept = on_device(kept);
      const auto found = testing::in_every_order([&] {
        const DeviceArray<float> factors(rows);
        cuda::variance_factors({device_x.data(), {rows, width}, testing::kernel_device()},
                               {device_kept.data(), {rows, width}, testing::kernel_device()},
                               factors.vector(), stream_);
        return factors.values();
      });
      // Sums in f64 whatever their order.
      for (int64_t r = 0; r < rows; ++r)
        EXPECT_FLOAT_EQ(found[static_cast<size_t>(r)], expected.data()[r]) << width;
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
