#include "kernels/codes/scale_codes.h"

#include <gtest/gtest.h>

#include "kernels/codes/statistics_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceCodes;
using testing::on_device;
using testing::random_codes;
using testing::random_matrix;

constexpr int64_t kLatents = 300;
constexpr int64_t kFirst = 1000;

class ScaleCodesKernel : public testing::KernelTest {};

TEST_F(ScaleCodesKernel, HasTheBitsOfTheCpu) {
  Stream host;
  Codes expected = random_codes(30, kLatents, 280, 1);
  for (int32_t& latent : expected.view().latents.span()) latent += kFirst;
  const DeviceCodes codes(expected.view());
  Tensor<float, 2> factors = random_matrix(1, kLatents, 2);
  for (float& factor : factors.view().span()) factor = 0.5f + factor * factor;
  const auto device_factors = on_device(factors);
  const Vector<const float> of_host{factors.data(), {kLatents}};
  const auto expect_equal = [&] {
    const std::vector<float> values = codes.values.values();
    for (int64_t e = 0; e < expected.view().entries(); ++e) {
      ASSERT_EQ(values[static_cast<size_t>(e)], expected.view().values.data[e]) << e;
    }
  };
  multiply_codes(expected.view(), kFirst, of_host, host);
  cuda::multiply_codes(codes.view(), kFirst, device_factors.vector(), stream_);
  expect_equal();
  divide_codes(expected.view(), kFirst, of_host, host);
  cuda::divide_codes(codes.view(), kFirst, device_factors.vector(), stream_);
  expect_equal();
}

}  // namespace
}  // namespace orthant::kernels
