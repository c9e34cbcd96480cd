#include "launch/train/train_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

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

// Parts that a row of the source is joined from.
int64_t sources_of(const Train& own) {
  const int64_t stores = own.source().store_size();
  const int64_t sources = own.source().combine() == "join" ? std::max<int64_t>(stores, 1) : 1;
  if (sources > 1 || !own.sae().preset().starts_with("crosscoder_")) return sources;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("sae.preset = '{}' is given one source", own.sae().preset()),
               .why = "a crosscoder is trained on several stores of the same tokens",
               .suggestion = "Give --source.store=FIRST,SECOND, or another preset."});
}

void refuse_row_scaling_of_sources(const sae::Conventions& c) {
  const bool is_scalar = c.input_scaling == sae::InputScaling::kNone ||
                         c.input_scaling == sae::InputScaling::kUnitMeanSquare ||
                         c.input_scaling == sae::InputScaling::kExpectedAverageOnlyIn;
  if (c.sources == 1 || is_scalar) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("sae.normalize_activations = '{}' cannot be used with {} sources",
                                      sae::name_of(c.input_scaling), c.sources),
               .why = "it would mix the sources, whose decoder norms are compared",
               .suggestion = "Use none, unit_mean_square or expected_average_only_in: a scalar a source."});
}

// A number that the header of a dictionary may hold.
std::optional<double> number_in(const std::map<std::string, std::string>& header, const std::string& key) {
  const auto found = header.find(key);
  if (found == header.end()) return std::nullopt;
  return std::strtod(found->second.c_str(), nullptr);
}

}  // namespace

std::map<std::string, std::string> schedule_texts(const sae::TrainerConfig& config) {
  return {{"steps", std::to_string(config.steps)},
          {"lr_warm_up_steps", std::to_string(config.conventions.lr_warm_up_steps)},
          {"lr_decay_start", fmt::format("{}", config.conventions.lr_decay_start)}};
}

void take_schedule(const std::map<std::string, std::string>& start, const Train& own,
                   sae::TrainerConfig& config) {
  const auto steps = number_in(start, "steps"), warm_up = number_in(start, "lr_warm_up_steps"),
             decay_start = number_in(start, "lr_decay_start");
  if (!own.train().has_lr_warm_up_steps() && steps && warm_up && *steps > 0) {
    config.conventions.lr_warm_up_steps = std::llround(*warm_up * static_cast<double>(config.steps) / *steps);
  }
  if (!own.train().has_lr_decay_start() && decay_start) config.conventions.lr_decay_start = *decay_start;
}

sae::TrainerConfig trainer_config(const Common& common, const Train& own, MeshShape mesh, int64_t d_model) {
  sae::TrainerConfig config;
  config.conventions = sae::resolve_conventions(own.sae(), own.train());
  config.conventions.sources = sources_of(own);
  refuse_row_scaling_of_sources(config.conventions);
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
