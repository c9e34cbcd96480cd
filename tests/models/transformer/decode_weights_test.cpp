#include "models/transformer/decode_weights.h"

#include <gtest/gtest.h>

#include "models/sparsity/build_pruning.h"
#include "models/tasks/generation.h"
#include "tests/support/memory_model.h"
#include "tests/support/test_model.h"

namespace orthant {
namespace {

using kernels::WeightFormat;
using models::Projection;
using testing::MemoryModel;

// The model whose projections have the values that they keep in a format.
class StoredModel : public MemoryModel {
 public:
  StoredModel(const models::ModelConfig& config, WeightFormat format)
      : MemoryModel(config), format_(format) {}
  void read(std::string_view name, std::span<float> into) const override {
    MemoryModel::read(name, into);
    if (!name.ends_with("_proj.weight")) return;
    const std::vector<int64_t> shape = this->shape(name);
    Memory memory;
    Stream stream;
    kernels::InputMajorWeights packed(memory, "weights", shape[0], shape[1], format_);
    packed.pack({into.data(), {shape[0], shape[1]}}, stream);
    packed.unpack({into.data(), {shape[0], shape[1]}});
  }

 private:
  WeightFormat format_;
};

// All projections by magnitude.
models::ModelPruning pruned(const models::ModelFile& file, std::string_view pattern) {
  models::PruningRecipe recipe{.pattern = models::parse_pattern(pattern)};
  for (int64_t layer = 0; layer < file.config().layers; ++layer) recipe.layers.push_back(layer);
  for (int p = 0; p < models::kProjections; ++p) recipe.projections.push_back(static_cast<Projection>(p));
  Memory memory;
  Stream stream;
  return models::build_pruning(recipe, file, {}, memory, stream);
}

class DecodeWeightsTest : public ::testing::Test {
 protected:
  // The final hidden state of one token, from decode weights where they are given.
  std::vector<float> hidden_of(const models::Weights& weights, const models::ModelPruning* pruning,
                               const models::DecodeWeights* decode_weights) {
    const models::RunLimits limits{.tokens = 1, .sequences = 1, .positions = 8};
    models::RunState state(memory, weights, limits);
    models::PruningState pruning_state(memory, weights.config, limits, false);
    models::DecodeState decode_state(memory, weights.config);
    const std::vector<int32_t> ids = {7};
    const std::vector<int64_t> offsets = {0, 1}, rows = {0};
    const auto hidden = models::forward(weights,
                                        {.batch = {ids, offsets},
                                         .logit_rows = rows,
                                         .pruning = pruning,
                                         .pruning_state = &pruning_state,
                                         .decode_weights = decode_weights,
                                         .decode_state = &decode_state},
                                        state, stream);
    return {hidden.data, hidden.data + hidden.elements()};
  }
  Memory memory;
  Stream stream;
  const models::ModelConfig config = testing::varied_config();
};

TEST_F(DecodeWeightsTest, GiveTheBitsOfMaskedDenseProducts) {
  const MemoryModel model(config);
  const auto weights = models::load_weights(model, {}, memory, stream);
  const auto decode = models::load_decode_weights(model, WeightFormat::kF32, memory, stream);
  const auto dense = hidden_of(weights, nullptr, nullptr);
  EXPECT_EQ(hidden_of(weights, nullptr, &decode), dense);
  for (const std::string_view pattern : {"2:4", "1:2", "4:4", "55%", "0:4"}) {
    const auto pruning = pruned(model, pattern);
    const auto masked = hidden_of(weights, &pruning, nullptr);
    EXPECT_EQ(hidden_of(weights, &pruning, &decode), masked) << pattern;
    EXPECT_EQ(masked == dense, pattern == "4:4");
  }
}

TEST_F(DecodeWeightsTest, HaveTheValuesOfTheirFormat) {
  const MemoryModel model(config);
  const auto pruning = pruned(model, "2:4");
  const auto exact = models::load_weights(model, {}, memory, stream);
  for (const WeightFormat format : {WeightFormat::kBF16, WeightFormat::kQ8}) {
    const auto stored = models::load_weights(StoredModel(config, format), {}, memory, stream);
    const auto decode = models::load_decode_weights(model, format, memory, stream);
    EXPECT_EQ(hidden_of(exact, &pruning, &decode), hidden_of(stored, &pruning, nullptr)) << name_of(format);
  }
}

TEST_F(DecodeWeightsTest, ArePrunedProjectionByProjection) {
  const MemoryModel model(config);
  const auto weights = models::load_weights(model, {}, memory, stream);
  const auto decode = models::load_decode_weights(model, WeightFormat::kF32, memory, stream);
  for (int p = 0; p < models::kProjections; ++p) {
    auto pruning = pruned(model, "1:2");
    for (auto& block : pruning.blocks) block[static_cast<size_t>(p)].selection = nullptr;
    EXPECT_EQ(hidden_of(weights, &pruning, &decode), hidden_of(weights, &pruning, nullptr))
        << "without " << name_of(static_cast<Projection>(p));
  }
}

TEST_F(DecodeWeightsTest, GenerateTheTokensOfMaskedDenseProducts) {
  const MemoryModel model(config);
  const auto weights = models::load_weights(model, {}, memory, stream);
  const auto decode = models::load_decode_weights(model, WeightFormat::kF32, memory, stream);
  const auto pruning = pruned(model, "2:4");
  const auto generated = [&](const models::DecodeWeights* decode_weights, Stopwatch* watch) {
    const std::vector<std::vector<int32_t>> prompts = {{1, 2, 3, 4, 5}};
    return models::generate(weights, prompts,
                            {.max_new_tokens = 60,
                             .temperature = 1.0,
                             .pruning = &pruning,
                             .decode_weights = decode_weights,
                             .decoding = watch},
                            memory, stream)[0];
  };
  Stopwatch watch;
  EXPECT_EQ(generated(&decode, &watch), generated(nullptr, nullptr));
  EXPECT_GT(watch.seconds(), 0.0);
}

TEST_F(DecodeWeightsTest, TakeWhatAPlanCounts) {
  const MemoryModel model(config);
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8}) {
    Memory counting = Memory::counting(), real;
    const auto counted = models::load_decode_weights(model, format, counting, stream);
    const auto loaded = models::load_decode_weights(model, format, real, stream);
    EXPECT_EQ(counted.bytes(), loaded.bytes());
    EXPECT_EQ(counting.allocated_bytes(), real.allocated_bytes());
    EXPECT_GT(loaded.bytes(), 0);
  }
}

TEST_F(DecodeWeightsTest, RefuseWhatTheyCannotMend) {
  const MemoryModel model(config);
  const auto weights = models::load_weights(model, {}, memory, stream);
  const auto decode = models::load_decode_weights(model, WeightFormat::kF32, memory, stream);
  auto pruning = pruned(model, "2:4");
  const auto centred = std::make_shared<models::InputSelection>();
  centred->pattern = {2, 4};
  centred->center = kernels::RowCenter::kMedian;
  pruning.blocks[1][0].selection = centred;
  EXPECT_THROW((void)hidden_of(weights, &pruning, &decode), Error);
}

TEST_F(DecodeWeightsTest, GenerateTheTokensOfMaskedDenseProductsOfARealModel) {
  ORTHANT_NEEDS_TEST_MODEL();
  const auto file = models::open_model_file(testing::test_model());
  const auto weights = models::load_weights(*file, {}, memory, stream);
  const auto decode = models::load_decode_weights(*file, WeightFormat::kF32, memory, stream);
  const auto pruning = pruned(*file, "8:16");
  const auto generated = [&](const models::DecodeWeights* decode_weights) {
    const std::vector<std::vector<int32_t>> prompts = {{504, 3575, 282, 4649, 314}};
    return models::generate(weights, prompts,
                            {.max_new_tokens = 24, .pruning = &pruning, .decode_weights = decode_weights},
                            memory, stream)[0];
  };
  EXPECT_EQ(generated(&decode), generated(nullptr));
}

}  // namespace
}  // namespace orthant
