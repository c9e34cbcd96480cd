// The forward pass with the operands of its products rounded to bf16.

#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ref/round_bf16.h"
#include "models/tasks/window_perplexity.h"
#include "models/transformer/language_model.h"
#include "tests/support/golden_model.h"
#include "tests/support/memory_model.h"
#include "tests/support/random_matrix.h"

namespace orthant {
namespace {

using kernels::Precision;
using testing::HostMatrix;
using testing::MemoryModel;
using testing::same_bits;

std::vector<int32_t> some_tokens(int64_t count, int32_t vocabulary, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed) % vocabulary));
  }
  return ids;
}

// Logits of every token of the sequences, end to end.
HostMatrix logits_of(const models::Weights& weights, const std::vector<std::vector<int32_t>>& sequences) {
  Memory memory;
  Stream stream;
  std::vector<int32_t> ids;
  std::vector<int64_t> offsets = {0};
  for (const auto& sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  const auto tokens = static_cast<int64_t>(ids.size());
  models::RunState state(memory, weights, {tokens, static_cast<int64_t>(sequences.size()), tokens});
  std::vector<int64_t> rows(ids.size());
  std::iota(rows.begin(), rows.end(), 0);
  const auto hidden = models::forward(weights, {.batch = {ids, offsets}, .logit_rows = rows}, state, stream);
  HostMatrix logits(tokens, weights.config.vocabulary);
  models::project_logits(weights, hidden, logits.view(), state, stream);
  return logits;
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  double off = 0.0, size = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    off += std::pow(static_cast<double>(a[i]) - b[i], 2);
    size += std::pow(static_cast<double>(b[i]), 2);
  }
  return std::sqrt(off / size);
}

class ForwardBf16 : public ::testing::Test {
 protected:
  ~ForwardBf16() override { omp_set_num_threads(threads_before); }
  models::Weights load(Precision precision) {
    return models::load_weights(model, {}, memory, stream, precision);
  }
  int threads_before = omp_get_max_threads();
  Memory memory;
  Stream stream;
  MemoryModel model{testing::varied_config()};
};

TEST_F(ForwardBf16, IsNearTheF32OneAndNotTheSame) {
  const auto ids = some_tokens(90, 11, 1);
  const HostMatrix exact = logits_of(load(Precision::kF32), {ids});
  const HostMatrix found = logits_of(load(Precision::kBF16), {ids});
  // Each operand is off by up to 2^-9 of itself, about half of that in the mean; seven products lie in a row
  // in each of three blocks, and the errors of their sums are independent.
  EXPECT_LT(relative_distance(found.values, exact.values), 0.02);
  EXPECT_GT(relative_distance(found.values, exact.values), 1e-4);
}

TEST_F(ForwardBf16, ProjectsRoundedRowsOnARoundedHead) {
  const auto read = [&](const char* name) {
    const auto shape = model.shape(name);
    HostMatrix matrix(shape[0], shape[1]);
    model.read(name, matrix.values);
    return matrix;
  };
  const auto rounded = [](HostMatrix matrix) {
    for (float& value : matrix.values) value = kernels::ref::round_bf16(value);
    return matrix;
  };
  const models::Weights weights = load(Precision::kBF16);
  const HostMatrix hidden = testing::random_matrix(9, 24, 5);
  const HostMatrix head = rounded(read("lm_head.weight"));
  models::RunState state(memory, weights, {9, 1, 9});
  HostMatrix found(9, 11), expected(9, 11);
  models::project_logits(weights, hidden.view(), found.view(), state, stream);
  kernels::PackedWeights packed(memory, "weights", 11, 24);
  packed.pack(head.view(), stream);
  const HostMatrix rows = rounded(hidden);
  kernels::matmul_nt(rows.view(), packed, expected.view(), stream);
  EXPECT_TRUE(same_bits(found.values, expected.values));
}

TEST_F(ForwardBf16, KeepsTheEmbeddingAsItIs) {
  const models::Weights exact = load(Precision::kF32), weights = load(Precision::kBF16);
  EXPECT_TRUE(same_bits(weights.embedding.view().span(), exact.embedding.view().span()));
}

TEST_F(ForwardBf16, GivesEachSequenceItsBitsInAnyBatchAndOnAnyThreads) {
  const models::Weights weights = load(Precision::kBF16);
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(1, 11, 2), some_tokens(300, 11, 3),
                                                       some_tokens(17, 11, 4)};
  omp_set_num_threads(1);
  const HostMatrix together = logits_of(weights, sequences);
  omp_set_num_threads(2);
  EXPECT_TRUE(same_bits(logits_of(weights, sequences).values, together.values));
  int64_t row = 0;
  for (const auto& sequence : sequences) {
    const HostMatrix alone = logits_of(weights, {sequence});
    EXPECT_TRUE(same_bits(alone.values, together.view().rows(row, alone.rows).span()));
    row += alone.rows;
  }
}

TEST(ForwardBf16OfStories, IsNearTheF32One) {
  ORTHANT_NEEDS_SHARED("data/models/stories260K/stories260K.bin");
  const std::string path = (testing::shared_folder() / "data/models/stories260K/stories260K.bin").string();
  Memory memory;
  Stream stream;
  const auto open = [&](Precision precision) {
    return models::open_language_model(path, "", {}, memory, stream, precision);
  };
  const models::LanguageModel exact = open(Precision::kF32), model = open(Precision::kBF16);
  auto ids =
      exact.tokenizer->encode("Once upon a time, there was a little girl named Lily. She liked to play.");
  ids.insert(ids.begin(), exact.tokenizer->bos().value());
  const double off =
      relative_distance(logits_of(model.weights, {ids}).values, logits_of(exact.weights, {ids}).values);
  EXPECT_LT(off, 0.02);
  EXPECT_GT(off, 1e-4);
}

TEST(ForwardBf16OfTheTestModel, HasThePerplexityOfTheF32OneWithinFivePerMille) {
  ORTHANT_NEEDS_GOLDEN();
  ORTHANT_NEEDS_SHARED("data/wikitext-2/test.txt");
  std::ifstream file(testing::shared_folder() / "data/wikitext-2/test.txt", std::ios::binary);
  std::string text(8000, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  const auto ids = testing::golden_tokenizer().encode(text);
  constexpr int64_t kWindow = 256, kWindows = 4;
  ASSERT_GE(static_cast<int64_t>(ids.size()), kWindow * kWindows);
  Memory memory;
  Stream stream;
  const auto perplexity = [&](const models::Weights& weights) {
    return models::perplexity_of(models::window_nll(
        weights, ids, kWindow, {0, kWindows}, [](int64_t) {}, memory, stream));
  };
  const models::Weights weights = models::load_weights(*models::open_model_file(testing::test_model()), {},
                                                       memory, stream, Precision::kBF16);
  const double exact = perplexity(testing::golden_weights()), found = perplexity(weights);
  EXPECT_NEAR(found / exact, 1.0, 5e-3) << found << " against " << exact;
  EXPECT_NE(found, exact);
}

}  // namespace
}  // namespace orthant
