#include "models/transformer/forward.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/device/device.h"
#include "tests/support/memory_model.h"

namespace orthant {
namespace {

using kernels::Precision;
using models::HookPoint;
using models::HookSite;
using testing::MemoryModel;

// Norms and attention sum in another order than on the CPU. Activations are of order one and a block changes
// them by factors of order ten at most, so three blocks make less of 1e-6 than this.
constexpr double kClose = 1e-4;

using Sequences = std::vector<std::vector<int32_t>>;

std::vector<int32_t> some_tokens(int64_t count, int32_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((i * i * 7 + i * 3 + seed) % 11));
  return ids;
}

struct Batch {
  explicit Batch(const Sequences& sequences) {
    for (const auto& sequence : sequences) {
      ids.insert(ids.end(), sequence.begin(), sequence.end());
      offsets.push_back(static_cast<int64_t>(ids.size()));
    }
  }
  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  [[nodiscard]] models::RunLimits limits() const {
    return {tokens(), static_cast<int64_t>(offsets.size()) - 1, 512};
  }
  std::vector<int32_t> ids;
  std::vector<int64_t> offsets = {0};
};

// A model in the memory of a device, or of the CPU.
struct LoadedModel {
  LoadedModel(const MemoryModel& file, Device device, Precision precision = Precision::kF32)
      : memory(device), stream(device), weights(models::load_weights(file, {}, memory, stream, precision)) {}

  struct Wanted {
    std::vector<HookPoint> hooks = {};
    ResidualEdit* edit = nullptr;  // at layer 0, after the block
    models::KvCache* cache = nullptr;
  };
  struct Output {
    std::vector<float> logits;             // [tokens, vocabulary]
    std::vector<std::vector<float>> taps;  // of each hook, [tokens, d_model]
  };
  Output run(const Batch& batch, const Wanted& wanted) {
    models::RunState state(memory, weights, batch.limits());
    std::vector<Tensor<float, 2>> tapped;
    std::vector<models::Tap> taps;
    for (const HookPoint hook : wanted.hooks) {
      tapped.emplace_back(memory, "taps", std::array<int64_t, 2>{batch.tokens(), weights.config.d_model});
      taps.push_back({hook, tapped.back().view()});
    }
    const models::EditAt edit{{0, HookSite::kResidPost}, wanted.edit};
    const std::span<const models::EditAt> edits{&edit, wanted.edit == nullptr ? 0u : 1u};
    std::vector<int64_t> rows(batch.ids.size());
    std::iota(rows.begin(), rows.end(), 0);
    const auto hidden = models::forward(weights,
                                        {.batch = {batch.ids, batch.offsets},
                                         .taps = taps,
                                         .edits = edits,
                                         .logit_rows = rows,
                                         .cache = wanted.cache},
                                        state, stream);
    Tensor<float, 2> logits(memory, "logits", {batch.tokens(), weights.config.vocabulary});
    models::project_logits(weights, hidden, logits.view(), state, stream);
    Output output{testing::on_host(logits.view()), {}};
    for (Tensor<float, 2>& tap : tapped) output.taps.push_back(testing::on_host(tap.view()));
    return output;
  }

  Memory memory;
  Stream stream;
  models::Weights weights;
};

void expect_close(const std::vector<float>& found, const std::vector<float>& expected, double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << i;
}

const Sequences kUnequal = {some_tokens(1, 2), some_tokens(70, 3), some_tokens(17, 4)};

using ForwardOnDevice = testing::DeviceTest;

TEST_F(ForwardOnDevice, LogitsAreThoseOfTheCpuWithBiasesAndAnUntiedHead) {
  const MemoryModel file(testing::varied_config());
  const auto expected = LoadedModel(file, kCpu).run(Batch(kUnequal), {});
  const auto found = LoadedModel(file, testing::device()).run(Batch(kUnequal), {});
  expect_close(found.logits, expected.logits, kClose);
}

TEST_F(ForwardOnDevice, LogitsAreThoseOfTheCpuWithATiedHead) {
  const MemoryModel file(testing::tiny_config());
  const Batch batch({some_tokens(15, 1), some_tokens(3, 5)});
  const auto expected = LoadedModel(file, kCpu).run(batch, {});
  expect_close(LoadedModel(file, testing::device()).run(batch, {}).logits, expected.logits, kClose);
}

TEST_F(ForwardOnDevice, EveryHookGivesTheRowsOfTheCpu) {
  const MemoryModel file(testing::varied_config());
  std::vector<HookPoint> hooks;
  for (int64_t layer = 0; layer < 3; ++layer) {
    for (int site = 0; site < 5; ++site) hooks.push_back({layer, static_cast<HookSite>(site)});
  }
  const auto expected = LoadedModel(file, kCpu).run(Batch(kUnequal), {.hooks = hooks});
  const auto found = LoadedModel(file, testing::device()).run(Batch(kUnequal), {.hooks = hooks});
  for (size_t i = 0; i < hooks.size(); ++i) {
    SCOPED_TRACE(to_string(hooks[i]));
    expect_close(found.taps[i], expected.taps[i], kClose);
  }
  EXPECT_EQ(found.taps[0], expected.taps[0]) << "the embedding is copied";
}

TEST_F(ForwardOnDevice, TwoRunsHaveTheSameBits) {
  const MemoryModel file(testing::varied_config());
  LoadedModel model(file, testing::device());
  EXPECT_EQ(model.run(Batch(kUnequal), {}).logits, model.run(Batch(kUnequal), {}).logits);
}

// Replaces the rows of sequence 1 and remembers what it was told.
class Replace : public ResidualEdit {
 public:
  void apply(Matrix<float> residual, std::span<const int32_t> token_ids, std::span<const int32_t> positions,
             std::span<const int32_t> sequences) override {
    tokens.assign(token_ids.begin(), token_ids.end());
    at.assign(positions.begin(), positions.end());
    device = residual.device;
    std::vector<float> values = testing::on_host(residual);
    for (size_t i = 0; i < values.size(); ++i) {
      if (sequences[i / 24] == 1) values[i] = 0.5f * values[i] + static_cast<float>(i % 24) * 0.1f;
    }
    copy_bytes(residual.data, residual.device, values.data(), kCpu, residual.bytes());
  }
  std::vector<int32_t> tokens, at;
  Device device;
};

TEST_F(ForwardOnDevice, AnEditSeesAndChangesTheRowsOnTheDevice) {
  const MemoryModel file(testing::varied_config());
  const Batch batch({{1, 2, 3}, {1, 2, 3, 4}});
  const std::vector<HookPoint> hooks = {{0, HookSite::kResidPost}, {2, HookSite::kResidPost}};
  Replace on_cpu, on_device;
  LoadedModel cpu(file, kCpu), model(file, testing::device());
  const auto expected = cpu.run(batch, {.hooks = hooks, .edit = &on_cpu});
  const auto found = model.run(batch, {.hooks = hooks, .edit = &on_device});
  const auto plain = model.run(batch, {.hooks = hooks});
  EXPECT_EQ(on_device.device, testing::device());
  EXPECT_EQ(on_device.tokens, batch.ids);
  EXPECT_EQ(on_device.at, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 3}));
  for (size_t i = 0; i < hooks.size(); ++i) {
    expect_close(found.taps[i], expected.taps[i], kClose);
    const auto second = std::ptrdiff_t{3 * 24};
    EXPECT_TRUE(std::equal(found.taps[i].begin(), found.taps[i].begin() + second, plain.taps[i].begin()));
    EXPECT_FALSE(
        std::equal(found.taps[i].begin() + second, found.taps[i].end(), plain.taps[i].begin() + second));
  }
}

TEST_F(ForwardOnDevice, CachedPiecesGiveTheLogitsOfTheWhole) {
  const MemoryModel file(testing::varied_config());
  LoadedModel model(file, testing::device());
  const std::vector<int32_t> ids = some_tokens(50, 8);
  const auto whole = model.run(Batch({ids}), {});
  models::KvCache cache(model.memory, model.weights.config, model.weights.config.layers, 50, 1);
  const std::vector<int64_t> capacity = {50};
  cache.assign(capacity);
  std::vector<float> logits;
  auto next = ids.begin();
  for (const int piece : {37, 1, 1, 11}) {
    const Sequences part_of_ids = {std::vector<int32_t>(next, next + piece)};
    const auto part = model.run(Batch(part_of_ids), {.cache = &cache});
    logits.insert(logits.end(), part.logits.begin(), part.logits.end());
    next += piece;
  }
  expect_close(logits, whole.logits, kClose);
  EXPECT_EQ(cache.length(0), 50);
}

TEST_F(ForwardOnDevice, RoundsOperandsToThePrecisionOfTheWeights) {
  const MemoryModel file(testing::varied_config());
  const Batch batch({some_tokens(20, 3)});
  const auto exact = LoadedModel(file, testing::device()).run(batch, {});
  const auto expected = LoadedModel(file, kCpu, Precision::kBF16).run(batch, {});
  const auto rounded = LoadedModel(file, testing::device(), Precision::kBF16).run(batch, {});
  const auto cut = LoadedModel(file, testing::device(), Precision::kTF32).run(batch, {});
  // Where the CPU rounds a value up and the device rounds its neighbour down, they differ by a unit of bf16,
  // 1 part in 256; logits sum 24 products of such values.
  expect_close(rounded.logits, expected.logits, 0.1);
  expect_close(cut.logits, exact.logits, 0.02);
  EXPECT_NE(rounded.logits, exact.logits);
  EXPECT_NE(cut.logits, exact.logits);
}

TEST_F(ForwardOnDevice, RefusesATokenOutsideTheVocabulary) {
  const MemoryModel file(testing::varied_config());
  LoadedModel model(file, testing::device());
  EXPECT_THROW(model.run(Batch(Sequences{{1, 11}}), {}), Error);
}

TEST_F(ForwardOnDevice, WeightsTakeTheMemoryThatIsCounted) {
  const MemoryModel file(testing::varied_config());
  for (const Precision precision : {Precision::kF32, Precision::kBF16}) {
    Memory counted = Memory::counting(testing::device());
    Memory memory(testing::device());
    Stream nothing;
    Stream stream(testing::device());
    (void)models::load_weights(file, {}, counted, nothing, precision);
    (void)models::load_weights(file, {}, memory, stream, precision);
    EXPECT_EQ(counted.allocated_bytes(), memory.allocated_bytes());
    EXPECT_GT(counted.allocated_bytes(), 0);
  }
}

}  // namespace
}  // namespace orthant
