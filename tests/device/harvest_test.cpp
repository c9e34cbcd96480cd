// Activations of a model on the device, written to a store or read live: the rows of the CPU.
#include "models/transformer/harvest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "models/transformer/live_source.h"
#include "runtime/comm/world.h"
#include "tests/device/device.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/memory_model.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using testing::MemoryModel;

// As of taps (forward_test.cpp).
constexpr float kClose = 1e-4f;
constexpr HookPoint kHook{1, HookSite::kResidPost};

class ActivationsOnDevice : public testing::DeviceTest {
 protected:
  ActivationsOnDevice() {
    std::string content;
    for (int i = 0; i < 200; ++i)
      content += (i % 17 == 16) ? "\n\n" : std::string(1, static_cast<char>('a' + i * i % 8));
    std::ofstream(dir.file("text.txt")) << content;
  }
  [[nodiscard]] models::TokenRows text() const {
    return {{.path = dir.file("text.txt"), .field = "", .split = models::TextSplit::kParagraph},
            {.context = 7},
            &tokenizer};
  }
  [[nodiscard]] std::vector<models::HarvestTarget> targets(const std::string& name) const {
    std::vector<models::HarvestTarget> all;
    for (const HookPoint hook : {kHook, HookPoint{0, HookSite::kMlpOut}}) {
      all.push_back({hook,
                     (dir.path() / name / to_string(hook)).string(),
                     {.rows = text().tokens(), .d_model = 24, .dtype = Dtype::kF32, .provenance = {}}});
    }
    return all;
  }
  // The rows of both stores, one after the other.
  [[nodiscard]] std::vector<float> harvested(const std::string& name, Device device) const {
    World world = make_self_world();
    Memory host, memory(device);
    Stream stream(device);
    const auto weights = models::load_weights(model, {.blocks = 2, .head = false}, memory, stream);
    const models::HarvestOptions options{.progress = [](int64_t, int64_t) {},
                                         .stop = [] { return false; },
                                         .publish_seconds = 0,
                                         .forward_tokens = 20};
    (void)models::harvest(weights, text(), targets(name), options, *world.control, host, memory, stream);
    std::vector<float> values;
    for (const auto& target : targets(name)) {
      StoreReader reader(target.path);
      std::vector<float> rows(static_cast<size_t>(reader.rows() * 24));
      reader.read(0, {rows.data(), {reader.rows(), 24}}, nullptr);
      values.insert(values.end(), rows.begin(), rows.end());
    }
    return values;
  }
  [[nodiscard]] std::unique_ptr<models::LiveSource> live(Device device) const {
    Memory host, memory(device);
    Stream stream(device);
    models::LanguageModel loaded{models::load_weights(model, {.blocks = 2, .head = false}, memory, stream),
                                 std::make_unique<testing::LetterTokenizer>(), "memory", "memory"};
    models::LiveSourceOptions options{.filter = {}, .shuffle = true, .seed = 3, .window_rows = 100};
    options.filter = {.token_ids = {}, .positions = {0}, .norm_ratio = 4.0, .holdout = 0.2};
    return std::make_unique<models::LiveSource>(std::move(loaded), text(), kHook, options, host, memory);
  }

  testing::TempDir dir;
  testing::LetterTokenizer tokenizer;
  MemoryModel model{testing::varied_config()};
};

TEST_F(ActivationsOnDevice, StoresHoldTheRowsOfTheCpu) {
  const std::vector<float> expected = harvested("cpu", kCpu), found = harvested("device", testing::device());
  ASSERT_EQ(found.size(), static_cast<size_t>(text().tokens() * 24 * 2));
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], kClose) << i;
}

TEST_F(ActivationsOnDevice, ALiveSourceGivesTheRowsOfTheCpuOnTheHost) {
  const auto expected = live(kCpu), found = live(testing::device());
  for (const Split split : {Split::kTrain, Split::kHoldout}) {
    const int64_t rows = expected->rows(split);
    ASSERT_GT(rows, 0);
    ASSERT_EQ(found->rows(split), rows);
    std::vector<float> a(static_cast<size_t>(rows * 24)), b(a.size());
    RowLabels a_labels, b_labels;
    expected->read(split, 0, {a.data(), {rows, 24}}, &a_labels);
    found->read(split, 0, {b.data(), {rows, 24}}, &b_labels);
    EXPECT_EQ(a_labels.token_ids, b_labels.token_ids);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(b[i], a[i], kClose) << i;
  }
}

TEST_F(ActivationsOnDevice, AHarvestTakesTheMemoryThatIsCounted) {
  const std::vector<HookPoint> hooks = {kHook};
  Memory counted = Memory::counting(testing::device()), counted_host = Memory::counting();
  models::count_harvest(model, hooks, 7, Dtype::kF32, kernels::Precision::kF32, counted_host, counted);
  Memory memory(testing::device());
  Stream stream(testing::device());
  const auto weights = models::load_weights(model, models::blocks_needed(hooks), memory, stream);
  const models::RunState state(memory, weights, {4096, 4096, 7});
  const Tensor<float, 2> taps(memory, "taps", {4096, 24});
  EXPECT_EQ(counted.allocated_bytes(), memory.allocated_bytes());
  EXPECT_GT(counted_host.allocated_bytes(), 0);
}

}  // namespace
}  // namespace orthant
