#include "kernels/codes/scale_codes.h"

#include <gtest/gtest.h>

namespace orthant::kernels {
namespace {

TEST(ScaleCodes, EachActivationByTheFactorOfItsLatent) {
  Stream stream;
  std::vector<int64_t> offsets = {0, 2, 2, 3};
  std::vector<int32_t> latents = {10, 12, 11};
  std::vector<float> values = {1.0f, 3.0f, 0.5f};
  const CodesView codes{{offsets.data(), {4}}, {latents.data(), {3}}, {values.data(), {3}}};
  const std::vector<float> factors = {2.0f, 4.0f, 0.25f};
  multiply_codes(codes, 10, {factors.data(), {3}}, stream);
  EXPECT_EQ(values, (std::vector<float>{2.0f, 0.75f, 2.0f}));
  divide_codes(codes, 10, {factors.data(), {3}}, stream);
  EXPECT_EQ(values, (std::vector<float>{1.0f, 3.0f, 0.5f}));
}

TEST(ScaleCodes, NothingWhereThereAreNone) {
  Stream stream;
  std::vector<int64_t> offsets = {0, 0};
  const CodesView codes{{offsets.data(), {2}}, {nullptr, {0}}, {nullptr, {0}}};
  multiply_codes(codes, 0, {}, stream);
  divide_codes(codes, 0, {}, stream);
}

}  // namespace
}  // namespace orthant::kernels
