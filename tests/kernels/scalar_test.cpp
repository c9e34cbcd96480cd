#include "kernels/scalar.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/ref/round_bf16.h"
#include "kernels/transformer/transformer_rows.h"
#include "tests/support/normal_matrix.h"

namespace orthant::kernels {
namespace {

using testing::NormalMatrix;

TEST(Scalar, ExponentialHasTheBitsOfTheLanes) {
  std::vector<float> values = {0.0f, -0.0f, -87.0f, -86.99f, -88.0f, -1e30f, 87.9f, 88.0f, 1e-30f};
  NormalMatrix drawn(1, 4000, 1, 20.0f);
  values.insert(values.end(), drawn.values().begin(), drawn.values().end());
  for (const float x : values) {
    float lanes = x;
    (void)vector_ops().exp_and_sum(0.0f, &lanes, 1);
    ASSERT_EQ(bits_of(exponential_of(x)), bits_of(lanes)) << x;
  }
  EXPECT_EQ(exponential_of(-std::numeric_limits<float>::infinity()), 0.0f);
  EXPECT_TRUE(std::isnan(exponential_of(std::numeric_limits<float>::quiet_NaN())));
}

TEST(Scalar, SwigluHasTheBitsOfTheLanes) {
  NormalMatrix gate(1, 4000, 2, 40.0f), up(1, 4000, 3);
  for (size_t i = 0; i < gate.values().size(); ++i) {
    float lanes = 0.0f;
    transformer_rows().swiglu(&gate.values()[i], &up.values()[i], &lanes, 1);
    ASSERT_EQ(bits_of(swiglu_of(gate.values()[i], up.values()[i])), bits_of(lanes)) << gate.values()[i];
  }
}

TEST(Scalar, AdamHasTheBitsOfTheRow) {
  NormalMatrix parameter(1, 1000, 4), m(1, 1000, 5), v(1, 1000, 6), gradient(1, 1000, 7);
  for (float& x : v.values()) x *= x;
  const AdamFactors factors{.gradient_scale = 0.3f,
                            .beta1 = 0.9f,
                            .one_minus_beta1 = 0.1f,
                            .beta2 = 0.99f,
                            .one_minus_beta2 = 0.01f,
                            .step_size = 1e-3f,
                            .root_correction = 1.7f,
                            .epsilon = 1e-8f,
                            .decay = 0.999f};
  std::vector<float> p = parameter.values(), first = m.values(), second = v.values();
  vector_ops().adam_row(factors, gradient.values().data(), p.data(), first.data(), second.data(), 1000);
  for (size_t i = 0; i < p.size(); ++i) {
    adam_element(factors, gradient.values()[i], parameter.values()[i], m.values()[i], v.values()[i]);
  }
  EXPECT_EQ(parameter.values(), p);
  EXPECT_EQ(m.values(), first);
  EXPECT_EQ(v.values(), second);
}

TEST(Scalar, Bf16IsTheNearest) {
  NormalMatrix values(1, 4000, 8, 1e3f);
  for (const float x : values.values()) ASSERT_EQ(bits_of(bf16_of(x)), bits_of(ref::round_bf16(x))) << x;
  EXPECT_TRUE(std::isnan(bf16_of(float_of(0x7f800001u))));
}

}  // namespace
}  // namespace orthant::kernels
