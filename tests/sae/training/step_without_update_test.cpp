// Steps that go forward and backward only: the norm of the gradient is that of a training step, and nothing
// moves.

#include <gtest/gtest.h>

#include <vector>

#include "runtime/comm/world.h"
#include "sae/studies/synthetic_source.h"
#include "sae/training/trainer.h"

namespace orthant::sae {
namespace {

constexpr int64_t kWidth = 16;

TrainerConfig configuration(bool updates) {
  Sae dictionary;
  dictionary.set_preset("topk");
  dictionary.set_latents(60);
  dictionary.set_k(4);
  Train train;
  train.set_lr(1e-3);
  TrainerConfig config;
  config.conventions = resolve_conventions(dictionary, train);
  config.conventions.max_grad_norm = updates ? 1e9 : 0.0;  // large: the norm is found, nothing is clipped
  config.batch_tokens = 40;
  config.steps = 3;
  config.updates = updates;
  return config;
}

struct Seen {
  double norm = 0.0;
  std::vector<float> before, after;
  int64_t bytes = 0;
};

Seen one_step(bool updates, World& world, MeshShape mesh) {
  Grid grid = make_grid(*world.data, mesh);
  Memory memory;
  Synthetic synthetic;
  synthetic.set_features(80);
  synthetic.set_d_model(kWidth);
  synthetic.set_l0(5);
  Memory beside;
  SyntheticSource source(synthetic, 3, beside);
  Trainer trainer(configuration(updates), kWidth, world, grid, memory);
  trainer.initialize(source);
  const auto weights = [&] {
    const auto encoder = trainer.dictionary().encoder.view().span();
    return std::vector<float>(encoder.begin(), encoder.end());
  };
  Seen seen{.norm = 0.0, .before = weights(), .after = {}, .bytes = memory.allocated_bytes()};
  seen.norm = trainer.step(source).gradient_norm;
  seen.after = weights();
  return seen;
}

TEST(StepWithoutUpdate, FindsTheNormAndMovesNothingAtEveryMesh) {
  for (const MeshShape mesh : {MeshShape{1, 1}, MeshShape{1, 2}, MeshShape{2, 1}}) {
    run_thread_ranks(mesh.data * mesh.dictionary, [&](World world) {
      const Seen trained = one_step(true, world, mesh), still = one_step(false, world, mesh);
      EXPECT_GT(still.norm, 0.0);
      EXPECT_EQ(still.norm, trained.norm);
      EXPECT_EQ(still.before, still.after);
      EXPECT_NE(trained.before, trained.after);
      // Two moments of two rows a latent.
      EXPECT_GE(trained.bytes - still.bytes, 16 * kWidth * 60 / mesh.dictionary);
    });
  }
}

}  // namespace
}  // namespace orthant::sae
