#include "kernels/isa/gather.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/isa/isa.h"
#include "tests/support/random_codes.h"

namespace orthant::kernels {
namespace {

using testing::random_matrix;

struct Shape {
  int64_t count;
  int64_t width;
};

constexpr Shape kShapes[] = {{0, 5}, {1, 1}, {3, 15}, {4, 16}, {5, 17}, {9, 64}, {70, 577}, {13, 2049}};

GatheredRows gathered_rows(const Tensor<float, 2>& matrix, const std::vector<int32_t>& rows) {
  return {.matrix = matrix.data(),
          .width = matrix.shape()[1],
          .rows = rows.data(),
          .first_row = 100,
          .count = static_cast<int64_t>(rows.size())};
}

std::vector<int32_t> some_rows(int64_t count) {
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < count; ++i) rows.push_back(static_cast<int32_t>(100 + (i * 7) % 11));
  return rows;
}

TEST(Gather, WeightedSumIsOneChainOfFusedMultiplyAddsOnEveryIsa) {
  for (const Shape shape : kShapes) {
    const Tensor<float, 2> matrix = random_matrix(11, shape.width, 1);
    const Tensor<float, 2> weights = random_matrix(1, shape.count, 2);
    const Tensor<float, 2> start = random_matrix(1, shape.width, 3);
    const std::vector<int32_t> rows = some_rows(shape.count);
    Tensor<float, 2> expected = testing::copy_of(start);
    for (int64_t i = 0; i < shape.count; ++i) {
      for (int64_t c = 0; c < shape.width; ++c) {
        const float* row = matrix.view().row(rows[static_cast<size_t>(i)] - 100);
        expected.data()[c] = std::fma(weights.data()[i], row[c], expected.data()[c]);
      }
    }
    for (const Isa isa : supported_isas()) {
      Tensor<float, 2> sum = testing::copy_of(start);
      gather_ops(isa).weighted_sum(gathered_rows(matrix, rows), weights.data(), sum.data());
      EXPECT_TRUE(testing::same_bits(sum.view(), expected.view()))
          << name_of(isa) << " " << shape.count << "x" << shape.width;
    }
  }
}

TEST(Gather, DotsAreAccurateAndEqualOnEveryIsa) {
  for (const Shape shape : kShapes) {
    const Tensor<float, 2> matrix = random_matrix(11, shape.width, 4);
    const Tensor<float, 2> vector = random_matrix(1, shape.width, 5);
    const std::vector<int32_t> rows = some_rows(shape.count);
    std::vector<float> first(rows.size());
    gather_ops(Isa::kScalar).dots(gathered_rows(matrix, rows), vector.data(), first.data());
    for (size_t i = 0; i < rows.size(); ++i) {
      double dot = 0.0, size = 0.0;
      for (int64_t c = 0; c < shape.width; ++c) {
        const double term = static_cast<double>(matrix.view().row(rows[i] - 100)[c]) * vector.data()[c];
        dot += term;
        size += std::abs(term);
      }
      const double chain = static_cast<double>(shape.width) / 16.0 + 5.0;
      EXPECT_NEAR(first[i], dot, chain * 6e-8 * size);
    }
    for (const Isa isa : supported_isas()) {
      std::vector<float> products(rows.size());
      gather_ops(isa).dots(gathered_rows(matrix, rows), vector.data(), products.data());
      EXPECT_EQ(products, first) << name_of(isa) << " " << shape.count << "x" << shape.width;
    }
  }
}

TEST(Gather, ErrorRowIsEqualOnEveryIsa) {
  for (const int64_t width : {1, 15, 16, 33, 577}) {
    const Tensor<float, 2> input = random_matrix(1, width, 6), output = random_matrix(1, width, 7);
    Tensor<float, 2> expected = testing::zero_matrix(1, width);
    const double error =
        gather_ops(Isa::kScalar).error_row(input.data(), output.data(), 0.25f, width, expected.data());
    for (const Isa isa : supported_isas()) {
      Tensor<float, 2> gradient = testing::copy_of(output);
      EXPECT_EQ(gather_ops(isa).error_row(input.data(), gradient.data(), 0.25f, width, gradient.data()),
                error);
      EXPECT_TRUE(testing::same_bits(gradient.view(), expected.view())) << name_of(isa) << " " << width;
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
