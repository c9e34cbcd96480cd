#include "kernels/transformer/row_sums.h"

#include <gtest/gtest.h>

#include "kernels/ref/row_sums.h"
#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

constexpr int64_t kRows = 3;

using RowSumsKernel = testing::KernelTest;

TEST_F(RowSumsKernel, AdditionsHaveTheBitsOfTheCpu) {
  for (const int64_t width : {1, 5, 8, 1100}) {
    for (const int64_t offset : {0, 1}) {
      const Tensor<float, 2> from = testing::random_matrix(kRows, width, 1);
      Tensor<float, 2> into = testing::random_matrix(kRows, width, 2);
      const auto device_from = on_device(from, offset), device_into = on_device(into);
      cuda::add_rows(device_from.matrix(width), device_into.matrix(width), stream_);
      const Vector<float> bias{device_from.data(), {width}, testing::kernel_device()};
      cuda::add_to_rows(bias, device_into.matrix(width), stream_);
      Stream stream;
      add_rows(from.view(), into.view(), stream);
      add_to_rows({from.data(), {width}}, into.view(), stream);
      EXPECT_TRUE(testing::same_bytes(device_into.values(),
                                      std::vector<float>(into.data(), into.data() + kRows * width)))
          << width;
    }
  }
}

TEST_F(RowSumsKernel, SquaredNormsMatchTheReference) {
  for (const int64_t width : {1, 5, 8, 1100}) {
    const Tensor<float, 2> x = testing::random_matrix(kRows, width, 1);
    const auto device = on_device(x);
    const auto work = [&] {
      const DeviceArray<float> squares(kRows);
      cuda::squared_norms(device.matrix(width), squares.vector(), stream_);
      return squares.values();
    };
    const std::vector<float> found = testing::in_every_order(work);
    const auto expected = ref::squared_norms(x.view());
    for (size_t row = 0; row < found.size(); ++row)
      EXPECT_NEAR(found[row], expected[row], 12.0 * testing::kHalfUnit * expected[row]) << width;
    if (width > 200 && testing::can_leave_out_barriers()) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
