#include "kernels/ref/log_softmax.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/transformer/log_softmax.h"
#include "kernels/transformer/transformer_cuda.h"
#include "tests/emulation/kernel_test.h"

namespace orthant::kernels {
namespace {

using testing::DeviceArray;
using testing::on_device;

Tensor<float, 2> random_logits(int64_t rows, int64_t width, uint64_t seed) {
  Tensor<float, 2> logits = testing::random_matrix(rows, width, seed);
  for (float& x : logits.view().span()) x *= 8.0f;
  return logits;
}

class LogSoftmaxKernel : public testing::KernelTest {
 protected:
  using Normalized = std::tuple<std::vector<double>, std::vector<int32_t>>;

  Normalized normalized(const DeviceArray<float>& logits, int64_t width) {
    const Matrix<float> matrix = logits.matrix(width);
    const DeviceArray<double> log_sums(matrix.shape[0]);
    const DeviceArray<int32_t> largest(matrix.shape[0]);
    cuda::log_normalizers(matrix, log_sums.vector(), largest.vector(), stream_);
    return {log_sums.values(), largest.values()};
  }
};

TEST_F(LogSoftmaxKernel, NormalizersMatchTheReferenceOverOddShapes) {
  for (const int64_t width : {1, 2, 33, 512, 513, 3001}) {
    const Tensor<float, 2> logits = random_logits(3, width, 1);
    const auto device = on_device(logits);
    const auto work = [&] { return normalized(device, width); };
    const auto [log_sums, largest] = testing::in_every_order(work);
    const auto expected = ref::log_normalizers(logits.view());
    for (size_t row = 0; row < 3; ++row) {
      EXPECT_NEAR(log_sums[row], expected[row], 1e-6) << width;
      const float* from = logits.view().row(static_cast<int64_t>(row));
      EXPECT_EQ(largest[row], std::max_element(from, from + width) - from);
    }
    if (testing::can_leave_out_barriers()) {
      EXPECT_TRUE(testing::needs_its_barriers(work));
    }
  }
}

TEST_F(LogSoftmaxKernel, TiesGoToTheLowestToken) {
  for (const float rest : {-3.0f, -std::numeric_limits<float>::infinity()}) {
    std::vector<float> logits(900, rest);
    logits[37] = logits[41] = logits[600] = logits[899] = 2.0f;
    const DeviceArray<float> device{std::span<const float>(logits)};
    const auto found = testing::in_every_order([&] { return normalized(device, 900); });
    EXPECT_EQ(std::get<1>(found)[0], 37);
  }
}

TEST_F(LogSoftmaxKernel, HoldsForLargeLogits) {
  const std::vector<float> logits = {30000.0f, 29999.0f, -30000.0f};
  const DeviceArray<float> device{std::span<const float>(logits)};
  EXPECT_NEAR(std::get<0>(normalized(device, 3))[0], 30000.0 + std::log1p(std::exp(-1.0)), 1e-6);
}

TEST_F(LogSoftmaxKernel, Bf16LogProbabilitiesAreThoseOfTheCpu) {
  for (const int64_t width : {1, 2, 33, 513, 3001}) {
    const Tensor<float, 2> logits = random_logits(3, width, 1);
    Tensor<float, 2> expected = random_logits(3, width, 1);
    std::vector<double> expected_sums(3);
    std::vector<int32_t> expected_largest(3);
    log_softmax_bf16(expected.view(), {expected_sums.data(), {3}}, {expected_largest.data(), {3}}, stream_);
    const auto work = [&] {
      const auto device = on_device(logits);
      const DeviceArray<double> log_sums(3);
      const DeviceArray<int32_t> largest(3);
      cuda::log_softmax_bf16(device.matrix(width), log_sums.vector(), largest.vector(), stream_);
      return std::tuple(device.values(), log_sums.values(), largest.values());
    };
    const auto [found, log_sums, largest] = testing::in_every_order(work);
    for (size_t row = 0; row < 3; ++row) EXPECT_NEAR(log_sums[row], expected_sums[row], 1e-6) << width;
    for (size_t i = 0; i < found.size(); ++i) {
      // A sum that differs in the last bits may send a value beside a middle to the other side, and is all
      // there is of values near zero.
      const float other = expected.view().span()[i];
      EXPECT_NEAR(found[i], other, std::abs(other) / 128.0f + 4e-6f) << width;
    }
    for (size_t row = 0; row < 3; ++row) {
      const auto begin = found.begin() + static_cast<int64_t>(row) * width;
      EXPECT_EQ(largest[row], std::max_element(begin, begin + width) - begin) << width;
    }
  }
}

TEST_F(LogSoftmaxKernel, DivergenceMatchesTheReferenceAndIsZeroForEqualRows) {
  for (const int64_t width : {1, 17, 1024, 3001}) {
    const Tensor<float, 2> p = random_logits(2, width, 1), q = random_logits(2, width, 2);
    const auto device_p = on_device(p), device_q = on_device(q);
    const std::vector<double> p_values = std::get<0>(normalized(device_p, width)),
                              q_values = std::get<0>(normalized(device_q, width));
    const DeviceArray<double> p_sums{std::span<const double>(p_values)},
        q_sums{std::span<const double>(q_values)};
    const std::vector<double> found = testing::in_every_order([&] {
      const DeviceArray<double> divergence(2);
      cuda::kl_divergence(device_p.matrix(width), p_sums.vector(), device_q.matrix(width), q_sums.vector(),
                          divergence.vector(), stream_);
      return divergence.values();
    });
    const auto expected = ref::kl_divergence(p.view(), q.view());
    for (size_t row = 0; row < 2; ++row) {
      EXPECT_NEAR(found[row], expected[row], 1e-5 * (1.0 + expected[row])) << width;
    }
    const DeviceArray<double> same(2);
    cuda::kl_divergence(device_p.matrix(width), p_sums.vector(), device_p.matrix(width), p_sums.vector(),
                        same.vector(), stream_);
    EXPECT_EQ(same.values()[0], 0.0);
  }
}

TEST_F(LogSoftmaxKernel, ChoosesLogitsAndMarksUnknownTokens) {
  constexpr int64_t kRows = 600;
  const Tensor<float, 2> logits = random_logits(kRows, 3, 1);
  const auto device = on_device(logits);
  std::vector<int32_t> tokens(kRows);
  for (size_t row = 0; row < tokens.size(); ++row) tokens[row] = static_cast<int32_t>(row * row % 5) - 1;
  const DeviceArray<int32_t> chosen{std::span<const int32_t>(tokens)};
  const DeviceArray<float> out(kRows);
  cuda::logits_of(device.matrix(3), chosen.vector(), out.vector(), stream_);
  const std::vector<float> found = out.values();
  for (size_t row = 0; row < tokens.size(); ++row) {
    if (tokens[row] < 0 || tokens[row] > 2) {
      EXPECT_TRUE(std::isnan(found[row])) << row;
    } else {
      EXPECT_EQ(found[row], logits.view().row(static_cast<int64_t>(row))[tokens[row]]) << row;
    }
  }
}

}  // namespace
}  // namespace orthant::kernels
