#include "kernels/dense/depth_product.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/dense/gemm.h"
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
  int64_t offset = 0;  // of every array, in elements
};

// One element, ragged tiles, whole ones, more than one tile both ways, depths around a piece.
constexpr Shape kShapes[] = {{1, 1, 1},    {3, 7, 5},        {2, 9, 8, 1}, {64, 64, 16}, {65, 63, 17},
                             {5, 33, 130}, {70, 140, 33, 1}, {4, 20, 576}, {66, 132, 20}};

class DepthProductKernels : public testing::KernelShapes<Shape> {
 protected:
  Stream host_;
};

std::vector<float> product_of_the_cpu(const Tensor<float, 2>& x, const Tensor<float, 2>& w,
                                      Precision precision, Stream& stream) {
  Memory memory;
  PackedWeights packed(memory, "weights", w.shape()[0], w.shape()[1], precision);
  packed.pack(w.view(), stream);
  std::vector<float> out(static_cast<size_t>(x.shape()[0] * w.shape()[0]));
  matmul_nt(x.view(), packed, {out.data(), {x.shape()[0], w.shape()[0]}}, stream);
  return out;
}

TEST_P(DepthProductKernels, HaveTheBitsOfTheCpu) {
  const auto [rows, columns, depth, offset] = GetParam();
  const Tensor<float, 2> x = random_matrix(rows, depth, 1), w = random_matrix(columns, depth, 2);
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    const DeviceWeights weights(w, precision, stream_, {}, ProductOrder::kDepth);
    const auto device_x = on_device(x, offset);
    const auto work = [&] {
      const DeviceArray<float> out(rows * columns, offset);
      cuda::matmul_nt(device_x.matrix(depth), weights.view(), out.matrix(columns), stream_);
      return out.values();
    };
    EXPECT_TRUE(testing::same_bytes(in_every_order(work), product_of_the_cpu(x, w, precision, host_)))
        << name_of(precision);
    if (testing::can_leave_out_barriers() && rows > 32 && precision == Precision::kF32) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, DepthProductKernels, ::testing::ValuesIn(kShapes));

using DepthProductKernel = testing::KernelTest;

TEST_F(DepthProductKernel, WritesIntoRowsOfAnyLengthAndNothingBeside) {
  const Tensor<float, 2> x = random_matrix(3, 8, 1), w = random_matrix(6, 8, 2);
  const auto device_x = on_device(x), device_w = on_device(w);
  Stream host;
  const std::vector<float> expected = product_of_the_cpu(x, w, Precision::kF32, host);
  for (const int64_t stride : {6, 8, 11}) {
    const DeviceArray<float> out{std::vector<float>(static_cast<size_t>(3 * stride), -7.0f)};
    cuda::depth_product({device_x.data(), 3}, {device_w.data(), 6}, 8, Precision::kF32, out.data(), stride,
                        stream_);
    const std::vector<float> found = out.values();
    for (int64_t r = 0; r < 3; ++r) {
      for (int64_t c = 0; c < stride; ++c) {
        const float wanted = c < 6 ? expected[static_cast<size_t>(r * 6 + c)] : -7.0f;
        EXPECT_EQ(found[static_cast<size_t>(r * stride + c)], wanted) << r << " " << c;
      }
    }
  }
}

TEST_F(DepthProductKernel, NoRowsAreFineAndNoDepthIsZero) {
  const auto w = on_device(random_matrix(3, 4, 1));
  const DeviceArray<float> out(6);
  cuda::depth_product({w.data(), 0}, {w.data(), 3}, 4, Precision::kF32, out.data(), 3, stream_);
  cuda::depth_product({w.data(), 2}, {w.data(), 3}, 0, Precision::kF32, out.data(), 3, stream_);
  EXPECT_EQ(out.values(), std::vector<float>(6, 0.0f));
}

// A negative product that is too small for f32 leaves -0, which nothing may be added to.
TEST_F(DepthProductKernel, KeepsTheSignOfZero) {
  const float tiny = std::numeric_limits<float>::denorm_min();
  const DeviceArray<float> x{std::vector<float>(5, -tiny)}, w{std::vector<float>(5, tiny)}, out(1);
  cuda::depth_product({x.data(), 1}, {w.data(), 1}, 1, Precision::kF32, out.data(), 1, stream_);
  EXPECT_TRUE(std::signbit(out.values()[0]));
}

}  // namespace
}  // namespace orthant::kernels
