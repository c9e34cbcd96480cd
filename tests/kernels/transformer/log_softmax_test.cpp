#include "kernels/transformer/log_softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/ref/log_softmax.h"
#include "kernels/ref/round_bf16.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using testing::NormalMatrix;

struct Normalized {
  std::vector<double> log_sums;
  std::vector<int32_t> largest;
};

Normalized normalize(Matrix<const float> logits) {
  Normalized result{std::vector<double>(static_cast<size_t>(logits.shape[0])),
                    std::vector<int32_t>(static_cast<size_t>(logits.shape[0]))};
  Stream stream;
  kernels::log_normalizers(logits, {result.log_sums.data(), {logits.shape[0]}},
                           {result.largest.data(), {logits.shape[0]}}, stream);
  return result;
}

TEST(LogSoftmax, NormalizersMatchTheReferenceOverOddShapes) {
  for (const int64_t width : {1, 2, 16, 33, 512, 1024, 1025, 49152}) {
    NormalMatrix logits(3, width, 1, 8.0f);
    const Normalized found = normalize(logits.view());
    const auto expected = kernels::ref::log_normalizers(logits.view());
    for (size_t row = 0; row < 3; ++row) {
      // exp errs by 2e-7, the f32 sum of a piece by its depth of roundings.
      EXPECT_NEAR(found.log_sums[row], expected[row], 2e-6) << width;
      const float* from = logits.view().row(static_cast<int64_t>(row));
      EXPECT_EQ(found.largest[row], std::max_element(from, from + width) - from);
    }
  }
}

TEST(LogSoftmax, TiesGoToTheLowestToken) {
  std::vector<float> logits(40, -3.0f);
  logits[7] = logits[9] = logits[39] = 2.0f;
  EXPECT_EQ(normalize({logits.data(), {1, 40}}).largest[0], 7);
}

TEST(LogSoftmax, HoldsForLargeLogits) {
  std::vector<float> logits = {30000.0f, 29999.0f, -30000.0f};
  EXPECT_NEAR(normalize({logits.data(), {1, 3}}).log_sums[0], 30000.0 + std::log1p(std::exp(-1.0)), 1e-6);
}

// The f32 value errs by 4e-6 for log-probabilities of up to 32, which counts beside the middle of two bf16
// numbers and near zero, where these are closer than that.
void expect_bf16_of(float found, double exact, int64_t width) {
  const float low = kernels::ref::round_bf16(static_cast<float>(exact - 4e-6));
  const float high = kernels::ref::round_bf16(static_cast<float>(exact + 4e-6));
  EXPECT_TRUE(low <= found && found <= high) << found << " for " << exact << " of " << width;
}

TEST(LogSoftmaxBf16, RoundsTheLogitsAndThenTheirLogProbabilities) {
  for (const int64_t width : {1, 2, 33, 1025, 49152}) {
    NormalMatrix logits(3, width, 1, 4.0f);
    NormalMatrix rounded(3, width, 1, 4.0f);
    for (float& value : rounded.view().span()) value = kernels::ref::round_bf16(value);
    const auto log_sums = kernels::ref::log_normalizers(rounded.view());
    std::vector<double> found(3);
    std::vector<int32_t> largest(3);
    Stream stream;
    kernels::log_softmax_bf16(logits.view(), {found.data(), {3}}, {largest.data(), {3}}, stream);
    for (int64_t row = 0; row < 3; ++row) {
      const auto r = static_cast<size_t>(row);
      EXPECT_NEAR(found[r], log_sums[r], 2e-6);
      const float* values = logits.view().row(row);
      EXPECT_EQ(largest[r], std::max_element(values, values + width) - values);
      for (int64_t i = 0; i < width; ++i) {
        expect_bf16_of(values[i], static_cast<double>(rounded.view().row(row)[i]) - log_sums[r], width);
      }
    }
  }
}

// 0.5 and the next bf16 number differ, their log-probabilities -2.9064 and -2.9025 do not: numbers there are
// 1/64 apart.
TEST(LogSoftmaxBf16, GivesTiesOfRoundedLogProbabilitiesToTheLowest) {
  std::vector<float> logits(20, 0.400390625f);
  logits[3] = 0.5f;
  logits[7] = 0.50390625f;
  int32_t largest = -1;
  double log_sum = 0.0;
  Stream stream;
  kernels::log_softmax_bf16({logits.data(), {1, 20}}, {&log_sum, {1}}, {&largest, {1}}, stream);
  EXPECT_EQ(largest, 3);
  EXPECT_EQ(logits[3], -2.90625f);
  EXPECT_EQ(logits[7], -2.90625f);
}

TEST(LogSoftmax, DivergenceMatchesTheReference) {
  for (const int64_t width : {1, 17, 1024, 3001}) {
    NormalMatrix p(4, width, 1, 4.0f), q(4, width, 2, 4.0f);
    const Normalized p_norm = normalize(p.view()), q_norm = normalize(q.view());
    std::vector<double> found(4);
    Stream stream;
    kernels::kl_divergence(p.view(), {p_norm.log_sums.data(), {4}}, q.view(), {q_norm.log_sums.data(), {4}},
                           {found.data(), {4}}, stream);
    const auto expected = kernels::ref::kl_divergence(p.view(), q.view());
    for (size_t row = 0; row < 4; ++row) EXPECT_NEAR(found[row], expected[row], 1e-5) << width;
  }
}

TEST(LogSoftmax, DivergenceOfEqualRowsIsZero) {
  NormalMatrix p(1, 300, 3, 4.0f);
  const Normalized norm = normalize(p.view());
  double found = -1.0;
  Stream stream;
  kernels::kl_divergence(p.view(), {norm.log_sums.data(), {1}}, p.view(), {norm.log_sums.data(), {1}},
                         {&found, {1}}, stream);
  EXPECT_EQ(found, 0.0);
}

TEST(LogitsOf, ChoosesOneOfEachRow) {
  NormalMatrix logits(3, 5, 1);
  const std::vector<int32_t> tokens = {4, 0, 2};
  std::vector<float> out(3);
  Stream stream;
  kernels::logits_of(logits.view(), {tokens.data(), {3}}, {out.data(), {3}}, stream);
  for (size_t row = 0; row < 3; ++row)
    EXPECT_EQ(out[row], logits.view().row(static_cast<int64_t>(row))[tokens[row]]);
}

TEST(LogitsOf, RefusesATokenOutsideTheVocabulary) {
  NormalMatrix logits(1, 5, 1);
  float out = 0.0f;
  Stream stream;
  for (const int32_t token : {-1, 5}) {
    EXPECT_THROW(kernels::logits_of(logits.view(), {&token, {1}}, {&out, {1}}, stream), Error);
  }
}

}  // namespace
}  // namespace orthant
