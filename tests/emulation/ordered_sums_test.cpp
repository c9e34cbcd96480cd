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
  EXPECT_EQ(found, std::vector<double>(expected.data(), expected.data() + parts));
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

TEST_F(OrderedSumKernel, ATreeOfRowsHasTheBitsOfTheCpu) {
  Stream host;
  for (const int64_t rows : {1, 2, 3, 6, 12, 13}) {
    for (const int64_t width : {1, 300}) {
      Tensor<float, 2> parts = testing::random_matrix(rows, width, 3);
      const std::vector<float> found = in_every_order([&] {
        const auto there = on_device(parts);
        cuda::add_in_tree(there.matrix(width), stream_);
        std::vector<float> sum = there.values();
        sum.resize(static_cast<size_t>(width));
        return sum;
      });
      add_in_tree(parts.view(), host);
      EXPECT_EQ(found, std::vector<float>(parts.data(), parts.data() + width)) << rows;
    }
  }
}

TEST_F(OrderedSumKernel, ColumnsAreCopied) {
  Stream host;
  const Tensor<float, 2> from = testing::random_matrix(4, 301, 4);
  const auto there = on_device(from);
  for (const int64_t count : {0, 1, 300}) {
    const DeviceArray<float> into(4 * count);
    cuda::copy_columns(there.matrix(301), 1, {into.data(), {4, count}, testing::kernel_device()}, stream_);
    std::vector<float> expected(static_cast<size_t>(4 * count));
    copy_columns(from.view(), 1, {expected.data(), {4, count}}, host);
    EXPECT_EQ(into.values(), expected) << count;
  }
}

}  // namespace
}  // namespace orthant::kernels
