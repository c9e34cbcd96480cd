#include "sae/training/training_loop.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <mutex>
#include <set>

#include "runtime/comm/world.h"
#include "runtime/core/error.h"
#include "tests/support/small_training.h"
#include "tests/support/temp_dir.h"

namespace orthant::sae {
namespace {

using testing::TempDir;

constexpr int64_t kSteps = 9;

// What a loop did, as its caller sees it.
struct Seen {
  std::vector<int64_t> first_steps;
  std::vector<int64_t> logged;
  std::vector<int64_t> logged_counts;
  std::vector<int64_t> saved;
  TrainingState end = TrainingState::kFinished;
  std::string sha256;
};

struct Wish {
  int64_t log_every = 1;
  int64_t stop_after = -1;     // steps done when a stop is wanted
  int stopping_rank = 0;       // by this rank alone
  int64_t save_every = 0;      // steps
  int64_t infinite_from = -1;  // rows of the source from here on hold an infinity
  bool keeps = true;           // whether there are checkpoints
  std::function<void(Trainer&)> initialize = nullptr;
};

// The synthetic source, with rows that are not finite.
class SpoiltSource : public ActivationSource {
 public:
  explicit SpoiltSource(Memory& memory)
      : source_(testing::small_synthetic(), testing::kSmallSourceSeed, memory) {}
  // From now on; the start of a training reads more rows than its steps.
  void spoil_from(int64_t row) { first_bad_ = row; }
  [[nodiscard]] int64_t d_model() const override { return source_.d_model(); }
  [[nodiscard]] int64_t rows(Split split) const override { return source_.rows(split); }
  void read(Split split, int64_t first, Matrix<float> into, RowLabels* labels) override {
    source_.read(split, first, into, labels);
    if (first_bad_ < 0 || first + into.shape[0] <= first_bad_) return;
    into.row(into.shape[0] - 1)[0] = std::numeric_limits<float>::infinity();
  }
  [[nodiscard]] std::string identity() const override { return "synthetic with an infinity"; }

 private:
  SyntheticSource source_;
  int64_t first_bad_ = -1;  // none
};

// One attempt at the training in `folder` on the ranks of `world`.
Seen attempt(World& world, const std::string& folder, const Wish& wish) {
  const MeshShape shape{1, world.size()};
  Grid grid = make_grid(*world.data, shape);
  Memory memory;
  Log log(world.rank(), LogLevel::kOff);
  SpoiltSource source(memory);
  Trainer trainer(testing::small_training("ortsae", {shape}, 0, kSteps), testing::kSmallWidth, world, grid,
                  memory);
  Checkpoints checkpoints(folder, 2, *world.control, log);
  Seen seen;
  TrainingLoop loop;
  loop.control = world.control.get();
  loop.checkpoints = wish.keeps ? &checkpoints : nullptr;
  loop.config_key = "key";
  loop.log_every = wish.log_every;
  loop.stop_wanted = [&] {
    return world.rank() == wish.stopping_rank && trainer.steps_done() == wish.stop_after;
  };
  loop.checkpoint_due = [&](int64_t steps) { return wish.save_every > 0 && steps % wish.save_every == 0; };
  loop.begins = [&](int64_t first) {
    seen.first_steps.push_back(first);
    source.spoil_from(wish.infinite_from);
  };
  loop.logged = [&](const StepReport& report, double seconds, int64_t steps) {
    EXPECT_GE(seconds, 0.0);
    seen.logged.push_back(report.step);
    seen.logged_counts.push_back(steps);
  };
  loop.saved = [&](int64_t steps) { seen.saved.push_back(steps); };
  if (wish.initialize) {
    loop.initialize = [&] { wish.initialize(trainer); };
  }
  seen.end = run_training(trainer, source, loop);
  Stream stream;
  seen.sha256 = weights_sha256(trainer.dictionary(), *grid.dictionary, stream);
  return seen;
}

Seen attempt_alone(const std::string& folder, const Wish& wish) {
  World world = make_self_world();
  return attempt(world, folder, wish);
}

std::set<std::string> names_in(const std::filesystem::path& folder) {
  std::set<std::string> names;
  if (!std::filesystem::exists(folder)) return names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_directory()) names.insert(entry.path().filename());
  }
  return names;
}

TEST(TrainingLoop, RunsToTheEndAndSavesItOnce) {
  const TempDir folder;
  const Seen seen = attempt_alone(folder.file("checkpoint"), {.save_every = 3});
  EXPECT_EQ(seen.end, TrainingState::kFinished);
  EXPECT_EQ(seen.first_steps, std::vector<int64_t>{0});
  EXPECT_EQ(seen.saved, (std::vector<int64_t>{3, 6, 9}));
  EXPECT_EQ(names_in(folder.file("checkpoint")), (std::set<std::string>{"step-000000006", "step-000000009"}));
  EXPECT_EQ(attempt_alone(folder.file("other"), {}).saved, std::vector<int64_t>{kSteps});
}

TEST(TrainingLoop, LogsEverySoManyStepsAndTheLast) {
  const Seen seen = attempt_alone("", {.log_every = 5, .keeps = false});
  EXPECT_EQ(seen.logged, (std::vector<int64_t>{0, 5, 8}));
  EXPECT_EQ(seen.logged_counts, (std::vector<int64_t>{1, 5, 3}));
  EXPECT_TRUE(seen.saved.empty());
}

TEST(TrainingLoop, StopsSavesAndContinuesAsIfItHadNot) {
  const TempDir folder;
  const std::string checkpoint = folder.file("checkpoint");
  const Seen whole = attempt_alone("", {.keeps = false});
  const Seen first = attempt_alone(checkpoint, {.stop_after = 4});
  EXPECT_EQ(first.end, TrainingState::kStopped);
  EXPECT_EQ(first.saved, std::vector<int64_t>{4});
  const Seen second = attempt_alone(checkpoint, {});
  EXPECT_EQ(second.end, TrainingState::kFinished);
  EXPECT_EQ(second.first_steps, std::vector<int64_t>{4});
  EXPECT_EQ(second.logged.front(), 4);
  EXPECT_EQ(second.sha256, whole.sha256);
  const Seen third = attempt_alone(checkpoint, {});
  EXPECT_EQ(third.first_steps, std::vector<int64_t>{kSteps});
  EXPECT_TRUE(third.logged.empty());
  EXPECT_TRUE(third.saved.empty()) << "what was loaded is not saved again";
  EXPECT_EQ(third.sha256, whole.sha256);
}

TEST(TrainingLoop, IsFinishedWhenTheStopComesAfterTheLastStep) {
  const TempDir folder;
  const Seen seen = attempt_alone(folder.file("checkpoint"), {.stop_after = kSteps});
  EXPECT_EQ(seen.end, TrainingState::kFinished);
  EXPECT_EQ(seen.saved, std::vector<int64_t>{kSteps});
}

TEST(TrainingLoop, DrawsOrTakesParametersOnlyWithoutACheckpoint) {
  const TempDir folder;
  const std::string checkpoint = folder.file("checkpoint");
  int asked = 0;
  const auto initialize = [&](Trainer& trainer) {
    ++asked;
    initialize_dictionary(trainer.dictionary(), EncoderInit::kUnitTransposed, 77);
  };
  const Seen first = attempt_alone(checkpoint, {.stop_after = 2, .initialize = initialize});
  EXPECT_EQ(asked, 1);
  EXPECT_NE(first.sha256, attempt_alone("", {.stop_after = 2, .keeps = false}).sha256);
  attempt_alone(checkpoint, {.initialize = initialize});
  EXPECT_EQ(asked, 1);
}

TEST(TrainingLoop, EndsBeforeNonFiniteNumbersAreSaved) {
  const TempDir folder;
  const std::string checkpoint = folder.file("checkpoint");
  try {
    attempt_alone(checkpoint, {.save_every = 1, .infinite_from = 5 * testing::kSmallBatch});
    ADD_FAILURE() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kNonFinite);
    EXPECT_NE(std::string(error.what()).find("step 5"), std::string::npos) << error.what();
  }
  EXPECT_TRUE(names_in(checkpoint).contains("step-000000005"));
  EXPECT_FALSE(names_in(checkpoint).contains("step-000000006"));
  // The last checkpoint is from before: sound rows continue it.
  EXPECT_EQ(attempt_alone(checkpoint, {}).sha256, attempt_alone("", {.keeps = false}).sha256);
}

TEST(TrainingLoop, StopsEveryRankAtTheStepThatOneWants) {
  const TempDir folder;
  std::mutex mutex;
  std::vector<Seen> all;
  run_thread_ranks(3, [&](World world) {
    const Seen seen = attempt(world, folder.file("checkpoint"), {.stop_after = 4, .stopping_rank = 2});
    const std::lock_guard lock(mutex);
    all.push_back(seen);
  });
  ASSERT_EQ(all.size(), 3U);
  for (const Seen& seen : all) {
    EXPECT_EQ(seen.end, TrainingState::kStopped);
    EXPECT_EQ(seen.saved, std::vector<int64_t>{4});
  }
}

}  // namespace
}  // namespace orthant::sae
