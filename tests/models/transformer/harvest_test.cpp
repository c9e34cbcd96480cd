#include "models/transformer/harvest.h"

#include <gtest/gtest.h>

#include <fstream>

#include "runtime/comm/world.h"
#include "tests/support/letter_tokenizer.h"
#include "tests/support/memory_model.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::HookPoint;
using models::HookSite;
using testing::MemoryModel;

class Harvest : public ::testing::Test {
 protected:
  Harvest() {
    std::string content;
    for (int i = 0; i < 400; ++i)
      content += (i % 17 == 16) ? "\n\n" : std::string(1, static_cast<char>('a' + i * i % 8));
    std::ofstream(dir.file("text.txt")) << content;
    text.emplace(
        models::TextSource{.path = dir.file("text.txt"), .field = "", .split = models::TextSplit::kParagraph},
        models::RowOptions{.context = 7}, &tokenizer);
  }
  [[nodiscard]] std::vector<models::HarvestTarget> targets(const std::string& name) const {
    std::vector<models::HarvestTarget> all;
    for (const HookPoint hook : {HookPoint{1, HookSite::kResidPost}, HookPoint{0, HookSite::kMlpOut}}) {
      all.push_back({hook,
                     (dir.path() / name / to_string(hook)).string(),
                     {.rows = text->tokens(),
                      .d_model = 24,
                      .dtype = Dtype::kF32,
                      .provenance = {{"hook", to_string(hook)}}}});
    }
    return all;
  }
  // Harvests on `ranks` thread ranks; stops when a rank was asked `rounds` times.
  models::HarvestOutcome run(const std::string& name, int ranks, int rounds = 1 << 20) const {
    models::HarvestOutcome outcome;
    run_thread_ranks(ranks, [&](World world) {
      Memory memory;
      Stream stream;
      const models::Weights weights =
          models::load_weights(model, {.blocks = 2, .head = false}, memory, stream);
      int asked = 0;
      const models::HarvestOptions options{.progress = [](int64_t, int64_t) {},
                                           .stop = [&] { return ++asked > rounds; },
                                           .publish_seconds = 0,
                                           .forward_tokens = 20};
      const auto mine =
          models::harvest(weights, *text, targets(name), options, *world.control, memory, memory, stream);
      if (world.rank() == 0) outcome = mine;
    });
    return outcome;
  }

  testing::TempDir dir;
  testing::LetterTokenizer tokenizer;
  std::optional<models::TokenRows> text;
  MemoryModel model{testing::varied_config()};
};

TEST_F(Harvest, StoresWhatTheForwardGives) {
  const auto outcome = run("one", 1);
  ASSERT_FALSE(outcome.stopped);
  EXPECT_EQ(outcome.tokens_run, text->tokens());
  Memory memory;
  Stream stream;
  const models::Weights weights = models::load_weights(model, {}, memory, stream);
  models::RunState state(memory, weights, {7, 1, 7});
  for (const auto& target : targets("one")) {
    StoreReader reader(target.path);
    ASSERT_EQ(reader.rows(), text->tokens());
    std::vector<float> stored(static_cast<size_t>(reader.rows() * 24));
    RowLabels labels;
    reader.read(0, {stored.data(), {reader.rows(), 24}}, &labels);
    for (int64_t row = 0; row < text->rows(); ++row) {
      const auto ids = text->row(row);
      const std::vector<int64_t> offsets = {0, static_cast<int64_t>(ids.size())};
      std::vector<float> expected(ids.size() * 24);
      const models::Tap tap{target.hook, {expected.data(), {static_cast<int64_t>(ids.size()), 24}}};
      (void)models::forward(weights, {.batch = {ids, offsets}, .taps = {&tap, 1}}, state, stream);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(stored[static_cast<size_t>(text->first_token(row) * 24) + i], expected[i]);
      }
      for (size_t i = 0; i < ids.size(); ++i) {
        const auto token = static_cast<size_t>(text->first_token(row)) + i;
        EXPECT_EQ(labels.token_ids[token], ids[i]);
        EXPECT_EQ(labels.positions[token], static_cast<int32_t>(i));
        EXPECT_EQ(labels.documents[token], text->document_of(static_cast<int64_t>(token)));
      }
    }
  }
}

TEST_F(Harvest, GivesTheSameStoresOnAnyNumberOfRanks) {
  const auto alone = run("alone", 1);
  for (const int ranks : {2, 3}) {
    EXPECT_EQ(run("ranks" + std::to_string(ranks), ranks).content_hashes, alone.content_hashes) << ranks;
  }
}

TEST_F(Harvest, ContinuesWhereItWasStoppedAndMakesOnlyWhatIsMissing) {
  const auto whole = run("whole", 1);
  const auto stopped = run("broken", 3, 0);
  ASSERT_TRUE(stopped.stopped);
  EXPECT_TRUE(stopped.content_hashes.empty());
  EXPECT_LT(stopped.tokens_run, text->tokens());
  EXPECT_EQ(run("resumed", 2, 1).stopped, true);
  const auto resumed = run("resumed", 3);
  EXPECT_EQ(resumed.content_hashes, whole.content_hashes);
  EXPECT_LT(resumed.tokens_run, text->tokens());
  // One of the two stores is lost.
  const std::string lost = targets("broken")[1].path;
  std::filesystem::remove_all(lost);
  const auto continued = run("broken", 2);
  EXPECT_EQ(continued.content_hashes, whole.content_hashes);
  EXPECT_EQ(run("broken", 1).content_hashes, whole.content_hashes);
  EXPECT_EQ(run("broken", 1).tokens_run, 0);
}

// A text with more tokens than one forward takes, in rows of full length.
TEST_F(Harvest, CountsWhatItAllocates) {
  std::ofstream(dir.file("long.txt")) << std::string(5000, 'b');
  const models::TokenRows rows({.path = dir.file("long.txt"), .field = "", .split = models::TextSplit::kFile},
                               {.context = 7}, &tokenizer);
  std::vector<models::HarvestTarget> stores = targets("long");
  std::vector<HookPoint> hooks;
  for (models::HarvestTarget& store : stores) {
    store.description.rows = rows.tokens();
    hooks.push_back(store.hook);
  }
  for (const auto precision : {kernels::Precision::kF32, kernels::Precision::kBF16}) {
    World world = make_self_world();
    Memory memory;
    Stream stream;
    const auto weights = models::load_weights(model, models::blocks_needed(hooks), memory, stream, precision);
    const models::HarvestOptions options{.progress = [](int64_t, int64_t) {}, .stop = [] { return false; }};
    (void)models::harvest(weights, rows, stores, options, *world.control, memory, memory, stream);
    Memory counted = Memory::counting();
    models::count_harvest(model, hooks, 7, Dtype::kF32, precision, counted, counted);
    ASSERT_EQ(counted.segments().size(), memory.segments().size());
    for (size_t i = 0; i < counted.segments().size(); ++i) {
      EXPECT_EQ(counted.segments()[i].segment, memory.segments()[i].segment);
      EXPECT_EQ(counted.segments()[i].allocated_bytes, memory.segments()[i].allocated_bytes)
          << counted.segments()[i].segment;
    }
  }
}

}  // namespace
}  // namespace orthant
