#include "launch/train_config.h"

#include <fmt/format.h>

#include "kernels/dense/precision.h"

namespace orthant::launch {
namespace {

bool is_dense(const sae::TrainerConfig& config) {
  return config.conventions.architecture == sae::Architecture::kStandard;
}

sae::DataParallel data_parallel_of(const Common& common, const Train& own, const sae::TrainerConfig& config,
                                   MeshShape mesh, int64_t d_model) {
  // Its rows stream through in blocks, so that there are no codes of a batch to send.
  if (is_dense(config) && mesh.data > 1) return sae::DataParallel::kGradients;
  return sae::choose_data_parallel(common.deterministic() ? "codes" : own.train().data_parallel(),
                                   {config.batch_tokens, d_model, config.conventions.latents,
                                    config.conventions.k, mesh.dictionary, mesh.data});
}

}  // namespace

sae::TrainerConfig trainer_config(const Common& common, const Train& own, MeshShape mesh, int64_t d_model) {
  sae::TrainerConfig config;
  config.conventions = sae::resolve_conventions(own.sae(), own.train());
  config.conventions.encoder_precision = kernels::precision_from_name(own.precision());
  config.seed = common.seed();
  config.batch_tokens = own.train().batch_tokens();
  config.steps = (own.train().tokens() + config.batch_tokens - 1) / config.batch_tokens;
  config.micro_batches = own.train().micro_batches();
  if (common.deterministic()) config.virtual_shards = own.train().virtual_shards();
  config.data_parallel = data_parallel_of(common, own, config, mesh, d_model);
  return config;
}

void refuse_impossible(const sae::TrainerConfig& config, MeshShape mesh) {
  if (mesh.dictionary > config.conventions.latents) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("mesh.dictionary = {} exceeds sae.latents = {}",
                                                           mesh.dictionary, config.conventions.latents),
                                    .why = "every shard holds at least one latent",
                                    .suggestion = "Use fewer shards or more replicas (mesh.data)."});
  }
  if (mesh.data > config.batch_tokens) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("mesh.data = {} exceeds train.batch_tokens = {}",
                                                           mesh.data, config.batch_tokens),
                                    .why = "every replica works on at least one row",
                                    .suggestion = "Use a larger batch or fewer replicas."});
  }
  if (config.micro_batches > config.batch_tokens) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("train.micro_batches = {} exceeds train.batch_tokens = {}",
                                        config.micro_batches, config.batch_tokens),
                 .why = "every part of a batch holds at least one row",
                 .suggestion = "Use fewer parts or a larger batch."});
  }
  if (is_dense(config) && mesh.data > 1 && config.virtual_shards > 0) {
    throw Error(ExitCode::kConfig, {.problem = "--deterministic cannot train `standard` over replicas",
                                    .why = "its dense gradients are summed over replicas in no fixed order",
                                    .suggestion = "Set mesh.data=1."});
  }
}

}  // namespace orthant::launch
