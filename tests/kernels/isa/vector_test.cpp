#include "kernels/isa/vector.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/isa/isa.h"

namespace orthant {
namespace {

using kernels::Isa;
using kernels::vector_ops;
using kernels::VectorOps;

constexpr int64_t kLengths[] = {0, 1, 7, 15, 16, 17, 48, 63, 64, 65, 127, 128, 130, 576};

// Values of mixed sign and size from a multiplicative sequence.
std::vector<float> numbers(int64_t n, uint32_t seed) {
  std::vector<float> values(static_cast<size_t>(n));
  uint32_t state = seed * 2654435761u + 1u;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = (static_cast<float>(state >> 8) / 8388608.0f - 1.0f) * 3.0f;
  }
  return values;
}

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(b[i]))
        << i << ": " << a[i] << " " << b[i];
  }
}

class VectorOpsOf : public ::testing::TestWithParam<Isa> {
 protected:
  const VectorOps& ops = vector_ops(GetParam());
};

TEST_P(VectorOpsOf, ReductionsMatchDoublePrecision) {
  for (const int64_t n : kLengths) {
    const auto a = numbers(n, 1), b = numbers(n, 2);
    double dot = 0, norm = 0, distance = 0, sum = 0, magnitude = 0;
    float largest = -std::numeric_limits<float>::infinity();
    for (size_t i = 0; i < a.size(); ++i) {
      const double x = a[i], y = b[i];
      dot += x * y;
      norm += x * x;
      distance += (x - y) * (x - y);
      sum += x;
      magnitude += std::abs(x) + x * x + y * y;
      largest = std::max(largest, a[i]);
    }
    // Every element passes at most ceil(n / 64) + 6 roundings.
    const double tolerance = 4 * magnitude * static_cast<double>(n / 64 + 7) * 6e-8 + 1e-12;
    EXPECT_NEAR(ops.dot(a.data(), b.data(), n), dot, tolerance) << n;
    EXPECT_NEAR(ops.squared_norm(a.data(), n), norm, tolerance) << n;
    EXPECT_NEAR(ops.squared_distance(a.data(), b.data(), n), distance, tolerance) << n;
    EXPECT_NEAR(ops.sum(a.data(), n), sum, tolerance) << n;
    EXPECT_EQ(ops.max(a.data(), n), largest) << n;
  }
}

TEST_P(VectorOpsOf, ElementwiseOperationsLeaveTheRestAlone) {
  for (const int64_t n : kLengths) {
    const auto x = numbers(n + 16, 3), start = numbers(n + 16, 4);
    auto axpy = start, scaled = start, copied = start, added = start;
    ops.axpy(0.3f, x.data(), axpy.data(), n);
    ops.scale(0.3f, scaled.data(), n);
    ops.scaled_copy(0.3f, x.data(), copied.data(), n);
    ops.add(x.data(), added.data(), n);
    for (size_t i = 0; i < start.size(); ++i) {
      const bool inside = static_cast<int64_t>(i) < n;
      EXPECT_EQ(axpy[i], inside ? std::fma(0.3f, x[i], start[i]) : start[i]);
      EXPECT_EQ(scaled[i], inside ? 0.3f * start[i] : start[i]);
      EXPECT_EQ(copied[i], inside ? 0.3f * x[i] : start[i]);
      EXPECT_EQ(added[i], inside ? start[i] + x[i] : start[i]);
    }
  }
}

TEST_P(VectorOpsOf, ExponentialIsAccurateAndClamped) {
  std::vector<float> x;
  for (float value = -95.0f; value < 86.0f; value += 0.37f) x.push_back(value);
  const auto input = x;
  const float sum = ops.exp_and_sum(0.0f, x.data(), static_cast<int64_t>(x.size()));
  double expected_sum = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double expected = input[i] <= -87.0f ? 0.0 : std::exp(static_cast<double>(input[i]));
    EXPECT_NEAR(x[i], expected, 2e-7 * expected) << input[i];
    expected_sum += expected;
  }
  EXPECT_NEAR(sum, expected_sum, 1e-6 * expected_sum);
  std::vector<float> broken = {1.0f, std::nanf(""), 2.0f};
  EXPECT_TRUE(std::isnan(ops.exp_and_sum(2.0f, broken.data(), 3)));
}

TEST_P(VectorOpsOf, AdamFollowsTheFormula) {
  const int64_t n = 37;
  const auto gradient = numbers(n, 5), start = numbers(n, 6), m0 = numbers(n, 7);
  auto v0 = numbers(n, 8);
  for (float& value : v0) value = std::abs(value);
  auto parameter = start, m = m0, v = v0;
  const kernels::AdamFactors f{0.5f, 0.9f, 0.1f, 0.99f, 0.01f, 1e-2f, 1.7f, 1e-8f, 0.999f};
  ops.adam_row(f, gradient.data(), parameter.data(), m.data(), v.data(), n);
  for (size_t i = 0; i < parameter.size(); ++i) {
    const double g = 0.5 * gradient[i];
    const double first = 0.9 * m0[i] + 0.1 * g, second = 0.99 * v0[i] + 0.01 * g * g;
    EXPECT_NEAR(m[i], first, 1e-6);
    EXPECT_NEAR(v[i], second, 1e-6);
    EXPECT_NEAR(parameter[i], 0.999 * start[i] - 1e-2 * first / (std::sqrt(second) * 1.7 + 1e-8), 2e-6);
  }
}

TEST_P(VectorOpsOf, GivesTheBitsOfTheScalarTable) {
  const VectorOps& scalar = vector_ops(Isa::kScalar);
  for (const int64_t n : kLengths) {
    const auto a = numbers(n, 11), b = numbers(n, 12);
    const std::vector<float> ours = {ops.dot(a.data(), b.data(), n), ops.squared_norm(a.data(), n),
                                     ops.sum(a.data(), n), ops.squared_distance(a.data(), b.data(), n)};
    const std::vector<float> theirs = {scalar.dot(a.data(), b.data(), n), scalar.squared_norm(a.data(), n),
                                       scalar.sum(a.data(), n),
                                       scalar.squared_distance(a.data(), b.data(), n)};
    expect_same_bits(ours, theirs);
    auto exp_ours = a, exp_theirs = a;
    EXPECT_EQ(ops.exp_and_sum(1.5f, exp_ours.data(), n), scalar.exp_and_sum(1.5f, exp_theirs.data(), n));
    expect_same_bits(exp_ours, exp_theirs);
    auto p1 = a, m1 = b, v1 = numbers(n, 13);
    for (float& value : v1) value = std::abs(value);
    auto p2 = p1, m2 = m1, v2 = v1;
    const kernels::AdamFactors f{0.7f, 0.9f, 0.1f, 0.999f, 0.001f, 3e-4f, 1.3f, 1e-8f, 1.0f};
    ops.adam_row(f, b.data(), p1.data(), m1.data(), v1.data(), n);
    scalar.adam_row(f, b.data(), p2.data(), m2.data(), v2.data(), n);
    expect_same_bits(p1, p2);
    expect_same_bits(m1, m2);
    expect_same_bits(v1, v2);
  }
}

TEST_P(VectorOpsOf, AdamInBf16GivesTheBitsOfTheScalarTable) {
  const VectorOps& scalar = vector_ops(Isa::kScalar);
  const kernels::AdamFactors f{0.7f, 0.9f, 0.1f, 0.999f, 0.001f, 3e-4f, 1.3f, 1e-8f, 1.0f};
  for (const int64_t n : kLengths) {
    auto gradient = numbers(n, 11);
    if (n > 20) gradient[3] = std::nanf(""), gradient[19] = 1e30f;  // of these v is NaN and infinity
    auto p1 = numbers(n + 16, 12), m1 = numbers(n + 16, 13);
    std::vector<uint16_t> v1;
    for (const float x : numbers(n + 16, 14)) {
      v1.push_back(static_cast<uint16_t>(std::bit_cast<uint32_t>(x * x) >> 16));
    }
    auto p2 = p1, m2 = m1;
    auto v2 = v1;
    const auto start = v1;
    const kernels::RoundingKey key{0x9abcdef0u, static_cast<uint32_t>(n)};
    ops.adam_row_bf16(f, key, gradient.data(), p1.data(), m1.data(), v1.data(), n);
    scalar.adam_row_bf16(f, key, gradient.data(), p2.data(), m2.data(), v2.data(), n);
    expect_same_bits(p1, p2);
    expect_same_bits(m1, m2);
    EXPECT_EQ(v1, v2);
    EXPECT_TRUE(std::equal(start.begin() + n, start.end(), v1.begin() + n)) << "written behind the row";
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, VectorOpsOf, ::testing::ValuesIn(kernels::supported_isas()),
                         [](const auto& which) { return std::string(kernels::name_of(which.param)); });

}  // namespace
}  // namespace orthant
