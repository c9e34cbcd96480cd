// Training with the NCCL communicator as its data plane, over a double of the libraries whose sums have an
// order of their own: the deterministic mode must not use them.
#include <gtest/gtest.h>

#include <mutex>
#include <string>

#include "runtime/comm/world.h"
#include "tests/support/nccl_ranks.h"
#include "tests/support/small_training.h"

namespace orthant::sae {
namespace {

constexpr int64_t kSteps = 8;

struct Trained {
  std::string sha256;
  double loss = 0.0;
};

Trained train_on(World& world, const testing::TrainingMesh& mesh, const std::string& preset,
                 int virtual_shards) {
  Grid grid = make_grid(*world.data, mesh.shape);
  Memory memory;
  SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, memory);
  Trainer trainer(testing::small_training(preset, mesh, virtual_shards, kSteps), testing::kSmallWidth, world,
                  grid, memory);
  trainer.initialize(source);
  Trained trained;
  while (trainer.steps_done() < kSteps) trained.loss = trainer.step(source).loss;
  Stream stream;
  trained.sha256 = weights_sha256(trainer.dictionary(), *grid.dictionary, stream);
  world.control->barrier();
  grid.dictionary->close();
  grid.data->close();
  return trained;
}

Trained train_alone(const std::string& preset, int virtual_shards) {
  World world = make_self_world();
  return train_on(world, {{1, 1}}, preset, virtual_shards);
}

Trained train_over(testing::NcclDouble& libraries, const testing::TrainingMesh& mesh,
                   const std::string& preset, int virtual_shards) {
  Trained first;
  std::mutex mutex;
  testing::run_nccl_ranks(libraries, mesh.shape.data * mesh.shape.dictionary, {}, [&](World& world) {
    const Trained own = train_on(world, mesh, preset, virtual_shards);
    const std::lock_guard lock(mutex);
    if (world.rank() == 0) first = own;
  });
  return first;
}

class OverNccl : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, OverNccl, ::testing::Values("ortsae", "topk", "standard"),
                         [](const auto& preset) { return preset.param; });

TEST_P(OverNccl, DeterministicModeHasTheBitsOfOneRankAndAsksNcclForNoFloatingSum) {
  const Trained alone = train_alone(GetParam(), 12);
  for (const int ranks : {2, 3}) {
    testing::NcclDouble libraries(ranks);
    EXPECT_EQ(train_over(libraries, {{1, ranks}}, GetParam(), 12).sha256, alone.sha256) << ranks;
    EXPECT_EQ(libraries.floating_sums(), 0) << ranks;
  }
}

TEST_P(OverNccl, FastModeIsCloseAndLetsNcclSum) {
  const Trained alone = train_alone(GetParam(), 0);
  testing::NcclDouble libraries(2);
  const Trained pair = train_over(libraries, {{1, 2}}, GetParam(), 0);
  EXPECT_NEAR(pair.loss, alone.loss, 1e-4 * alone.loss);
  EXPECT_GT(libraries.floating_sums(), 0);
}

TEST(ReplicasOverNccl, AreAddedWithoutNcclWhenDeterministic) {
  const Trained alone = train_alone("topk", 12);
  testing::NcclDouble libraries(2);
  EXPECT_EQ(train_over(libraries, {{2, 1}}, "topk", 12).sha256, alone.sha256);
  EXPECT_EQ(libraries.floating_sums(), 0);
}

}  // namespace
}  // namespace orthant::sae
