#include "launch/train/train_config.h"

#include <gtest/gtest.h>

#include "runtime/job/config.h"
#include "tests/support/code_of.h"

namespace orthant::launch {
namespace {

// With every default set.
Train resolved(const std::string& preset) {
  Config config(std::make_shared<const ConfigSchema>("train", *Train::descriptor(), Common::descriptor()));
  config.set("sae.preset", preset);
  config.set("precision", "f32");
  config.set("train.batch_tokens", "64");
  config.set("train.tokens", "65");
  config.resolve();
  return config.as<Train>();
}

TEST(TrainConfig, CountsStepsUp) {
  EXPECT_EQ(trainer_config({}, resolved("topk"), {1, 2}, 16).steps, 2);
}

TEST(TrainConfig, SendsCodesWhereTheyAreFewer) {
  EXPECT_EQ(trainer_config({}, resolved("topk"), {2, 1}, 16).data_parallel, sae::DataParallel::kCodes);
}

// Its gradients are sums over blocks of rows: nothing else makes replicas agree.
TEST(TrainConfig, DenseReplicasAlwaysSendGradients) {
  Train train = resolved("standard");
  for (const char* const asked : {"auto", "codes", "gradients"}) {
    train.mutable_train()->set_data_parallel(asked);
    EXPECT_EQ(trainer_config({}, train, {2, 1}, 16).data_parallel, sae::DataParallel::kGradients) << asked;
  }
}

TEST(TrainConfig, RefusesMeshesThatCannotTrain) {
  const auto refuses = [](const sae::TrainerConfig& config, MeshShape mesh) {
    return testing::code_of([&] { refuse_impossible(config, mesh); }) == ExitCode::kConfig;
  };
  const sae::TrainerConfig config = trainer_config({}, resolved("topk"), {1, 1}, 16);
  EXPECT_FALSE(refuses(config, {64, 4096}));
  EXPECT_TRUE(refuses(config, {1, 4097}));
  EXPECT_TRUE(refuses(config, {65, 1}));
}

TEST(TrainConfig, SourcesAreTheStoresThatAreJoined) {
  const std::string first = "a", second = "b";
  Train train = resolved("crosscoder_l1");
  EXPECT_EQ(testing::code_of([&] { (void)trainer_config({}, train, {1, 1}, 16); }), ExitCode::kConfig);
  train.mutable_source()->add_store(first);
  EXPECT_EQ(testing::code_of([&] { (void)trainer_config({}, train, {1, 1}, 16); }), ExitCode::kConfig);
  train.mutable_source()->add_store(second);
  EXPECT_EQ(trainer_config({}, train, {1, 1}, 32).conventions.sources, 2);
  train.mutable_sae()->set_normalize_activations("whiten");
  EXPECT_EQ(testing::code_of([&] { (void)trainer_config({}, train, {1, 1}, 32); }), ExitCode::kConfig);
  Train other = resolved("batchtopk");
  other.mutable_source()->add_store(first);
  other.mutable_source()->add_store(second);
  EXPECT_EQ(trainer_config({}, other, {1, 1}, 32).conventions.sources, 2);
  other.mutable_source()->set_combine("difference");
  EXPECT_EQ(trainer_config({}, other, {1, 1}, 16).conventions.sources, 1);
}

TEST(TrainConfig, TrainingOnTakesTheScheduleInProportion) {
  Train train = resolved("topk");
  train.mutable_train()->set_tokens(64 * 300);
  sae::TrainerConfig start = trainer_config({}, train, {1, 1}, 16);
  start.steps = 1000;
  start.conventions.lr_warm_up_steps = 50;
  start.conventions.lr_decay_start = 0.8;
  sae::TrainerConfig stage = trainer_config({}, train, {1, 1}, 16);
  take_schedule(schedule_texts(start), train, stage);
  EXPECT_EQ(stage.conventions.lr_warm_up_steps, 15);
  EXPECT_EQ(stage.conventions.lr_decay_start, 0.8);
  // A stage as long as the one before keeps the warm-up that it had.
  sae::TrainerConfig next = trainer_config({}, train, {1, 1}, 16);
  take_schedule(schedule_texts(stage), train, next);
  EXPECT_EQ(next.conventions.lr_warm_up_steps, 15);
  // What is asked for wins, and a file of another program says nothing.
  train.mutable_train()->set_lr_warm_up_steps(7);
  sae::TrainerConfig asked = trainer_config({}, train, {1, 1}, 16);
  take_schedule(schedule_texts(start), train, asked);
  EXPECT_EQ(asked.conventions.lr_warm_up_steps, 7);
  sae::TrainerConfig foreign = trainer_config({}, resolved("topk"), {1, 1}, 16);
  const int64_t before = foreign.conventions.lr_warm_up_steps;
  take_schedule({}, resolved("topk"), foreign);
  EXPECT_EQ(foreign.conventions.lr_warm_up_steps, before);
}

}  // namespace
}  // namespace orthant::launch
