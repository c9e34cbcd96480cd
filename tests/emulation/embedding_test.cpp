#include <gtest/gtest.h>

#include <cmath>

#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

using EmbeddingKernel = testing::KernelTest;

TEST_F(EmbeddingKernel, CopiesTheRowsOfTheTokensAndMarksUnknownOnes) {
  for (const int64_t width : {1, 5, 8, 1100}) {
    const Tensor<float, 2> table = testing::random_matrix(11, width, 1);
    const auto device_table = on_device(table);
    const std::vector<int32_t> tokens = {10, 0, 3, 3, -1, 11};
    const DeviceArray<int32_t> ids{std::span<const int32_t>(tokens)};
    const DeviceArray<float> out(6 * width);
    cuda::embed(device_table.matrix(width), ids.vector(), out.matrix(width), stream_);
    const std::vector<float> found = out.values();
    for (int64_t i = 0; i < 6 * width; ++i) {
      const int32_t token = tokens[static_cast<size_t>(i / width)];
      const float value = found[static_cast<size_t>(i)];
      if (token < 0 || token > 10) {
        EXPECT_TRUE(std::isnan(value)) << i;
      } else {
        EXPECT_EQ(value, table.view().row(token)[i % width]) << i;
      }
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
