#include "sae/diffing/latent_scaling.h"

#include <gtest/gtest.h>

#include "runtime/core/rng.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 7;
constexpr int64_t kFirst = 40;

float drawn(uint32_t stream, int64_t index) {
  return random_normal(8, Purpose::kTest, stream, static_cast<uint64_t>(index));
}

struct Rows {
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> latents;
  std::vector<float> values;
  std::vector<float> targets[2];  // [rows, kWidth]

  void add(std::vector<std::pair<int32_t, float>> entries) {
    for (const auto& [latent, value] : entries) {
      latents.push_back(static_cast<int32_t>(kFirst) + latent);
      values.push_back(value);
    }
    offsets.push_back(static_cast<int64_t>(latents.size()));
  }
  [[nodiscard]] int64_t rows() const { return static_cast<int64_t>(offsets.size()) - 1; }
  kernels::CodesView codes() {
    const auto entries = static_cast<int64_t>(latents.size());
    return {{offsets.data(), {rows() + 1}}, {latents.data(), {entries}}, {values.data(), {entries}}};
  }
};

class LatentScalingTest : public ::testing::Test {
 protected:
  LatentScalingTest() : directions_(memory_, "test", {3, kWidth}) {
    for (int64_t i = 0; i < 3 * kWidth; ++i) directions_.data()[i] = i / kWidth == 2 ? 0.0f : drawn(0, i);
  }
  Memory memory_;
  Tensor<float, 2> directions_;  // the third latent has none
};

// The same sums row by row, without order by latent.
TEST_F(LatentScalingTest, IsLeastSquaresOverAllRowsAdded) {
  std::vector<Rows> blocks(3);
  blocks[0].add({{0, 1.5f}, {1, 0.5f}});
  blocks[0].add({});
  blocks[1].add({{0, 2.0f}, {2, 1.0f}});
  blocks[2].add({{0, 0.0f}});  // selected at zero: no firing
  blocks[2].add({{0, 0.25f}});
  LatentScaling scaling(directions_.view(), kFirst, 2, memory_);
  double squares = 0.0, products[2] = {0.0, 0.0}, own = 0.0;
  for (int64_t c = 0; c < kWidth; ++c)
    own += static_cast<double>(directions_.data()[c]) * directions_.data()[c];
  int64_t number = 0;
  for (Rows& block : blocks) {
    for (int64_t i = 0; i < block.rows() * kWidth; ++i, ++number) {
      for (int t = 0; t < 2; ++t) block.targets[t].push_back(drawn(1 + static_cast<uint32_t>(t), number));
    }
    for (int64_t r = 0; r < block.rows(); ++r) {
      for (int64_t e = block.offsets[static_cast<size_t>(r)]; e < block.offsets[static_cast<size_t>(r) + 1];
           ++e) {
        if (block.latents[static_cast<size_t>(e)] != kFirst) continue;
        const double f = block.values[static_cast<size_t>(e)];
        squares += f * f;
        for (int t = 0; t < 2; ++t) {
          for (int64_t c = 0; c < kWidth; ++c) {
            products[t] += f * directions_.data()[c] * block.targets[t][static_cast<size_t>(r * kWidth + c)];
          }
        }
      }
    }
    const std::vector<Matrix<const float>> targets = {{block.targets[0].data(), {block.rows(), kWidth}},
                                                      {block.targets[1].data(), {block.rows(), kWidth}}};
    scaling.add(block.codes(), targets);
  }
  EXPECT_EQ(scaling.firings(0), 3);
  EXPECT_EQ(scaling.firings(1), 1);
  EXPECT_NEAR(scaling.squares(0), squares, 1e-12);
  for (int t = 0; t < 2; ++t) {
    EXPECT_NEAR(scaling.beta(0, t), products[t] / (squares * own), 1e-12);
    EXPECT_NEAR(scaling.beta(0, t, 0.5), products[t] / (squares * own) + 0.5, 1e-12);
  }
  EXPECT_EQ(scaling.beta(2, 0, 1.0), 0.0) << "it has no direction";
}

TEST_F(LatentScalingTest, RecoversTheScaleThatATargetWasMadeWith) {
  Rows rows;
  for (int64_t r = 0; r < 50; ++r) {
    const float f = 0.5f + std::abs(drawn(3, r));
    rows.add({{0, f}});
    for (int64_t c = 0; c < kWidth; ++c) {
      rows.targets[0].push_back(0.3f * f * directions_.data()[c]);
      rows.targets[1].push_back(-1.25f * f * directions_.data()[c]);
    }
  }
  LatentScaling scaling(directions_.view(), kFirst, 2, memory_);
  const std::vector<Matrix<const float>> targets = {{rows.targets[0].data(), {50, kWidth}},
                                                    {rows.targets[1].data(), {50, kWidth}}};
  scaling.add(rows.codes(), targets);
  EXPECT_NEAR(scaling.beta(0, 0), 0.3, 1e-6);
  EXPECT_NEAR(scaling.beta(0, 1), -1.25, 1e-6);
  EXPECT_EQ(scaling.beta(1, 0), 0.0) << "it never fired";
}

TEST_F(LatentScalingTest, NothingIsZero) {
  const LatentScaling scaling(directions_.view(), kFirst, 2, memory_);
  EXPECT_EQ(scaling.firings(0), 0);
  EXPECT_EQ(scaling.beta(0, 1), 0.0);
}

}  // namespace
}  // namespace orthant::sae
