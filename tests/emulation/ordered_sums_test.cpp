#include "kernels/dense/ordered_sums.h"

#include <gtest/gtest.h>

#include "kernels/dense/rows_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::in_every_order;
using testing::make_vector;
using testing::on_device;

using OrderedSumKernel = testing::KernelTest;

TEST_F(OrderedSumKernel, SegmentsAreThoseOfTheCpu) {
  const std::vector<int64_t> offsets = {0, 0, 1, 300, 300, 1400};
  const auto parts = static_cast<int64_t>(offsets.size()) - 1;
  Tensor<double, 1> values = make_vector<double>(1400), expected = make_vector<double>(parts);
  for (int64_t i = 0; i < 1400; ++i) {
    values.data()[i] = random_normal(1, Purpose::kTest, 0, static_cast<uint64_t>(i));
  }
  Stream host;
  segment_sums(values.view(), {offsets.data(), {parts + 1}}, expected.view(), host);
  const auto device_values = on_device(values);
  const DeviceArray<int64_t> device_offsets{std::span<const int64_t>(offsets)};
  const auto work = [&] {
    const DeviceArray<double> sums(parts);
    cuda::segment_sums(device_values.vector(), device_offsets.vector(), sums.vector(), stream_);
    return sums.values();
  };
  const std::vector<double> found = in_every_order(work);
  for (int64_t p = 0; p < parts; ++p) {
    EXPECT_NEAR(found[static_cast<size_t>(p)], expected.data()[p], 1e-12 * 1400.0) << p;
  }
  EXPECT_EQ(found[0], 0.0);
  if (testing::can_leave_out_barriers()) {
    EXPECT_TRUE(testing::needs_its_barriers(work));
  }
}

TEST_F(OrderedSumKernel, RowsAreAddedWithTheBitsOfTheCpu) {
  Stream host;
  for (const int64_t width : {1, 255, 600}) {
    for (const int64_t rows : {0, 1, 37}) {
      const Tensor<float, 2> matrix = testing::random_matrix(rows, width, 2);
      Tensor<float, 1> expected = make_vector<float>(width);
      sum_of_rows(matrix.view(), expected.view(), host);
      const auto device_matrix = on_device(matrix);
      const DeviceArray<float> sum(width);
      cuda::sum_of_rows({device_matrix.data(), {rows, width}, testing::kernel_device()}, sum.vector(),
                        stream_);
      EXPECT_EQ(sum.values(), std::vector<float>(expected.data(), expected.data() + width));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
