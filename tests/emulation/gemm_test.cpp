#include "kernels/ref/gemm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/dense/gemm.h"
#include "kernels/scalar.h"
#include "tests/emulation/dense_weights.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::DeviceWeights;
using testing::in_every_order;
using testing::on_device;
using testing::random_matrix;

struct Shape {
  int64_t rows, columns, depth;
};

constexpr Shape kShapes[] = {{1, 1, 1}, {3, 7, 5}, {2, 9, 8}, {5, 33, 130}, {4, 20, 576}};

using GemmKernels = testing::KernelShapes<Shape>;

float rounded(float value, Precision precision) {
  return precision == Precision::kBF16 ? bf16_of(value) : value;
}

Tensor<float, 2> rounded(const Tensor<float, 2>& matrix, Precision precision) {
  Tensor<float, 2> result = testing::copy_of(matrix);
  for (float& value : result.view().span()) value = rounded(value, precision);
  return result;
}

TEST_P(GemmKernels, ProductsMatchTheReferenceOfTheRoundedOperands) {
  const auto [rows, columns, depth] = GetParam();
  const Tensor<float, 2> x = random_matrix(rows, depth, 1), w = random_matrix(columns, depth, 2);
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
    for (const int64_t offset : {0, 1}) {
      const DeviceWeights weights(w, precision, stream_);
      const auto device_x = on_device(x, offset);
      const std::vector<float> found = in_every_order([&] {
        const DeviceArray<float> out(rows * columns, offset);
        cuda::matmul_nt(device_x.matrix(depth), weights.view(), out.matrix(columns), stream_);
        return out.values();
      });
      const std::vector<double> expected =
          ref::matmul_nt(rounded(x, precision).view(), rounded(w, precision).view());
      // Of operands near 1; tf32 keeps ten bits of each.
      const double unit = precision == Precision::kTF32 ? 1e-3 : 2e-6;
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(found[i], expected[i], unit * 8.0 * std::sqrt(static_cast<double>(depth)))
            << name_of(precision) << " " << i;
      }
    }
  }
}

TEST_P(GemmKernels, OperandsAreTheChosenRowsRounded) {
  const auto [rows, columns, depth] = GetParam();
  const Tensor<float, 2> w = random_matrix(columns, depth, 3);
  const std::vector<int32_t> chosen = {static_cast<int32_t>(columns - 1), 0,
                                       static_cast<int32_t>(columns / 2)};
  for (const Precision precision : {Precision::kF32, Precision::kBF16, Precision::kTF32}) {
    const std::vector<std::byte> found =
        in_every_order([&] { return DeviceWeights(w, precision, stream_, chosen).bytes(); });
    std::vector<std::byte> expected(found.size());
    for (size_t i = 0; i < chosen.size() * static_cast<size_t>(depth); ++i) {
      const size_t row = i / static_cast<size_t>(depth), k = i % static_cast<size_t>(depth);
      const uint32_t bits = bits_of(rounded(w.view().row(chosen[row])[k], precision));
      const uint16_t upper = static_cast<uint16_t>(bits >> 16);
      if (precision == Precision::kBF16) {
        std::memcpy(expected.data() + i * 2, &upper, 2);
      } else {
        std::memcpy(expected.data() + i * 4, &bits, 4);
      }
    }
    EXPECT_TRUE(testing::same_bytes(found, expected)) << name_of(precision);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GemmKernels, ::testing::ValuesIn(kShapes));

using GemmKernel = testing::KernelTest;

TEST_F(GemmKernel, NoRowsAreFineAndNoDepthIsZero) {
  const DeviceWeights weights(random_matrix(3, 4, 1), Precision::kBF16, stream_);
  const DeviceArray<float> none(0);
  cuda::matmul_nt(none.matrix(4), weights.view(), none.matrix(3), stream_);
  const DeviceWeights shallow(random_matrix(3, 0, 1), Precision::kF32, stream_);
  const DeviceArray<float> out(6);
  cuda::matmul_nt({none.data(), {2, 0}, testing::kernel_device()}, shallow.view(), out.matrix(3), stream_);
  EXPECT_EQ(out.values(), std::vector<float>(6, 0.0f));
}

// As a plan asks: sizes without a device.
TEST(PackedWeightsOnCuda, CountsTheElementsOfItsPrecision) {
  for (const auto& [precision, bytes] :
       {std::pair(Precision::kF32, 4), std::pair(Precision::kBF16, 2), std::pair(Precision::kTF32, 4)}) {
    Memory counting = Memory::counting({DeviceKind::kCuda, 0});
    const PackedWeights weights(counting, "weights", 33, 7, precision);
    EXPECT_EQ(counting.allocated_bytes(), 33 * 7 * bytes);
  }
}

}  // namespace
}  // namespace orthant::kernels
