#include "models/adapt/train_learned.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>

#include "models/transformer/forward.h"
#include "runtime/storage/file.h"
#include "tests/support/pruned_block.h"
#include "tests/support/temp_dir.h"

namespace orthant {
namespace {

using models::LearnedKind;
using models::LearnedMethod;
using models::LearnedProgress;
using models::LearnedSettings;
using models::LearnedTransforms;

std::string bytes_of(const std::string& path) {
  const MappedFile file(path);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

class TrainLearned : public ::testing::Test {
 protected:
  TrainLearned() {
    for (uint64_t i = 0; i < 900; ++i) {
      ids.push_back(static_cast<int32_t>(random_u64(5, Purpose::kTest, 50, i) % 11));
    }
  }
  static LearnedSettings by_layers(const LearnedKind& kind) {
    LearnedSettings settings;
    settings.kind = kind;
    settings.crops = 24;
    settings.held_out = 6;
    settings.length = 20;
    settings.optimiser.lr = 0.01;
    return settings;
  }
  static LearnedSettings global(const LearnedKind& kind) {
    LearnedSettings settings = models::global_settings();
    settings.kind = kind;
    settings.crops = 21;
    settings.length = 20;
    settings.accumulation = 4;
    settings.optimiser.lr = 0.01;
    return settings;
  }
  [[nodiscard]] models::ModelPruning pruned(bool restores_variance = false) const {
    return testing::magnitude_pruning(model.config(), {2, 4}, restores_variance);
  }
  LearnedTransforms train(
      const LearnedSettings& settings, const models::ModelPruning& pruning, const std::string& path = "",
      const std::function<void(const LearnedProgress&)>& progress = [](const LearnedProgress&) {}) {
    return models::train_learned({weights, model.identity(), pruning, ids}, settings, path, progress, memory,
                                 stream);
  }
  // Stops after `crops` of them, then goes on to the end.
  void train_in_two_parts(const LearnedSettings& settings, const std::string& path, int64_t crops) {
    const auto stop = [&](const LearnedProgress& progress) {
      if (progress.finished > crops) throw Error(ExitCode::kStopped, "stopped");
    };
    EXPECT_THROW((void)train(settings, pruned(), path, stop), Error);
    (void)train(settings, pruned(), path);
  }
  // The mean next-token loss of the text's windows.
  double loss(const models::ModelPruning& pruning) {
    models::RunState state(memory, weights, {20, 1, 20});
    models::PruningState pruning_state(memory, model.config(), {20, 1, 20}, pruning);
    double sum = 0.0;
    for (size_t window = 0; window < 40; ++window) {
      const std::vector<int64_t> offsets = {0, 20};
      std::vector<int64_t> rows(19);
      for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
      const auto text = std::span(ids).subspan(window * 20, 20);
      const auto hidden = models::forward(weights,
                                          {.batch = {text, offsets},
                                           .logit_rows = rows,
                                           .pruning = &pruning,
                                           .pruning_state = &pruning_state},
                                          state, stream);
      std::vector<float> logits(19 * 11);
      models::project_logits(weights, hidden, {logits.data(), {19, 11}}, state, stream);
      for (size_t i = 0; i < 19; ++i) {
        double total = 0.0;
        for (size_t v = 0; v < 11; ++v) total += std::exp(static_cast<double>(logits[i * 11 + v]));
        sum += std::log(total) - static_cast<double>(logits[i * 11 + static_cast<size_t>(text[i + 1])]);
      }
    }
    return sum / (40.0 * 19.0);
  }

  Memory memory;
  Stream stream;
  testing::MemoryModel model{testing::varied_config()};
  models::Weights weights = models::load_weights(model, {}, memory, stream);
  std::vector<int32_t> ids;
};

TEST_F(TrainLearned, LowersTheErrorOfEveryBlockOnCropsItDidNotSee) {
  for (const LearnedKind& kind :
       {LearnedKind{.input_shift = true}, LearnedKind{.output_shift = true},
        LearnedKind{.output_shift = true, .output_scale = true}, LearnedKind{.rank = 4}}) {
    const LearnedTransforms learned = train(by_layers(kind), pruned());
    ASSERT_EQ(learned.block_errors.size(), 3u);
    for (const models::BlockError& error : learned.block_errors) {
      EXPECT_GT(error.before, 0.0f);
      EXPECT_LT(error.after, error.before) << models::text_of(kind);
    }
  }
}

TEST_F(TrainLearned, LowersTheErrorOfBlocksWhoseVarianceIsRestored) {
  LearnedSettings settings = by_layers({.input_shift = true, .output_shift = true, .output_scale = true});
  const LearnedTransforms learned = train(settings, pruned(true));
  for (const models::BlockError& error : learned.block_errors) EXPECT_LT(error.after, error.before);
}

TEST_F(TrainLearned, StartsALowRankPairAtTheWeights) {
  LearnedSettings settings = by_layers({.rank = 8});
  settings.low_rank_start = models::LowRankStart::kSvd;
  settings.optimiser.lr = 1e-6;
  const LearnedTransforms learned = train(settings, pruned());
  for (const models::BlockError& error : learned.block_errors) EXPECT_LT(error.after, 0.5f * error.before);
}

TEST_F(TrainLearned, GloballyLowersTheLossOfTheModel) {
  models::ModelPruning pruning = pruned();
  const double before = loss(pruning);
  LearnedSettings settings = global({.input_shift = true, .output_shift = true});
  settings.accumulation = 2;
  settings.crops = 40;
  const LearnedTransforms learned = train(settings, pruning);
  EXPECT_EQ(learned.total, 20);
  models::apply(learned, weights, pruning, memory, stream);
  EXPECT_LT(loss(pruning), before - 0.01);
}

TEST_F(TrainLearned, ByLayersStoppedAndContinuedGivesTheBytesOfOneGo) {
  const testing::TempDir folder;
  for (const LearnedKind& kind : {LearnedKind{.input_shift = true}, LearnedKind{.rank = 3}}) {
    const LearnedSettings settings = by_layers(kind);
    const std::string whole = folder.file("whole" + models::text_of(kind)),
                      parts = folder.file("parts" + models::text_of(kind));
    (void)train(settings, pruned(), whole);
    train_in_two_parts(settings, parts, 30);
    EXPECT_EQ(bytes_of(whole), bytes_of(parts));
  }
}

TEST_F(TrainLearned, GloballyStoppedAndContinuedGivesTheBytesOfOneGo) {
  const testing::TempDir folder;
  const LearnedSettings settings = global({.input_shift = true, .output_scale = true});
  (void)train(settings, pruned(), folder.file("whole"));
  train_in_two_parts(settings, folder.file("parts"), 10);
  EXPECT_EQ(bytes_of(folder.file("whole")), bytes_of(folder.file("parts")));
}

TEST_F(TrainLearned, GivesTheSameBytesOnAnyThreads) {
  const testing::TempDir folder;
  const int before = omp_get_max_threads();
  for (const int threads : {1, 3}) {
    omp_set_num_threads(threads);
    (void)train(by_layers({.rank = 4}), pruned(), folder.file("layers" + std::to_string(threads)));
    (void)train(global({.input_shift = true}), pruned(), folder.file("global" + std::to_string(threads)));
  }
  omp_set_num_threads(before);
  EXPECT_EQ(bytes_of(folder.file("layers1")), bytes_of(folder.file("layers3")));
  EXPECT_EQ(bytes_of(folder.file("global1")), bytes_of(folder.file("global3")));
}

TEST_F(TrainLearned, AFinishedFileIsNotTrainedAgain) {
  const testing::TempDir folder;
  const LearnedSettings settings = by_layers({.output_shift = true});
  const LearnedTransforms trained = train(settings, pruned(), folder.file("learned"));
  const LearnedTransforms read = train(settings, pruned(), folder.file("learned"),
                                       [](const LearnedProgress&) { FAIL() << "nothing is left to train"; });
  EXPECT_TRUE(read.is_finished());
  ASSERT_EQ(read.blocks.size(), trained.blocks.size());
  for (size_t layer = 0; layer < 3; ++layer) {
    EXPECT_EQ(read.blocks[layer][4].output_shift, trained.blocks[layer][4].output_shift);
    EXPECT_EQ(read.block_errors[layer].after, trained.block_errors[layer].after);
  }
}

TEST_F(TrainLearned, RefusesAFileThatWasLearnedForSomethingElse) {
  const testing::TempDir folder;
  LearnedSettings settings = by_layers({.output_shift = true});
  settings.crops = 1;
  (void)train(settings, pruned(), folder.file("learned"));
  settings.optimiser.lr = 0.5;
  try {
    (void)train(settings, testing::magnitude_pruning(model.config(), {1, 4}, false), folder.file("learned"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfig);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("differs in lr, pruning"));
  }
}

TEST_F(TrainLearned, RefusesSettingsThatLearnNothing) {
  EXPECT_THROW((void)train(by_layers({}), pruned()), Error);
  LearnedSettings settings = by_layers({.output_shift = true});
  settings.crops = 0;
  EXPECT_THROW((void)train(settings, pruned()), Error);
  settings = by_layers({.output_shift = true});
  settings.length = 901;
  EXPECT_THROW((void)train(settings, pruned()), Error);
}

TEST_F(TrainLearned, StopsWhereTheLossIsNotFinite) {
  LearnedSettings settings = by_layers({.output_scale = true});
  settings.optimiser.lr = 1e30;
  try {
    (void)train(settings, pruned());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kNonFinite);
  }
}

}  // namespace
}  // namespace orthant
