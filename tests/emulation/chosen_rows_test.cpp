#include "kernels/ref/chosen_rows.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

using ChosenRowsKernel = testing::KernelTest;

TEST_F(ChosenRowsKernel, CopiesTheRowsAndMarksThoseOutside) {
  for (const int64_t width : {1, 5, 8, 1100}) {
    const Tensor<float, 2> table = testing::random_matrix(11, width, 1);
    const auto device_table = on_device(table);
    const std::vector<int32_t> chosen = {10, 0, 3, 3, -1, 11};
    const DeviceArray<int32_t> rows{std::span<const int32_t>(chosen)};
    const DeviceArray<float> out(6 * width);
    cuda::gather_rows(device_table.matrix(width), rows.vector(), out.matrix(width), stream_);
    const std::vector<float> found = out.values();
    for (int64_t i = 0; i < 6 * width; ++i) {
      const int32_t row = chosen[static_cast<size_t>(i / width)];
      const float value = found[static_cast<size_t>(i)];
      if (row < 0 || row > 10) {
        EXPECT_TRUE(std::isnan(value)) << i;
      } else {
        EXPECT_EQ(value, table.view().row(row)[i % width]) << i;
      }
    }
  }
}

TEST_F(ChosenRowsKernel, PutsRowsBackAndDropsThoseOutside) {
  for (const int64_t width : {1, 5, 8, 1100}) {
    for (const int64_t offset : {0, 1}) {
      const Tensor<float, 2> from = testing::random_matrix(5, width, 1),
                             into = testing::random_matrix(11, width, 2);
      const std::vector<int32_t> chosen = {10, 0, 3, -1, 11};
      const auto device_from = on_device(from, offset), device_into = on_device(into);
      const DeviceArray<int32_t> rows{std::span<const int32_t>(chosen)};
      cuda::scatter_rows(device_from.matrix(width), rows.vector(), device_into.matrix(width), stream_);
      const std::vector<float> found = device_into.values();
      const auto expected =
          ref::scatter_rows(from.view().rows(0, 3), {chosen.data(), {3}}, Matrix<const float>(into.view()));
      for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(found[i], expected[i]) << i;
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
