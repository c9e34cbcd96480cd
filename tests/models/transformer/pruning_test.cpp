#include "models/transformer/pruning.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <numeric>

#include "kernels/ref/pruning.h"
#include "models/sparsity/build_pruning.h"
#include "models/sparsity/weight_gains.h"
#include "models/transformer/forward.h"
#include "tests/support/reference_forward.h"

namespace orthant::models {
namespace {

using testing::MemoryModel;
using testing::ReferenceForward;
using testing::Rows;

constexpr int32_t kVocabulary = 11;

std::vector<int32_t> some_tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i)
    ids.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed) % kVocabulary));
  return ids;
}

Projection projection_of(const std::string& name) {
  for (int p = 0; p < kProjections; ++p) {
    const auto projection = static_cast<Projection>(p);
    if (name.ends_with("." + std::string(name_of(projection)) + "_proj")) return projection;
  }
  return Projection::kQuery;
}

// The formulas of activation_sparsity 3 and 4 for one projection of one sequence.
class PrunedReference {
 public:
  PrunedReference(const MemoryModel& model, PruningRecipe recipe, CalibratedCenters centers)
      : model_(model), recipe_(std::move(recipe)), centers_(std::move(centers)) {}

  [[nodiscard]] std::optional<Rows> projected(const std::string& name, const Rows& x) const {
    if (!name.ends_with("_proj")) return std::nullopt;
    const auto& weight = model_.at(name + ".weight");
    const int64_t inputs = weight.shape[1], outputs = weight.shape[0];
    const int64_t layer = std::stoll(name.substr(std::string("model.layers.").size()));
    std::vector<float> values = weight.values;
    const Matrix<const float> w{values.data(), {outputs, inputs}};
    const std::vector<float> gains = gains_of(w, x);
    Rows y;
    for (const auto& row : x) y.push_back(product(row, w, gains, layer, projection_of(name)));
    return y;
  }

 private:
  [[nodiscard]] std::vector<float> gains_of(Matrix<const float> w, const Rows& x) const {
    const size_t inputs = x[0].size();
    std::vector<float> gains(inputs, 1.0f);
    if (recipe_.method.criterion == Criterion::kAmber) return amber_gains(w);
    if (recipe_.method.criterion == Criterion::kWeightVariance) return weight_variances(w);
    for (size_t j = 0; j < inputs; ++j) {
      double squares = 0.0, peak = 0.0;
      for (const auto& row : x) {
        squares += row[j] * row[j];
        peak = std::max(peak, std::abs(row[j]));
      }
      if (recipe_.method.criterion == Criterion::kClact) gains[j] = static_cast<float>(std::sqrt(squares));
      if (recipe_.method.transform.scales_channels)
        gains[j] = static_cast<float>(std::sqrt(static_cast<double>(weight_peaks(w)[j]) / peak));
    }
    return gains;
  }
  [[nodiscard]] std::vector<double> product(const std::vector<double>& row, Matrix<const float> w,
                                            const std::vector<float>& gains, int64_t layer,
                                            Projection projection) const {
    const std::vector<float> narrow(row.begin(), row.end());
    const auto inputs = static_cast<int64_t>(row.size());
    const kernels::PrunePattern pattern = row_pattern(recipe_.pattern, inputs, "");
    const Transform& transform = recipe_.method.transform;
    const double fixed = transform.center == Transform::Center::kCalibrated
                             ? centers_[static_cast<size_t>(layer)][static_cast<size_t>(projection)]
                             : 0.0;
    const std::vector<float> given(row.size(), static_cast<float>(fixed));
    kernels::RowCenter center = kernels::RowCenter::kNone;
    if (transform.center == Transform::Center::kMedian) center = kernels::RowCenter::kMedian;
    if (transform.center == Transform::Center::kMean) center = kernels::RowCenter::kMean;
    if (transform.center == Transform::Center::kCalibrated) center = kernels::RowCenter::kGiven;
    const auto pruned = kernels::ref::pruned_row(narrow, pattern, gains, center, given);
    const double shift = pruned.center + fixed;
    const double factor = transform.restores_variance ? pruned.factor : 1.0;
    std::vector<double> y;
    for (int64_t o = 0; o < w.shape[0]; ++o) {
      double sum = 0.0, all = 0.0;
      for (int64_t j = 0; j < inputs; ++j) {
        sum += pruned.kept[static_cast<size_t>(j)] * w.row(o)[j];
        all += w.row(o)[j];
      }
      y.push_back(factor * sum + shift * all);
    }
    return y;
  }

  const MemoryModel& model_;
  PruningRecipe recipe_;
  CalibratedCenters centers_;
};

class PrunedForward : public ::testing::Test {
 protected:
  PrunedForward() : weights(load_weights(model, {}, memory, stream)) {}
  ~PrunedForward() override { omp_set_num_threads(threads_before); }

  [[nodiscard]] PruningRecipe recipe_of(const char* pattern, const char* criterion,
                                        const char* transform) const {
    PruningRecipe recipe{.pattern = parse_pattern(pattern),
                         .method = {parse_criterion(criterion), parse_transform(transform)}};
    for (int64_t layer = 0; layer < model.config().layers; ++layer) recipe.layers.push_back(layer);
    for (int p = 0; p < kProjections; ++p) recipe.projections.push_back(static_cast<Projection>(p));
    return recipe;
  }
  [[nodiscard]] CalibratedCenters some_centers() const {
    CalibratedCenters centers(static_cast<size_t>(model.config().layers));
    for (size_t layer = 0; layer < centers.size(); ++layer) {
      for (size_t p = 0; p < kProjections; ++p)
        centers[layer][p] = 0.05f * static_cast<float>(layer + 1) - 0.02f * static_cast<float>(p);
    }
    return centers;
  }
  // The logits of all rows of each sequence.
  std::vector<std::vector<float>> logits(const std::vector<std::vector<int32_t>>& sequences,
                                         const ModelPruning* pruning) {
    std::vector<int32_t> ids;
    std::vector<int64_t> offsets = {0};
    for (const auto& sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      offsets.push_back(static_cast<int64_t>(ids.size()));
    }
    const auto tokens = static_cast<int64_t>(ids.size());
    const RunLimits limits{tokens, static_cast<int64_t>(sequences.size()), 512};
    RunState state(memory, weights, limits);
    std::optional<PruningState> pruning_state;
    if (pruning != nullptr) pruning_state.emplace(memory, weights.config, limits, *pruning);
    std::vector<int64_t> rows(ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    const auto hidden = forward(weights,
                                {.batch = {ids, offsets},
                                 .logit_rows = rows,
                                 .pruning = pruning,
                                 .pruning_state = pruning_state ? &*pruning_state : nullptr},
                                state, stream);
    std::vector<float> all(static_cast<size_t>(tokens * kVocabulary));
    project_logits(weights, hidden, {all.data(), {tokens, kVocabulary}}, state, stream);
    std::vector<std::vector<float>> split;
    for (size_t s = 0; s < sequences.size(); ++s)
      split.emplace_back(all.begin() + offsets[s] * kVocabulary, all.begin() + offsets[s + 1] * kVocabulary);
    return split;
  }

  int threads_before = omp_get_max_threads();
  Memory memory;
  Stream stream;
  MemoryModel model{config_of()};
  Weights weights;

 private:
  static ModelConfig config_of() {
    ModelConfig config = testing::varied_config();
    config.d_mlp = 40;  // a multiple of all groups
    return config;
  }
};

struct Method {
  const char *pattern, *criterion, *transform;
};

void PrintTo(const Method& method, std::ostream* out) {
  *out << method.pattern << " " << method.criterion << " " << method.transform;
}

constexpr Method kRowMethods[] = {
    {"2:4", "magnitude", "none"},     {"4:8", "magnitude", "dpts"},     {"2:4", "magnitude", "dpts_mean"},
    {"2:4", "magnitude", "var"},      {"4:8", "magnitude", "dpts+var"}, {"2:4", "magnitude", "spts"},
    {"4:8", "magnitude", "spts+var"}, {"50%", "magnitude", "none"},     {"70%", "magnitude", "dpts"},
    {"2:4", "amber", "none"},         {"4:8", "amber", "dpts+var"},     {"2:4", "weight_variance", "none"}};
constexpr Method kSequenceMethods[] = {{"2:4", "clact", "none"},
                                       {"4:8", "clact", "dpts"},
                                       {"2:4", "clact", "var"},
                                       {"2:4", "magnitude", "pcs"},
                                       {"4:8", "magnitude", "pcs+var"}};

TEST_F(PrunedForward, MatchesTheFormulas) {
  const auto ids = some_tokens(40, 1);
  std::vector<Method> methods(std::begin(kRowMethods), std::end(kRowMethods));
  methods.insert(methods.end(), std::begin(kSequenceMethods), std::end(kSequenceMethods));
  for (const Method& method : methods) {
    const PruningRecipe recipe = recipe_of(method.pattern, method.criterion, method.transform);
    const ModelPruning pruning = build_pruning(recipe, model, some_centers(), memory, stream);
    const std::vector<float> found = logits({ids}, &pruning)[0];
    const PrunedReference reference(model, recipe, some_centers());
    ReferenceForward forward(model);
    forward.projected = [&](const std::string& name, const Rows& x) { return reference.projected(name, x); };
    std::vector<Rows> residual_post;
    const Rows expected = forward.logits(ids, residual_post);
    for (size_t t = 0; t < ids.size(); ++t) {
      for (size_t v = 0; v < kVocabulary; ++v)
        ASSERT_NEAR(found[t * kVocabulary + v], expected[t][v], 3e-4)
            << method.pattern << " " << method.criterion << " " << method.transform << " " << t;
    }
  }
}

TEST_F(PrunedForward, OfAllInputsHasTheBitsOfTheDenseOne) {
  const auto ids = some_tokens(30, 2);
  const auto dense = logits({ids}, nullptr);
  for (const char* criterion : {"magnitude", "amber", "clact"}) {
    for (const char* pattern : {"4:4", "8:8", "0%"}) {
      const ModelPruning pruning =
          build_pruning(recipe_of(pattern, criterion, "none"), model, {}, memory, stream);
      EXPECT_EQ(logits({ids}, &pruning), dense) << criterion << " " << pattern;
    }
  }
}

TEST_F(PrunedForward, GivesEachSequenceTheBitsItHasAlone) {
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(1, 2), some_tokens(150, 3),
                                                       some_tokens(17, 4), some_tokens(64, 5)};
  std::vector<Method> methods(std::begin(kRowMethods), std::end(kRowMethods));
  methods.insert(methods.end(), std::begin(kSequenceMethods), std::end(kSequenceMethods));
  methods.push_back({"50%", "clact", "none"});
  methods.push_back({"50%", "amber", "dpts"});
  for (const Method& method : methods) {
    const ModelPruning pruning = build_pruning(recipe_of(method.pattern, method.criterion, method.transform),
                                               model, some_centers(), memory, stream);
    for (const int threads : {1, 3}) {
      omp_set_num_threads(threads);
      const auto together = logits(sequences, &pruning);
      for (size_t s = 0; s < sequences.size(); ++s)
        EXPECT_EQ(together[s], logits({sequences[s]}, &pruning)[0])
            << method.criterion << " " << method.transform;
    }
  }
}

TEST_F(PrunedForward, StatisticsOfACallRunOverItsSequences) {
  PruningRecipe recipe = recipe_of("2:4", "clact", "none");
  const ModelPruning by_sequence = build_pruning(recipe, model, {}, memory, stream);
  recipe.scope = StatisticScope::kCall;
  const ModelPruning by_call = build_pruning(recipe, model, {}, memory, stream);
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(20, 3), some_tokens(31, 4)};
  EXPECT_EQ(logits({sequences[0]}, &by_call), logits({sequences[0]}, &by_sequence));
  const auto together = logits(sequences, &by_call);
  EXPECT_NE(together, logits(sequences, &by_sequence));
  EXPECT_EQ(together, logits(sequences, &by_call));
}

TEST_F(PrunedForward, LeavesOtherBlocksAndProjectionsAlone) {
  const auto ids = some_tokens(25, 6);
  PruningRecipe recipe = recipe_of("2:4", "magnitude", "none");
  recipe.layers = {1};
  recipe.projections = {Projection::kUp};
  const ModelPruning pruning = build_pruning(recipe, model, {}, memory, stream);
  const std::vector<float> found = logits({ids}, &pruning)[0];
  const PrunedReference reference(model, recipe, {});
  ReferenceForward forward(model);
  forward.projected = [&](const std::string& name, const Rows& x) -> std::optional<Rows> {
    if (name != "model.layers.1.mlp.up_proj") return std::nullopt;
    return reference.projected(name, x);
  };
  std::vector<Rows> residual_post;
  const Rows expected = forward.logits(ids, residual_post);
  for (size_t t = 0; t < ids.size(); ++t) {
    for (size_t v = 0; v < kVocabulary; ++v) ASSERT_NEAR(found[t * kVocabulary + v], expected[t][v], 2e-4);
  }
}

// Of a sequence of one token entries compete in one row, and the largest |x| times |x| are the largest |x|.
TEST_F(PrunedForward, OfTheEntriesOfOneRowHasTheBitsOfARowsShare) {
  const std::vector<int32_t> one = {7};
  for (const char* transform : {"none", "var"}) {
    const auto logits_of = [&](const char* criterion) {
      const ModelPruning pruning =
          build_pruning(recipe_of("50%", criterion, transform), model, {}, memory, stream);
      return logits({one}, &pruning)[0];
    };
    EXPECT_EQ(logits_of("clact"), logits_of("magnitude")) << transform;
  }
  const ModelPruning all = build_pruning(recipe_of("0%", "clact", "var"), model, {}, memory, stream);
  const std::vector<std::vector<int32_t>> sequences = {some_tokens(20, 3), one};
  EXPECT_EQ(logits(sequences, &all), logits(sequences, nullptr));
}

// With B the identity and A = W the low-rank product gives back what pruning took.
class PrunedForwardWithARest : public PrunedForward, public ::testing::WithParamInterface<Method> {};

TEST_P(PrunedForwardWithARest, AddsTheLowRankProductOfWhatWasPruned) {
  const auto ids = some_tokens(25, 6);
  const Method method = GetParam();
  ModelPruning pruning =
      build_pruning(recipe_of(method.pattern, method.criterion, method.transform), model, {}, memory, stream);
  for (int64_t layer = 0; layer < model.config().layers; ++layer) {
    for (int p = 0; p < kProjections; ++p) {
      Memory host;
      const auto projection = static_cast<Projection>(p);
      const Tensor<float, 2> w = read_projection(model, layer, projection, host);
      const ProjectionShape shape = shape_of(model.config(), projection);
      Tensor<float, 2> identity(host, "test", {shape.inputs, shape.inputs});
      identity.zero();
      for (int64_t j = 0; j < shape.inputs; ++j) identity.view().row(j)[j] = 1.0f;
      OutputMending& mending = pruning.blocks[static_cast<size_t>(layer)][static_cast<size_t>(p)].mending;
      mending.low_rank_in = {memory, "test", shape.inputs, shape.inputs};
      mending.low_rank_in.pack(identity.view(), stream);
      mending.low_rank_out = {memory, "test", shape.outputs, shape.inputs};
      mending.low_rank_out.pack(w.view(), stream);
    }
  }
  const auto dense = logits({ids}, nullptr)[0], found = logits({ids}, &pruning)[0];
  for (size_t i = 0; i < dense.size(); ++i) ASSERT_NEAR(found[i], dense[i], 1e-4) << i;
}

INSTANTIATE_TEST_SUITE_P(Methods, PrunedForwardWithARest,
                         ::testing::Values(Method{"2:4", "magnitude", "none"}, Method{"2:4", "clact", "none"},
                                           Method{"2:4", "amber", "none"}, Method{"50%", "clact", "none"},
                                           Method{"50%", "amber", "none"}),
                         [](const auto& given) {
                           return std::string(given.param.pattern[0] == '2' ? "groups_" : "share_") +
                                  given.param.criterion;
                         });

TEST_F(PrunedForward, ContinuesFromTheRowsOfABlock) {
  const auto ids = some_tokens(25, 7);
  const int64_t offsets[] = {0, 25}, width = model.config().d_model;
  const RunLimits limits{25, 1, 64};
  RunState state(memory, weights, limits);
  std::vector<float> before(static_cast<size_t>(25 * width)), whole(before.size()), continued(before.size());
  const Tap taps[] = {{{0, HookSite::kResidPost}, {before.data(), {25, width}}},
                      {{1, HookSite::kResidPost}, {whole.data(), {25, width}}}};
  (void)forward(weights, {.batch = {ids, offsets}, .taps = taps}, state, stream);
  const Tap tap{{1, HookSite::kResidPost}, {continued.data(), {25, width}}};
  (void)forward(weights,
                {.batch = {ids, offsets},
                 .taps = {&tap, 1},
                 .residual = {before.data(), {25, width}},
                 .first_block = 1},
                state, stream);
  EXPECT_EQ(continued, whole);
}

TEST_F(PrunedForward, ShowsTheInputsOfProjections) {
  const auto ids = some_tokens(9, 8);
  const int64_t offsets[] = {0, 9}, last = 8;
  const RunLimits limits{9, 1, 64};
  RunState state(memory, weights, limits);
  PruningState pruning_state(memory, weights.config, limits, true);
  std::vector<std::pair<int64_t, Projection>> seen;
  const ProjectionInputs inputs = [&](int64_t layer, Projection projection, Matrix<const float> x) {
    seen.emplace_back(layer, projection);
    EXPECT_EQ(x.shape[0], 9);
    EXPECT_EQ(x.shape[1], shape_of(weights.config, projection).inputs);
  };
  const auto hidden = forward(
      weights,
      {.batch = {ids, offsets}, .logit_rows = {&last, 1}, .pruning_state = &pruning_state, .inputs = &inputs},
      state, stream);
  std::vector<float> shown(hidden.data, hidden.data + hidden.elements());
  std::vector<std::pair<int64_t, Projection>> expected;
  for (int64_t layer = 0; layer < 3; ++layer) {
    for (const Projection p : {Projection::kQuery, Projection::kOutput, Projection::kGate, Projection::kDown})
      expected.emplace_back(layer, p);
  }
  EXPECT_EQ(seen, expected);
  const auto plain = forward(weights, {.batch = {ids, offsets}, .logit_rows = {&last, 1}}, state, stream);
  EXPECT_EQ(shown, std::vector<float>(plain.data, plain.data + plain.elements()));
}

}  // namespace
}  // namespace orthant::models
