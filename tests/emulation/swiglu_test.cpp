#include "kernels/transformer/swiglu.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

using SwigluKernel = testing::KernelTest;

TEST_F(SwigluKernel, HasTheBitsOfTheCpuOverOddShapesAndExtremes) {
  for (const int64_t width : {1, 17, 172, 1536}) {
    for (const int64_t rows : {0, 1, 3}) {
      Tensor<float, 2> gate = testing::random_matrix(rows, width, 1), out = testing::zero_matrix(rows, width);
      const Tensor<float, 2> up = testing::random_matrix(rows, width, 2);
      constexpr float kExtremes[] = {-1e4f, -88.0f, -87.0f, 0.0f, 88.0f, 1e4f};
      std::copy_n(kExtremes, std::min<int64_t>(6, rows * width), gate.data());
      const auto device_gate = on_device(gate), device_up = on_device(up);
      const std::vector<float> found = testing::in_every_order([&] {
        const DeviceArray<float> device_out(rows * width);
        cuda::swiglu({device_gate.data(), {rows, width}, testing::kernel_device()},
                     {device_up.data(), {rows, width}, testing::kernel_device()},
                     {device_out.data(), {rows, width}, testing::kernel_device()}, stream_);
        return device_out.values();
      });
      Stream stream;
      swiglu(gate.view(), up.view(), out.view(), stream);
      EXPECT_TRUE(testing::same_bytes(found, std::vector<float>(out.data(), out.data() + rows * width)));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
