#include "sae/scoring/snippet_maxima.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sae/scoring/sequence_blocks.h"
#include "tests/support/random_dictionary.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 19;
constexpr int64_t kTokens = 4;  // of a snippet
constexpr int64_t kSnippets = 6;
constexpr int32_t kSpecial = 9;
const std::vector<int64_t> kChosen = {31, 4, 66};

class SnippetSource : public ActivationSource {
 public:
  [[nodiscard]] int64_t d_model() const override { return kWidth; }
  [[nodiscard]] int64_t rows(Split) const override {
    return kTokens * SnippetMaxima::sequences(static_cast<int64_t>(kChosen.size()), kSnippets);
  }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override {
    for (int64_t r = 0; r < into.shape[0]; ++r) {
      for (int64_t c = 0; c < kWidth; ++c) {
        into.row(r)[c] = random_normal(3, Purpose::kTest, 8, static_cast<uint64_t>((first + r) * kWidth + c));
      }
    }
    if (labels != nullptr) read_labels(split, first, into.shape[0], *labels);
  }
  void read_labels(Split, int64_t first, int64_t count, RowLabels& labels) override {
    labels = {};
    for (int64_t row = first; row < first + count; ++row) {
      labels.token_ids.push_back(row % 7 == 3 ? kSpecial : 1);
      labels.positions.push_back(static_cast<int32_t>(row % kTokens));
      labels.documents.push_back(row / kTokens);
    }
  }
  [[nodiscard]] std::string identity() const override { return "snippets of a test"; }
};

// By the definition, in double.
std::vector<double> maxima_in_double(const Dictionary& d, int64_t latent, int64_t first_sequence) {
  SnippetSource source;
  Memory memory;
  Tensor<float, 2> x(memory, "test", {source.rows(Split::kTrain), kWidth});
  RowLabels labels;
  source.read(Split::kTrain, 0, x.view(), &labels);
  std::vector<double> maxima;
  for (int64_t s = first_sequence; s < first_sequence + kSnippets; ++s) {
    double largest = 0.0;
    for (int64_t row = s * kTokens + 1; row < (s + 1) * kTokens; ++row) {
      if (labels.token_ids[static_cast<size_t>(row)] == kSpecial) continue;
      double activation = d.encoder_bias.data()[latent];
      for (int64_t c = 0; c < kWidth; ++c) {
        activation += (static_cast<double>(x.view().row(row)[c]) - d.decoder_bias.data()[c]) *
                      d.encoder.view().row(latent)[c];
      }
      largest = std::max(largest, activation);
    }
    maxima.push_back(largest);
  }
  return maxima;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double spread_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += (value - mean_of(values)) * (value - mean_of(values));
  return sum;
}

TEST(SnippetMaxima, EffectsMatchTheFormulaOnAnyRanks) {
  for (const int ranks : {1, 2, 3}) {
    run_thread_ranks(ranks, [&](World world) {
      Grid grid = make_grid(*world.data, {ranks, 1});
      Memory memory;
      const Dictionary d = testing::random_dictionary({.architecture = Architecture::kStandard}, memory);
      SnippetSource source;
      const std::vector<int64_t> blocks = sequence_blocks(source, 0, 10);
      SnippetMaxima maxima(memory, kChosen, d.latents, kSnippets, kTokens, {kSpecial}, world.rank() == 0);
      const CodePass pass{.dictionary = &d,
                          .source = &source,
                          .blocks = blocks,
                          .world = &world,
                          .grid = &grid,
                          .encoded = [&](const EncodedBlock& block) { maxima.add(block); },
                          .merge = [&](int64_t done) { maxima.merge(*world.data, done); }};
      ASSERT_EQ(run_code_pass(pass, 0, memory), PassEnd::kFinished);
      EXPECT_EQ(maxima.blocks_done(), static_cast<int64_t>(blocks.size()) - 1);
      for (size_t place = 0; place < kChosen.size(); ++place) {
        const auto at = static_cast<int64_t>(place);
        const std::vector<double> untouched = maxima_in_double(d, kChosen[place], 0);
        EXPECT_NEAR(maxima.untouched_mean(at), mean_of(untouched), 1e-5);
        for (int kind = 0; kind < kInjectionKinds; ++kind) {
          const std::vector<double> injected =
              maxima_in_double(d, kChosen[place], kSnippets * (1 + at * kInjectionKinds + kind));
          const double deviation =
              std::sqrt((spread_of(injected) + spread_of(untouched)) / (2.0 * kSnippets - 2.0));
          const InjectionEffect effect = maxima.effect(at, static_cast<InjectionKind>(kind));
          EXPECT_NEAR(effect.mean, mean_of(injected), 1e-5);
          EXPECT_NEAR(effect.d, (mean_of(injected) - mean_of(untouched)) / deviation, 1e-4 / deviation);
        }
      }
    });
  }
}

}  // namespace
}  // namespace orthant::sae
