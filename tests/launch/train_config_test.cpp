#include "launch/train_config.h"

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

}  // namespace
}  // namespace orthant::launch
