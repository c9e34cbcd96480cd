#include "kernels/codes/l1_penalty.h"

#include <gtest/gtest.h>

namespace orthant::kernels {
namespace {

TEST(L1Penalty, GradientsGrowByTheWeightsOfTheirLatents) {
  Stream stream;
  std::vector<int64_t> offsets = {0, 2, 3};
  std::vector<int32_t> latents = {10, 12, 11};
  std::vector<float> values = {1.0f, 1.0f, 1.0f}, gradients = {0.5f, 0.5f, 0.5f};
  const CodesView codes{{offsets.data(), {3}}, {latents.data(), {3}}, {values.data(), {3}}};
  const std::vector<double> weights = {1.0, 2.0, 4.0};
  add_l1_gradients(codes, 10, 0.25, {weights.data(), {3}}, {gradients.data(), {3}}, stream);
  EXPECT_EQ(gradients, (std::vector<float>{0.75f, 1.5f, 1.0f}));
  add_l1_gradients(codes, 10, 0.25, {}, {gradients.data(), {3}}, stream);
  EXPECT_EQ(gradients, (std::vector<float>{1.0f, 1.75f, 1.25f}));
}

TEST(L1Penalty, PenaltiesAreWeightedSums) {
  Stream stream;
  const std::vector<double> sums = {1.0, 0.0, 3.0}, weights = {2.0, 5.0, 0.5};
  std::vector<double> penalties = {1.0, 1.0, 1.0};
  add_l1_penalties({sums.data(), {3}}, {weights.data(), {3}}, {penalties.data(), {3}}, stream);
  EXPECT_EQ(penalties, (std::vector<double>{3.0, 1.0, 2.5}));
  add_l1_penalties({sums.data(), {3}}, {}, {penalties.data(), {3}}, stream);
  EXPECT_EQ(penalties, (std::vector<double>{4.0, 1.0, 5.5}));
}

TEST(L1Penalty, NormsPullAlongTheirRows) {
  Stream stream;
  const std::vector<double> sums = {2.0, 0.0, 3.0}, norms = {5.0, 1.0, 0.0};
  std::vector<float> decoder = {3.0f, 4.0f, 1.0f, 0.0f, 0.0f, 0.0f}, gradient(6, 1.0f);
  add_norm_gradients(0.5, {sums.data(), {3}}, {norms.data(), {3}}, {decoder.data(), {3, 2}},
                     {gradient.data(), {3, 2}}, stream);
  EXPECT_FLOAT_EQ(gradient[0], 1.6f);
  EXPECT_FLOAT_EQ(gradient[1], 1.8f);
  for (size_t i = 2; i < 6; ++i) EXPECT_EQ(gradient[i], 1.0f) << "no sum, or no norm";
}

// Of sources A and B, a latent's rows one after the other.
TEST(L1Penalty, EachRowOfALatentIsPulledBySumAndItsOwnNorm) {
  Stream stream;
  const std::vector<double> sums = {2.0, 3.0}, norms = {5.0, 2.0, 0.0, 1.0};
  std::vector<float> decoder = {3.0f, 4.0f, 2.0f, 0.0f, 0.0f, 0.0f, 0.0f, -1.0f}, gradient(8, 0.0f);
  add_norm_gradients(0.5, {sums.data(), {2}}, {norms.data(), {4}}, {decoder.data(), {4, 2}},
                     {gradient.data(), {4, 2}}, stream);
  const std::vector<float> expected = {0.6f, 0.8f, 1.0f, 0.0f, 0.0f, 0.0f, 0.0f, -1.5f};
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(gradient[i], expected[i]) << i;
}

}  // namespace
}  // namespace orthant::kernels
