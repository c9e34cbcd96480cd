#include "kernels/transformer/rope.h"

#include <gtest/gtest.h>

#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

using RopeKernel = testing::KernelTest;

TEST_F(RopeKernel, HasTheBitsOfTheCpu) {
  constexpr int64_t kRows = 5;
  for (const int64_t head_dim : {2, 6, 64, 96}) {
    for (const int64_t heads : {1, 3}) {
      const int64_t half = head_dim / 2;
      const Tensor<float, 2> cosines = testing::random_matrix(64, half, 1),
                             sines = testing::random_matrix(64, half, 2);
      Tensor<float, 2> x = testing::random_matrix(kRows, heads * head_dim, 3);
      const std::vector<int32_t> positions = {0, 63, 7, 7, 30};
      const auto device_cosines = on_device(cosines), device_sines = on_device(sines);
      const DeviceArray<int32_t> at{std::span<const int32_t>(positions)};
      const std::vector<float> found = testing::in_every_order([&] {
        const auto rotated = on_device(x);
        cuda::rotate_heads(rotated.matrix(heads * head_dim), at.vector(), device_cosines.matrix(half),
                           device_sines.matrix(half), stream_);
        return rotated.values();
      });
      Stream stream;
      rotate_heads(x.view(), {positions.data(), {kRows}}, cosines.view(), sines.view(), stream);
      EXPECT_TRUE(testing::same_bytes(found, std::vector<float>(x.data(), x.data() + x.view().elements())));
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
