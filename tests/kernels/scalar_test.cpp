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

constexpr AdamFactors kFactors{.gradient_scale = 0.3f,
                               .beta1 = 0.9f,
                               .one_minus_beta1 = 0.1f,
                               .beta2 = 0.99f,
                               .one_minus_beta2 = 0.01f,
                               .step_size = 1e-3f,
                               .root_correction = 1.7f,
                               .epsilon = 1e-8f,
                               .decay = 0.999f};

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
  std::vector<float> p = parameter.values(), first = m.values(), second = v.values();
  vector_ops().adam_row(kFactors, gradient.values().data(), p.data(), first.data(), second.data(), 1000);
  for (size_t i = 0; i < p.size(); ++i) {
    adam_element(kFactors, gradient.values()[i], parameter.values()[i], m.values()[i], v.values()[i]);
  }
  EXPECT_EQ(parameter.values(), p);
  EXPECT_EQ(m.values(), first);
  EXPECT_EQ(v.values(), second);
}

TEST(Scalar, AdamInBf16HasTheBitsOfTheRow) {
  NormalMatrix parameter(1, 1000, 4), m(1, 1000, 5), v(1, 1000, 6), gradient(1, 1000, 7);
  std::vector<uint16_t> stored;
  for (const float x : v.values()) stored.push_back(static_cast<uint16_t>(bits_of(x * x) >> 16));
  const RoundingKey key = rounding_key(3, Purpose::kEncoderMomentRounding, 9, 70000);
  std::vector<float> p = parameter.values(), first = m.values();
  std::vector<uint16_t> second = stored;
  vector_ops().adam_row_bf16(kFactors, key, gradient.values().data(), p.data(), first.data(), second.data(),
                             1000);
  for (size_t i = 0; i < p.size(); ++i) {
    float whole = widened(stored[i]);
    adam_element(kFactors, gradient.values()[i], parameter.values()[i], m.values()[i], whole);
    stored[i] = bf16_at_random(whole, rounding_draw(key, static_cast<int64_t>(i)));
  }
  EXPECT_EQ(parameter.values(), p);
  EXPECT_EQ(m.values(), first);
  EXPECT_EQ(stored, second);
}

// The mean of `draws` roundings of `value`, in steps of bf16 off it.
template <typename Draw>
double bias_in_steps(float value, int64_t draws, Draw draw) {
  const float below = float_of(bits_of(value) & 0xffff0000u);
  const double step = static_cast<double>(float_of(bits_of(below) + 0x10000u)) - below;
  double sum = 0.0;
  for (int64_t i = 0; i < draws; ++i) {
    const float rounded = widened(bf16_at_random(value, draw(i)));
    EXPECT_TRUE(rounded == below || static_cast<double>(rounded) == below + step) << value;
    sum += static_cast<double>(rounded) - value;
  }
  return sum / static_cast<double>(draws) / step;
}

TEST(Scalar, RoundingAtRandomIsUnbiased) {
  constexpr int64_t kDraws = 100000;
  const double tolerance = 4.0 * 0.5 / std::sqrt(static_cast<double>(kDraws));
  const RoundingKey row = rounding_key(1, Purpose::kEncoderMomentRounding, 1, 0);
  for (const float value : {1.0f + 0x1p-9f, 3.14159265f, 1.2345e-12f, 1e-39f, 0.3f * 0.3f}) {
    EXPECT_LT(std::abs(bias_in_steps(value, kDraws, [&](int64_t i) { return rounding_draw(row, i); })),
              tolerance)
        << value << " over columns";
    EXPECT_LT(std::abs(bias_in_steps(value, kDraws,
                                     [](int64_t i) {
                                       return rounding_draw(
                                           rounding_key(1, Purpose::kDecoderMomentRounding, 5, i), 17);
                                     })),
              tolerance)
        << value << " over latents";
    EXPECT_LT(std::abs(bias_in_steps(value, kDraws,
                                     [](int64_t i) {
                                       return rounding_draw(
                                           rounding_key(1, Purpose::kDecoderMomentRounding, i + 1, 3), 17);
                                     })),
              tolerance)
        << value << " over steps";
  }
}

TEST(Scalar, RoundingDrawsFollowEverythingThatNamesAnElement) {
  const auto draws = [](uint64_t seed, Purpose row, int64_t step, int64_t latent, int64_t column) {
    std::vector<uint32_t> all;
    const RoundingKey key = rounding_key(seed, row, step, latent);
    for (int64_t c = column; c < column + 20000; ++c) all.push_back(rounding_draw(key, c));
    return all;
  };
  constexpr Purpose kEncoder = Purpose::kEncoderMomentRounding, kDecoder = Purpose::kDecoderMomentRounding;
  const std::vector<uint32_t> base = draws(1, kEncoder, 1, 0, 0);
  EXPECT_EQ(base, draws(1, kEncoder, 1, 0, 0));
  for (const auto& other :
       {draws(2, kEncoder, 1, 0, 0), draws(1, kDecoder, 1, 0, 0), draws(1, kEncoder, 2, 0, 0),
        draws(1, kEncoder, 1, 1, 0), draws(1, kEncoder, 1, int64_t{1} << 32, 0), draws(1, kEncoder, 1, 0, 1),
        draws(1, kEncoder, 1, 0, 16)}) {
    double product = 0.0;
    for (size_t i = 0; i < base.size(); ++i) {
      product += (base[i] - 32767.5) * (other[i] - 32767.5) / (65536.0 * 65536.0 / 12.0);
    }
    const double count = static_cast<double>(base.size());
    EXPECT_LT(std::abs(product / count), 4.0 / std::sqrt(count));
  }
}

TEST(Scalar, RoundingAtRandomKeepsWhatBf16Holds) {
  for (const uint32_t draw : {0u, 1u, 65535u}) {
    for (const float x : {0.0f, 1.0f, 0.375f, 0x1p-130f, std::numeric_limits<float>::infinity()}) {
      EXPECT_EQ(widened(bf16_at_random(x, draw)), x);
    }
    EXPECT_TRUE(std::isnan(widened(bf16_at_random(float_of(0x7fffffffu), draw))));
    EXPECT_TRUE(std::isnan(widened(bf16_at_random(float_of(0x7f800001u), draw))));
  }
}

TEST(Scalar, Bf16IsTheNearest) {
  NormalMatrix values(1, 4000, 8, 1e3f);
  for (const float x : values.values()) ASSERT_EQ(bits_of(bf16_of(x)), bits_of(ref::round_bf16(x))) << x;
  EXPECT_TRUE(std::isnan(bf16_of(float_of(0x7f800001u))));
}

}  // namespace
}  // namespace orthant::kernels
