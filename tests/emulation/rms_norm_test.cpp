#include "kernels/ref/rms_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

class RmsNormKernel : public testing::KernelTest {
 protected:
  void expect_reference(int64_t width, float size, int64_t offset) {
    constexpr int64_t kRows = 3;
    Tensor<float, 2> x = testing::random_matrix(kRows, width, 1);
    const Tensor<float, 2> weight = testing::random_matrix(1, width, 2);
    for (float& value : x.view().span()) value *= size;
    const auto device_weight = on_device(weight, offset);
    const auto work = [&] {
      const auto in_place = on_device(x, offset);
      cuda::rms_norm(in_place.matrix(width), device_weight.vector(), 1e-5f, in_place.matrix(width), stream_);
      return in_place.values();
    };
    const std::vector<float> found = testing::in_every_order(work);
    const auto expected = ref::rms_norm(x.view(), {weight.data(), {width}}, 1e-5f);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_NEAR(found[i], expected[i], 3e-6 * std::abs(expected[i]) + 1e-30) << width << " " << i;
    }
    if (testing::can_leave_out_barriers() && width > 128) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
};

TEST_F(RmsNormKernel, MatchesTheReferenceOverOddShapes) {
  for (const int64_t width : {1, 3, 16, 17, 64, 576, 1025, 2049}) {
    for (const int64_t offset : {0, 1}) expect_reference(width, 1.0f, offset);
  }
}

TEST_F(RmsNormKernel, HoldsForMassiveAndTinyRows) {
  expect_reference(576, 2e4f, 0);
  expect_reference(576, 1e-6f, 0);
}

TEST_F(RmsNormKernel, NoRowsAreFine) {
  const DeviceArray<float> none(0), weight(4);
  cuda::rms_norm(none.matrix(4), weight.vector(), 1e-5f, none.matrix(4), stream_);
}

}  // namespace
}  // namespace orthant::kernels
