#include "kernels/transformer/attention.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <limits>
#include <vector>

#include "kernels/isa/isa.h"
#include "kernels/ref/attention.h"
#include "kernels/transformer/transformer_rows.h"
#include "tests/support/normal_matrix.h"

namespace orthant {
namespace {

using kernels::AttentionSequence;
using kernels::AttentionShape;
using testing::NormalMatrix;

// Keys and values of one sequence; unwritten places hold NaN, which must never be read.
struct Cache {
  Cache(const AttentionShape& shape, int64_t positions)
      : capacity((positions + 15) / 16 * 16),
        keys(static_cast<size_t>(cache_floats(shape, capacity)), std::numeric_limits<float>::quiet_NaN()),
        values(keys) {}
  [[nodiscard]] AttentionSequence rows(int64_t first_row, int64_t count, int64_t first_position) {
    return {first_row, count, first_position, capacity, keys.data(), values.data()};
  }
  int64_t capacity;
  std::vector<float> keys;
  std::vector<float> values;
};

struct Inputs {
  Inputs(const AttentionShape& shape, int64_t rows, uint32_t seed)
      : query(rows, shape.heads * shape.head_dim, seed),
        key(rows, shape.kv_heads * shape.head_dim, seed + 1),
        value(rows, shape.kv_heads * shape.head_dim, seed + 2) {}
  NormalMatrix query, key, value;
};

std::vector<float> run(const AttentionShape& shape, std::vector<AttentionSequence> sequences, Inputs& inputs,
                       int threads) {
  NormalMatrix out(inputs.query.view().shape[0], inputs.query.view().shape[1], 9);
  std::vector<float> workspace(static_cast<size_t>(threads * attention_workspace_floats(shape)));
  Stream stream;
  kernels::store_keys_values(shape, sequences, inputs.key.view(), inputs.value.view(), stream);
  kernels::attention(shape, sequences, inputs.query.view(), out.view(),
                     {workspace.data(), {static_cast<int64_t>(workspace.size())}}, stream);
  return out.values();
}

std::vector<float> run_one(const AttentionShape& shape, Inputs& inputs, int threads = 1) {
  const int64_t rows = inputs.query.view().shape[0];
  Cache cache(shape, rows);
  return run(shape, {cache.rows(0, rows, 0)}, inputs, threads);
}

TEST(Attention, MatchesTheReferenceOverOddShapes) {
  for (const AttentionShape shape :
       {AttentionShape{1, 1, 2}, AttentionShape{4, 2, 6}, AttentionShape{9, 3, 64}, AttentionShape{8, 8, 17},
        AttentionShape{6, 1, 80}}) {
    for (const int64_t rows : {1, 2, 15, 16, 17, 63, 64, 65, 150}) {
      Inputs inputs(shape, rows, 1);
      const auto found = run_one(shape, inputs);
      const auto expected =
          kernels::ref::attention(shape, inputs.query.view(), inputs.key.view(), inputs.value.view());
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(found[i], expected[i], 5e-6) << shape.head_dim << " " << rows << " " << i;
      }
    }
  }
}

TEST(Attention, HoldsForLargeScores) {
  const AttentionShape shape{2, 1, 8};
  Inputs inputs(shape, 70, 4);
  for (float& value : inputs.query.values()) value *= 100.0f;
  const auto found = run_one(shape, inputs);
  const auto expected =
      kernels::ref::attention(shape, inputs.query.view(), inputs.key.view(), inputs.value.view());
  // Scores of several hundred err by their own rounding, which the softmax turns into a relative error.
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(found[i], expected[i], 5e-4) << i;
}

TEST(Attention, DoesNotDependOnTheBatchOrOnThreads) {
  const AttentionShape shape{6, 2, 24};
  const std::vector<int64_t> lengths = {1, 100, 37, 64};
  Inputs inputs(shape, 202, 11);
  std::vector<Cache> caches;
  std::vector<AttentionSequence> sequences;
  for (const int64_t length : lengths) caches.emplace_back(shape, length);
  int64_t first = 0;
  for (size_t s = 0; s < lengths.size(); ++s) {
    sequences.push_back(caches[s].rows(first, lengths[s], 0));
    first += lengths[s];
  }
  const auto together = run(shape, sequences, inputs, 1);
  EXPECT_EQ(run(shape, sequences, inputs, 2), together);
  for (const AttentionSequence& sequence : sequences) {
    Cache cache(shape, sequence.rows);
    const auto alone = run(shape, {cache.rows(sequence.first_row, sequence.rows, 0)}, inputs, 1);
    const auto width = static_cast<size_t>(shape.heads * shape.head_dim);
    for (size_t i = static_cast<size_t>(sequence.first_row) * width;
         i < static_cast<size_t>(sequence.first_row + sequence.rows) * width; ++i) {
      ASSERT_EQ(alone[i], together[i]);
    }
  }
}

TEST(Attention, DecodeFromACacheGivesTheBitsOfPrefill) {
  const AttentionShape shape{6, 2, 24};
  const int64_t rows = 140;
  Inputs inputs(shape, rows, 21);
  const auto prefill = run_one(shape, inputs);
  Cache cache(shape, rows);
  const auto width = static_cast<size_t>(shape.heads * shape.head_dim);
  const std::vector<int64_t> pieces = {70, 1, 1, 20, 48};
  int64_t first = 0;
  for (const int64_t piece : pieces) {
    const auto found = run(shape, {cache.rows(first, piece, first)}, inputs, 1);
    for (size_t i = static_cast<size_t>(first) * width; i < static_cast<size_t>(first + piece) * width; ++i) {
      ASSERT_EQ(found[i], prefill[i]) << first;
    }
    first += piece;
  }
}

TEST(Attention, PanelProductsGiveTheSameBitsInEveryInstructionSet) {
  NormalMatrix a(17, 40, 1), b(40, 16, 2);
  std::vector<float> expected;
  for (const kernels::Isa isa : kernels::supported_isas()) {
    NormalMatrix out(17, 16, 3);
    kernels::transformer_rows(isa).panel_product(
        {a.view().data, 40, b.view().data, 16, out.view().data, 16, 17, 40});
    if (expected.empty()) expected = out.values();
    EXPECT_EQ(out.values(), expected) << name_of(isa);
  }
}

TEST(Attention, SoftmaxBlocksGiveTheSameBitsInEveryInstructionSet) {
  std::vector<float> expected;
  for (const kernels::Isa isa : kernels::supported_isas()) {
    const kernels::TransformerRows& rows = kernels::transformer_rows(isa);
    NormalMatrix scores(3, 64, 1, 5.0f), out(1, 30, 2);
    std::vector<float> sums(16, 0.0f), weighted(32, 0.0f);
    float top = -std::numeric_limits<float>::infinity();
    for (int64_t block = 0; block < 3; ++block) {
      rows.softmax_block(scores.view().row(block), block == 2 ? 5 : 64,
                         {&top, sums.data(), weighted.data(), 32});
      for (size_t i = 0; i < 32; ++i) weighted[i] += scores.view().row(block)[i];
    }
    rows.softmax_finish({&top, sums.data(), weighted.data(), 32}, out.view().data, 30);
    std::vector<float> found = out.values();
    found.insert(found.end(), scores.values().begin(), scores.values().end());
    if (expected.empty()) expected = found;
    EXPECT_EQ(found, expected) << name_of(isa);
  }
}

}  // namespace
}  // namespace orthant
