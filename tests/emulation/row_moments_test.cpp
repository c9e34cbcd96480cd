#include "kernels/dense/row_moments.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/dense/rows_cuda.h"
#include "kernels/ref/row_moments.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::copy_of;
using testing::DeviceArray;
using testing::in_every_order;
using testing::make_vector;
using testing::on_device;
using testing::random_matrix;

constexpr int64_t kRows = 3;

struct Shape {
  int64_t width;
  int64_t offset = 0;  // of every f32 array, in elements
};

template <typename T>
std::vector<T> values_of(const Tensor<T, 1>& tensor) {
  return {tensor.data(), tensor.data() + tensor.shape()[0]};
}

class RowMomentKernels : public testing::KernelShapes<Shape> {
 protected:
  Stream host_;
};

TEST_P(RowMomentKernels, NormsAreThoseOfTheCpu) {
  const auto [width, offset] = GetParam();
  const Tensor<float, 2> matrix = random_matrix(kRows, width, 1);
  const auto device_matrix = on_device(matrix, offset);
  Tensor<double, 1> expected = make_vector<double>(kRows);
  row_norms(matrix.view(), expected.view(), host_);
  const auto work = [&] {
    const DeviceArray<double> norms(kRows);
    cuda::row_norms(device_matrix.matrix(width), norms.vector(), stream_);
    return norms.values();
  };
  const std::vector<double> found = in_every_order(work);
  EXPECT_EQ(found, values_of(expected));
  const DeviceArray<float> rounded(kRows);
  cuda::row_norms(device_matrix.matrix(width), rounded.vector(), stream_);
  const std::vector<float> narrow = rounded.values();
  for (size_t r = 0; r < kRows; ++r) EXPECT_EQ(narrow[r], static_cast<float>(found[r])) << r;
}

TEST_P(RowMomentKernels, NormsOfPartsAreThoseOfTheCpu) {
  const auto [width, offset] = GetParam();
  constexpr int64_t kParts = 3;
  const Tensor<float, 2> matrix = random_matrix(kRows, kParts * width, 4);
  const auto device_matrix = on_device(matrix, offset);
  Tensor<double, 1> expected = make_vector<double>(kRows);
  row_norms(matrix.view(), expected.view(), host_, kParts);
  const std::vector<double> found = in_every_order([&] {
    const DeviceArray<double> norms(kRows);
    cuda::row_norms(device_matrix.matrix(kParts * width), norms.vector(), stream_, kParts);
    return norms.values();
  });
  EXPECT_EQ(found, values_of(expected));
}

TEST_P(RowMomentKernels, SquaredNormsMatchTheReference) {
  const auto [width, offset] = GetParam();
  const Tensor<float, 2> x = random_matrix(kRows, width, 1);
  const auto device = on_device(x, offset);
  const auto work = [&] {
    const DeviceArray<float> squares(kRows);
    cuda::squared_norms(device.matrix(width), squares.vector(), stream_);
    return squares.values();
  };
  const std::vector<float> found = in_every_order(work);
  const auto expected = ref::squared_norms(x.view());
  for (size_t row = 0; row < found.size(); ++row)
    EXPECT_NEAR(found[row], expected[row], 12.0 * testing::kHalfUnit * expected[row]) << width;
  Tensor<float, 1> of_cpu = make_vector<float>(kRows);
  squared_norms(x.view(), of_cpu.view(), host_);
  EXPECT_EQ(found, values_of(of_cpu));
}

TEST_P(RowMomentKernels, DistancesAreThoseOfTheCpu) {
  const auto [width, offset] = GetParam();
  const Tensor<float, 2> x = random_matrix(kRows, width, 2);
  Tensor<double, 1> sums = make_vector<double>(width), expected = make_vector<double>(kRows);
  for (int64_t c = 0; c < width; ++c) sums.data()[c] = 0.1 * static_cast<double>(c % 7);
  squared_distances(x.view(), sums.view(), 3.0, expected.view(), host_);
  const auto device_x = on_device(x, offset);
  const auto device_sums = on_device(sums);
  const std::vector<double> found = in_every_order([&] {
    const DeviceArray<double> distances(kRows);
    cuda::squared_distances(device_x.matrix(width), device_sums.vector(), 3.0, distances.vector(), stream_);
    return distances.values();
  });
  EXPECT_EQ(found, values_of(expected));
}

TEST_P(RowMomentKernels, StandardRowsAreThoseOfTheCpuAndComeBack) {
  const auto [width, offset] = GetParam();
  const Tensor<float, 2> x = random_matrix(kRows, width, 3);
  for (const RowStandard standard : {RowStandard::kLayerNorm, RowStandard::kUnitMeanSquare}) {
    // A row of one element has no deviation of its own.
    if (width == 1 && standard == RowStandard::kLayerNorm) continue;
    Tensor<float, 2> expected = copy_of(x);
    Tensor<float, 1> mean = make_vector<float>(kRows), deviation = make_vector<float>(kRows);
    standardize_rows(standard, expected.view(), mean.view(), deviation.view(), host_);
    const DeviceArray<float> device_mean(kRows), device_deviation(kRows);
    const auto standardized = [&] {
      auto rows = on_device(x, offset);
      cuda::standardize_rows(standard, rows.matrix(width), device_mean.vector(), device_deviation.vector(),
                             stream_);
      return rows;
    };
    const std::vector<float> found = in_every_order([&] { return standardized().values(); });
    EXPECT_EQ(device_mean.values(), values_of(mean));
    EXPECT_EQ(device_deviation.values(), values_of(deviation));
    EXPECT_EQ(found, std::vector<float>(expected.data(), expected.data() + kRows * width));
    const auto rows = standardized();
    cuda::restore_rows(device_mean.vector(), device_deviation.vector(), rows.matrix(width), stream_);
    restore_rows(mean.view(), deviation.view(), expected.view(), host_);
    const std::vector<float> restored = rows.values();
    for (size_t i = 0; i < restored.size(); ++i) {
      EXPECT_EQ(restored[i], expected.data()[i]) << i;
      EXPECT_NEAR(restored[i], x.data()[i], 1e-5);
    }
  }
}

constexpr Shape kShapes[] = {{1}, {3}, {64}, {64, 1}, {577}, {1100}};
INSTANTIATE_TEST_SUITE_P(Shapes, RowMomentKernels, ::testing::ValuesIn(kShapes));

}  // namespace
}  // namespace orthant::kernels
