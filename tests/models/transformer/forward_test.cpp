#include "models/transformer/forward.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <numeric>

#include "tests/support/reference_forward.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using testing::MemoryModel;
using testing::varied_config;

struct Output {
  std::vector<float> logits;  // [tokens, vocabulary]
  std::vector<float> tap;     // [tokens, d_model]
};

std::vector<int32_t> some_tokens(int64_t count, int32_t vocabulary, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed) % vocabulary));
  return ids;
}

class Forward : public ::testing::Test {
 protected:
  Forward() : weights(models::load_weights(model, {}, memory, stream)) {}
  ~Forward() override { omp_set_num_threads(threads_before); }

  Output run(const std::vector<std::vector<int32_t>>& sequences, models::KvCache* cache = nullptr,
             HookPoint hook = {1, HookSite::kResidPost}, const std::vector<int64_t>& parents = {}) {
    std::vector<int32_t> ids;
    std::vector<int64_t> offsets = {0};
    for (const auto& sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      offsets.push_back(static_cast<int64_t>(ids.size()));
    }
    const auto tokens = static_cast<int64_t>(ids.size());
    const int64_t kept = parents.empty() ? 0 : 512 * static_cast<int64_t>(sequences.size());
    models::RunState state(memory, weights, {tokens, static_cast<int64_t>(sequences.size()), 512, kept});
    std::vector<int64_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    Output out{std::vector<float>(static_cast<size_t>(tokens * model.config().vocabulary)),
               std::vector<float>(static_cast<size_t>(tokens * model.config().d_model))};
    const models::Tap tap{hook, {out.tap.data(), {tokens, model.config().d_model}}};
    const auto hidden = models::forward(
        weights, {.batch = {ids, offsets, parents}, .taps = {&tap, 1}, .logit_rows = rows, .cache = cache},
        state, stream);
    models::project_logits(weights, hidden, {out.logits.data(), {tokens, model.config().vocabulary}}, state,
                           stream);
    return out;
  }

  int threads_before = omp_get_max_threads();
  Memory memory;
  Stream stream;
  MemoryModel model{varied_config()};
  models::Weights weights;
};

TEST_F(Forward, MatchesTheFormulasWithBiasesScalingAndAnUntiedHead) {
  const auto ids = some_tokens(90, 11, 1);
  const Output found = run({ids});
  std::vector<testing::Rows> residual_post;
  const testing::Rows logits = testing::ReferenceForward(model).logits(ids, residual_post);
  for (size_t t = 0; t < ids.size(); ++t) {
    for (size_t v = 0; v < 11; ++v)
      ASSERT_NEAR(found.logits[t * 11 + v], logits[t][v], 2e-4) << t << " " << v;
    for (size_t i = 0; i < 24; ++i) ASSERT_NEAR(found.tap[t * 24 + i], residual_post[1][t][i], 1e-4);
  }
}

TEST_F(Forward, GivesEachSequenceOfABatchTheBitsItHasAlone) {
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(1, 11, 2), some_tokens(300, 11, 3),
                                                       some_tokens(17, 11, 4), some_tokens(64, 11, 5)};
  const Output together = run(sequences);
  size_t logit = 0, value = 0;
  for (const auto& sequence : sequences) {
    const Output alone = run({sequence});
    for (const float expected : alone.logits) ASSERT_EQ(together.logits[logit++], expected);
    for (const float expected : alone.tap) ASSERT_EQ(together.tap[value++], expected);
  }
}

// Parents of 1, 16, 70 rows: within a block of keys, at its end, beyond it.
TEST_F(Forward, GivesChildrenTheBitsOfTheirWholeSequences) {
  for (const int64_t shared : {1, 16, 63, 64, 70}) {
    const auto beginning = some_tokens(shared, 11, 2);
    const std::vector<std::vector<int32_t>> sequences = {some_tokens(9, 11, 7), beginning,
                                                         some_tokens(1, 11, 3), some_tokens(130, 11, 4),
                                                         some_tokens(5, 11, 5), some_tokens(40, 11, 1),
                                                         some_tokens(17, 11, 6)};
    const std::vector<int64_t> parents = {-1, -1, 1, 1, 0, -1, 1};
    const auto values_of = [](const std::vector<float>& values, size_t row, size_t rows, size_t width) {
      return std::vector<float>(values.begin() + static_cast<long>(row * width),
                                values.begin() + static_cast<long>((row + rows) * width));
    };
    for (const int threads : {1, 2}) {
      omp_set_num_threads(threads);
      const Output together = run(sequences, nullptr, {1, HookSite::kResidPost}, parents);
      size_t row = 0;
      for (size_t s = 0; s < sequences.size(); ++s) {
        std::vector<int32_t> whole;
        if (parents[s] >= 0) whole = sequences[static_cast<size_t>(parents[s])];
        const size_t before = whole.size(), own = sequences[s].size();
        whole.insert(whole.end(), sequences[s].begin(), sequences[s].end());
        const Output alone = run({whole});
        EXPECT_EQ(values_of(together.logits, row, own, 11), values_of(alone.logits, before, own, 11)) << s;
        EXPECT_EQ(values_of(together.tap, row, own, 24), values_of(alone.tap, before, own, 24)) << s;
        row += own;
      }
    }
  }
}

TEST_F(Forward, GivesTheSameBitsOnOneThreadAndOnTwo) {
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(290, 11, 6), some_tokens(33, 11, 7)};
  omp_set_num_threads(1);
  const Output one = run(sequences);
  omp_set_num_threads(2);
  const Output two = run(sequences);
  EXPECT_EQ(one.logits, two.logits);
  EXPECT_EQ(one.tap, two.tap);
}

TEST_F(Forward, CachedDecodeGivesTheBitsOfTheWholeForward) {
  const std::vector<int32_t> ids = some_tokens(80, 11, 8);
  const Output whole = run({ids});
  models::KvCache cache(memory, model.config(), model.config().layers, 80, 1);
  const std::vector<int64_t> capacity = {80};
  cache.assign(capacity);
  size_t logit = 0;
  size_t first = 0;
  for (const size_t piece : {60, 1, 1, 18}) {
    const Output part = run(
        {{ids.begin() + static_cast<long>(first), ids.begin() + static_cast<long>(first + piece)}}, &cache);
    for (const float value : part.logits) ASSERT_EQ(value, whole.logits[logit++]) << first;
    first += piece;
  }
  EXPECT_EQ(cache.length(0), 80);
}

TEST_F(Forward, StopsAfterTheLastTap) {
  const auto ids = some_tokens(10, 11, 1);
  const std::vector<int64_t> offsets = {0, 10};
  models::RunState state(memory, weights, {10, 1, 10});
  std::vector<float> values(240);
  const auto flops_of = [&](HookPoint hook) {
    const models::Tap tap{hook, {values.data(), {10, 24}}};
    const int64_t before = state.flops;
    (void)models::forward(weights, {.batch = {ids, offsets}, .taps = {&tap, 1}}, state, stream);
    return state.flops - before;
  };
  // Per token: q and o 24 x 24, k and v 24 x 12, gate, up and down 24 x 20; 55 pairs of query and key.
  const int64_t attention = 2 * 10 * (2 * 24 * 24 + 2 * 24 * 12) + 4 * 55 * 24;
  const int64_t mlp = 2 * 10 * 3 * 24 * 20;
  EXPECT_EQ(flops_of({0, HookSite::kResidPre}), 0);
  EXPECT_EQ(flops_of({0, HookSite::kAttnOut}), attention);
  EXPECT_EQ(flops_of({0, HookSite::kResidMid}), attention);
  EXPECT_EQ(flops_of({0, HookSite::kMlpOut}), attention + mlp);
  EXPECT_EQ(flops_of({1, HookSite::kResidPre}), attention + mlp);
  EXPECT_EQ(flops_of({2, HookSite::kResidPost}), 3 * (attention + mlp));
}

TEST_F(Forward, TapsOfOneForwardAddUp) {
  const auto ids = some_tokens(12, 11, 9);
  const std::vector<int64_t> offsets = {0, 12};
  models::RunState state(memory, weights, {12, 1, 12});
  std::vector<std::vector<float>> values(6, std::vector<float>(288));
  std::vector<models::Tap> taps;
  for (int site = 0; site < 5; ++site) {
    taps.push_back({{1, static_cast<HookSite>(site)}, {values[static_cast<size_t>(site)].data(), {12, 24}}});
  }
  taps.push_back({{2, HookSite::kResidPre}, {values[5].data(), {12, 24}}});
  (void)models::forward(weights, {.batch = {ids, offsets}, .taps = taps}, state, stream);
  for (size_t i = 0; i < 288; ++i) {
    EXPECT_EQ(values[0][i] + values[1][i], values[2][i]);
    EXPECT_EQ(values[2][i] + values[3][i], values[4][i]);
    EXPECT_EQ(values[4][i], values[5][i]);
  }
}

// Replaces the rows of one sequence and remembers what it was told.
class Replace : public ResidualEdit {
 public:
  explicit Replace(int32_t sequence) : sequence_(sequence) {}
  void apply(Matrix<float> residual, std::span<const int32_t> token_ids, std::span<const int32_t> positions,
             std::span<const int32_t> sequences) override {
    tokens.assign(token_ids.begin(), token_ids.end());
    at.assign(positions.begin(), positions.end());
    for (int64_t row = 0; row < residual.shape[0]; ++row) {
      if (sequences[static_cast<size_t>(row)] != sequence_) continue;
      for (int64_t i = 0; i < residual.shape[1]; ++i) residual.row(row)[i] = static_cast<float>(i) * 0.1f;
    }
  }
  std::vector<int32_t> tokens, at;

 private:
  int32_t sequence_;
};

TEST_F(Forward, AnEditChangesItsSequenceAndIsSeenByTheTap) {
  const std::vector<int32_t> ids = {1, 2, 3, 1, 2, 3, 4};
  const std::vector<int64_t> offsets = {0, 3, 7};
  Replace edit(1);
  std::vector<float> after(168), later_plain(168), later(168);
  models::RunState state(memory, weights, {7, 2, 7});
  const models::Tap plain[] = {{{2, HookSite::kResidPost}, {later_plain.data(), {7, 24}}}};
  (void)models::forward(weights, {.batch = {ids, offsets}, .taps = plain}, state, stream);
  const models::Tap taps[] = {{{0, HookSite::kResidPost}, {after.data(), {7, 24}}},
                              {{2, HookSite::kResidPost}, {later.data(), {7, 24}}}};
  const models::EditAt edits[] = {{{0, HookSite::kResidPost}, &edit}};
  (void)models::forward(weights, {.batch = {ids, offsets}, .taps = taps, .edits = edits}, state, stream);
  EXPECT_EQ(edit.tokens, ids);
  EXPECT_EQ(edit.at, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 3}));
  for (size_t i = 0; i < 72; ++i) EXPECT_EQ(later[i], later_plain[i]);
  for (size_t i = 72; i < 168; ++i) EXPECT_EQ(after[i], static_cast<float>(i % 24) * 0.1f);
  EXPECT_NE(std::vector(later.begin() + 72, later.end()),
            std::vector(later_plain.begin() + 72, later_plain.end()));
}

TEST_F(Forward, TellsEditsTheWholePositionsOfChildren) {
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6};
  const std::vector<int64_t> offsets = {0, 3, 4, 6};
  const std::vector<int64_t> parents = {-1, 0, 0};
  Replace edit(2);
  std::vector<float> after(144);
  models::RunState state(memory, weights, {6, 3, 5, 12});
  const models::Tap tap{{0, HookSite::kResidPost}, {after.data(), {6, 24}}};
  const models::EditAt at{{0, HookSite::kResidPost}, &edit};
  (void)models::forward(weights, {.batch = {ids, offsets, parents}, .taps = {&tap, 1}, .edits = {&at, 1}},
                        state, stream);
  EXPECT_EQ(edit.at, (std::vector<int32_t>{0, 1, 2, 3, 3, 4}));
  for (size_t i = 96; i < 144; ++i) EXPECT_EQ(after[i], static_cast<float>(i % 24) * 0.1f);
  EXPECT_NE(after[95], static_cast<float>(95 % 24) * 0.1f);
}

TEST_F(Forward, RefusesATokenOutsideTheVocabulary) {
  models::RunState state(memory, weights, {4, 1, 4});
  const std::vector<int32_t> ids = {1, 11};
  const std::vector<int64_t> offsets = {0, 2};
  try {
    (void)models::forward(weights, {.batch = {ids, offsets}}, state, stream);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("11"), std::string::npos);
  }
}

TEST(LoadWeights, LoadsOnlyWhatIsAskedFor) {
  const MemoryModel model(varied_config());
  Memory memory;
  Stream stream;
  const models::Weights part = models::load_weights(model, {.blocks = 2, .head = false}, memory, stream);
  EXPECT_EQ(part.blocks.size(), 2u);
  EXPECT_FALSE(part.has_head());
}

TEST(ForwardCost, IsWhatARunCounts) {
  const testing::MemoryModel model(testing::varied_config());
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(model, {.blocks = 2, .head = false}, memory, stream);
  models::RunState state(memory, weights, {9, 1, 9});
  const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<int64_t> offsets = {0, 9};
  std::vector<float> rows(9 * 24);
  const models::Tap tap{{1, models::HookSite::kResidPost}, {rows.data(), {9, 24}}};
  (void)models::forward(weights, {.batch = {ids, offsets}, .taps = {&tap, 1}}, state, stream);
  EXPECT_DOUBLE_EQ(9.0 * models::forward_flops_per_token(model.config(), 2, 9),
                   static_cast<double>(state.flops));
}

}  // namespace
}  // namespace orthant
