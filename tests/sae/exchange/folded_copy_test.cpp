#include "sae/exchange/folded_copy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "runtime/core/error.h"
#include "tests/support/random_dictionary.h"

namespace orthant {
namespace {

using sae::Architecture;
using sae::Dictionary;
using sae::InputScaling;
using testing::random_dictionary;
using testing::RandomDictionarySpec;

constexpr int64_t kRows = 24;

// Largest sum of |weight * input| behind one pre-activation: what one rounding of every weight can move,
// times 2^-24.
double largest_absolute_sum(const Dictionary& folded, const Tensor<float, 2>& activations) {
  double largest = 0.0;
  for (int64_t r = 0; r < activations.shape()[0]; ++r) {
    double norm = 0.0;
    for (int64_t c = 0; c < folded.d_model; ++c) norm += std::pow(activations.view().row(r)[c], 2);
    double bias = 0.0;
    for (const float value : folded.decoder_bias.view().span()) bias += std::pow(value, 2);
    for (int64_t i = 0; i < folded.latents; ++i) {
      double row = 0.0;
      for (int64_t c = 0; c < folded.d_model; ++c) row += std::pow(folded.encoder.view().row(i)[c], 2);
      largest = std::max(largest, std::sqrt(row) * (std::sqrt(norm) + std::sqrt(bias)) +
                                      std::abs(folded.encoder_bias.data()[i]));
    }
  }
  return largest;
}

class Folding : public ::testing::TestWithParam<std::tuple<Architecture, InputScaling, bool, bool>> {
 protected:
  [[nodiscard]] Dictionary original() {
    const auto [architecture, scaling, rescale, subtract] = GetParam();
    RandomDictionarySpec spec{.architecture = architecture, .input_scaling = scaling};
    spec.rescale_acts_by_decoder_norm = rescale;
    spec.subtract_decoder_bias = subtract;
    return random_dictionary(spec, memory_);
  }
  Memory memory_;
};

TEST_P(Folding, LeavesLatentsOfRawActivationsUnchanged) {
  const Dictionary dictionary = original();
  const Dictionary folded = folded_copy(dictionary, memory_);
  EXPECT_EQ(folded.input_scale, 1.0);
  EXPECT_FALSE(folded.rescale_acts_by_decoder_norm);
  const sae::ReloadCheck check = compare_latents(dictionary, folded, kRows);
  const Tensor<float, 2> activations = fixture_activations(dictionary, kRows, memory_);
  EXPECT_GT(check.active, kRows);
  EXPECT_LT(check.active, kRows * dictionary.latents);
  // Weights are rounded at most twice, b_dec once.
  EXPECT_LE(check.maximum_difference, 3 * std::ldexp(1.0, -24) * largest_absolute_sum(folded, activations));
}

// Raw activations from latents in export units.
std::vector<double> reconstruct(const Dictionary& d, const sae::DenseLatents& z, int64_t row,
                                bool folded_units) {
  std::vector<double> sum(d.decoder_bias.data(), d.decoder_bias.data() + d.d_model);
  for (int64_t i = 0; i < d.latents; ++i) {
    const float* decoder = d.decoder.view().row(i);
    double norm = 0.0;
    for (int64_t c = 0; c < d.d_model; ++c) norm += std::pow(decoder[c], 2);
    const double unit = d.rescale_acts_by_decoder_norm && !folded_units ? std::sqrt(norm) : 1.0;
    const double value = z.values[static_cast<size_t>(row * d.latents + i)] / unit;
    for (int64_t c = 0; c < d.d_model; ++c) sum[static_cast<size_t>(c)] += value * decoder[c];
  }
  for (double& value : sum) value /= d.input_scale;
  if (d.input_scaling == InputScaling::kWhiten && !folded_units) {
    const std::vector<float> scaled(sum.begin(), sum.end());
    std::vector<float> raw(sum.size());
    sae::unwhiten_direction(d.whitening, scaled.data(), raw.data());
    for (size_t c = 0; c < sum.size(); ++c) sum[c] = double{raw[c]} + d.whitening.mean.data()[c];
  }
  return sum;
}

TEST_P(Folding, LeavesTheReconstructionUnchanged) {
  const Dictionary dictionary = original();
  const Dictionary folded = folded_copy(dictionary, memory_);
  const Tensor<float, 2> activations = fixture_activations(dictionary, kRows, memory_);
  const sae::DenseLatents before = dense_latents(dictionary, activations.view());
  const sae::DenseLatents after = dense_latents(folded, activations.view());
  for (int64_t r = 0; r < kRows; ++r) {
    const std::vector<double> a = reconstruct(dictionary, before, r, false);
    const std::vector<double> b = reconstruct(folded, after, r, true);
    double difference = 0.0;
    double norm = 0.0;
    for (size_t c = 0; c < a.size(); ++c) {
      difference += std::pow(a[c] - b[c], 2);
      norm += std::pow(a[c], 2);
    }
    EXPECT_LE(std::sqrt(difference), 1e-5 * std::sqrt(norm)) << "row " << r;
  }
}

INSTANTIATE_TEST_SUITE_P(
    EveryConvention, Folding,
    ::testing::Combine(::testing::Values(Architecture::kTopK, Architecture::kBatchTopK,
                                         Architecture::kStandard, Architecture::kJumpRelu),
                       ::testing::Values(InputScaling::kNone, InputScaling::kUnitMeanSquare,
                                         InputScaling::kExpectedAverageOnlyIn,
                                         InputScaling::kConstantNormRescale, InputScaling::kLayerNorm,
                                         InputScaling::kWhiten),
                       ::testing::Bool(), ::testing::Bool()),
    [](const auto& given) {
      return std::string(name_of(std::get<0>(given.param))) + "_" +
             std::string(name_of(std::get<1>(given.param))) +
             (std::get<2>(given.param) ? "_by_decoder_norm" : "") +
             (std::get<3>(given.param) ? "" : "_raw_input");
    });

TEST(DenseLatents, TopKKeepsExactlyKAndBreaksTiesToTheLowestLatent) {
  Memory memory;
  RandomDictionarySpec spec{.latents = 6, .k = 2};
  Dictionary d = random_dictionary(spec, memory);
  for (int64_t i = 0; i < 6; ++i) {
    std::copy_n(d.encoder.view().row(0), d.d_model, d.encoder.view().row(i));
    d.encoder_bias.data()[i] = 100.0f;
  }
  const Tensor<float, 2> activations = fixture_activations(d, 3, memory);
  const sae::DenseLatents z = dense_latents(d, activations.view());
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(z.values[static_cast<size_t>(r * 6 + i)] > 0.0, i < 2);
  }
}

TEST(CompareLatents, SeesAWrongThresholdAndAWrongWeight) {
  Memory memory;
  const Dictionary original = random_dictionary({.architecture = Architecture::kBatchTopK}, memory);
  Dictionary other = folded_copy(original, memory);
  other.threshold *= 1.5;
  EXPECT_GT(compare_latents(original, other, kRows).maximum_difference, 0.5);
  other.threshold = original.threshold;
  other.encoder.data()[5] += 0.5f;
  EXPECT_GT(compare_latents(original, other, kRows).maximum_difference, 1e-3);
}

TEST(CompareLatents, CountsNotANumberAsADifference) {
  Memory memory;
  const Dictionary original = random_dictionary({.architecture = Architecture::kStandard}, memory);
  Dictionary other = folded_copy(original, memory);
  for (float& value : other.encoder.view().span()) value = NAN;
  EXPECT_GT(compare_latents(original, other, kRows).maximum_difference, 0.1);
}

TEST(DenseLatents, RefusesBatchTopKWithoutThreshold) {
  Memory memory;
  Dictionary d = random_dictionary({.architecture = Architecture::kBatchTopK}, memory);
  d.threshold = -1.0;
  const Tensor<float, 2> activations = fixture_activations(d, 1, memory);
  try {
    (void)dense_latents(d, activations.view());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
  }
}

}  // namespace
}  // namespace orthant
