// A training small enough for many repetitions: every rank of a mesh can also train the whole of it alone.
#pragma once

#include <string>
#include <vector>

#include "sae/studies/synthetic_source.h"
#include "sae/training/trainer.h"

namespace orthant::testing {

constexpr int64_t kSmallBatch = 96;
constexpr int64_t kSmallWidth = 24;
constexpr uint64_t kSmallSourceSeed = 3;

struct TrainingMesh {
  MeshShape shape;
  sae::DataParallel way = sae::DataParallel::kCodes;
  int threads = 1;
  int micro_batches = 1;
  kernels::Precision precision = kernels::Precision::kF32;
  std::string input_scaling = {};  // none: the preset's
  std::string second_moment = "f32";
};

inline Synthetic small_synthetic() {
  Synthetic config;
  config.set_features(160);
  config.set_d_model(kSmallWidth);
  config.set_l0(6);
  return config;
}

// A latent is dead as soon as a batch goes by without it, so that the auxiliary loss takes part; three chunks
// of the penalty.
inline sae::TrainerConfig small_training(const std::string& preset, const TrainingMesh& mesh,
                                         int virtual_shards, int64_t steps) {
  sae::Sae dictionary;
  dictionary.set_preset(preset);
  dictionary.set_latents(132);
  dictionary.set_k(5);
  dictionary.set_auxk(20);
  dictionary.set_dead_feature_threshold(kSmallBatch);
  dictionary.mutable_orthogonality()->set_chunk(50);
  if (!mesh.input_scaling.empty()) dictionary.set_normalize_activations(mesh.input_scaling);
  sae::Train train;
  train.set_lr(3e-3);
  train.set_lr_warm_up_steps(2);
  train.set_second_moment(mesh.second_moment);
  sae::TrainerConfig config;
  config.conventions = sae::resolve_conventions(dictionary, train);
  config.conventions.encoder_precision = mesh.precision;
  if (preset.starts_with("crosscoder_")) config.conventions.sources = 2;
  config.batch_tokens = kSmallBatch;
  config.steps = steps;
  config.seed = 11;
  config.virtual_shards = virtual_shards;
  config.data_parallel = mesh.way;
  config.micro_batches = mesh.micro_batches;
  return config;
}

}  // namespace orthant::testing
