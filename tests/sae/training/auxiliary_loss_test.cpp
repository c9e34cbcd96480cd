#include "sae/training/auxiliary_loss.h"

#include <gtest/gtest.h>

#include "runtime/comm/world.h"
#include "tests/support/small_training.h"

namespace orthant::sae {
namespace {

// What a latent may be dead after is known before the batch: only where many of them came back does the loss
// encode the dead latents by a product of their own.
TEST(AuxiliaryLoss, TakesDeadLatentsFromTheMainProduct) {
  for (const char* preset : {"ortsae", "topk"}) {
    SCOPED_TRACE(preset);
    constexpr int64_t kSteps = 30;
    World world = make_self_world();
    const MeshShape shape{1, 1};
    Grid grid = make_grid(*world.data, shape);
    Memory memory;
    SyntheticSource source(testing::small_synthetic(), testing::kSmallSourceSeed, memory);
    TrainerConfig config = testing::small_training(preset, {shape}, 0, kSteps);
    config.conventions.dead_feature_threshold_tokens = 3 * testing::kSmallBatch;
    Trainer trainer(config, testing::kSmallWidth, world, grid, memory);
    trainer.initialize(source);
    int64_t auxiliary_steps = 0, single_products = 0;
    for (int64_t step = 0; step < kSteps; ++step) {
      const StepReport report = trainer.step(source);
      if (report.dead_latents == 0) continue;
      EXPECT_GT(report.auxiliary, 0.0);
      ++auxiliary_steps;
      single_products +=
          trainer.encoded_products() == testing::kSmallBatch * config.conventions.latents ? 1 : 0;
    }
    EXPECT_GT(auxiliary_steps, 10);
    EXPECT_GT(2 * single_products, auxiliary_steps);
  }
}

}  // namespace
}  // namespace orthant::sae
