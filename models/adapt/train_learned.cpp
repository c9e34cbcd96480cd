#include "models/adapt/train_learned.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <utility>

#include "models/adapt/train_by_layers.h"
#include "models/adapt/train_globally.h"
#include "runtime/core/error.h"
#include "runtime/core/hash.h"

namespace orthant::models {
namespace {

[[noreturn]] void refuse(std::string problem, std::string why, std::string suggestion) {
  throw Error(ExitCode::kConfig,
              {.problem = std::move(problem), .why = std::move(why), .suggestion = std::move(suggestion)});
}

int64_t units_of(const LearnedTask& task, const LearnedSettings& settings) {
  if (settings.method == LearnedMethod::kByLayers) return task.weights.config.layers;
  return (global_windows(task, settings) + settings.accumulation - 1) / settings.accumulation;
}

void check_settings(const LearnedTask& task, const LearnedSettings& settings) {
  const ModelConfig& config = task.weights.config;
  if (text_of(settings.kind).empty())
    refuse("no transform is learned", "all are switched off", "switch one on");
  if (settings.length < 2 || settings.length > config.context_length) {
    refuse(fmt::format("crops of {} tokens", settings.length),
           fmt::format("the model's context is {} tokens", config.context_length),
           fmt::format("use 2 to {}", config.context_length));
  }
  if (settings.crops < 1 || settings.accumulation < 1 || settings.held_out < 0) {
    refuse("no crop is trained on", "crops and accumulation are counted from 1", "use at least one");
  }
  if (task.weights.precision != kernels::Precision::kF32 || task.weights.embedding.view().device != kCpu) {
    refuse("transforms are learned in f32 on the CPU", "the model was loaded otherwise",
           "load it in f32 on the CPU");
  }
  const auto tokens = static_cast<int64_t>(task.ids.size());
  if (tokens < settings.length) {
    refuse(fmt::format("crops of {} tokens", settings.length), fmt::format("the text has {} tokens", tokens),
           "use shorter crops or a longer text");
  }
  const int64_t units = units_of(task, settings);
  if (settings.method == LearnedMethod::kGlobal && warm_up_steps(settings.optimiser, units) >= units) {
    refuse(fmt::format("global training of {} steps", units),
           "all of them would be warm-up, whose first step has a rate of 0",
           "use a longer text, more crops, or fewer of them a step (accumulation)");
  }
  require(task.pruning.blocks.size() == task.weights.blocks.size() &&
              static_cast<int64_t>(task.weights.blocks.size()) == config.layers,
          "all blocks of the model are loaded and have their pruning");
}

LearnedTransforms begun(const LearnedTask& task, const LearnedSettings& settings, LearnedOrigin origin) {
  const auto layers = static_cast<size_t>(task.weights.config.layers);
  LearnedTransforms learned;
  learned.kind = settings.kind;
  learned.origin = std::move(origin);
  learned.blocks.resize(layers);
  if (settings.method == LearnedMethod::kByLayers) learned.block_errors.resize(layers);
  learned.total = units_of(task, settings);
  return learned;
}

}  // namespace

LearnedSettings global_settings() {
  LearnedSettings settings;
  settings.method = LearnedMethod::kGlobal;
  settings.crops = std::numeric_limits<int64_t>::max();
  settings.held_out = 0;
  settings.length = 2048;
  settings.accumulation = 16;
  // The Trainer's own, where the reference gives none.
  settings.optimiser.beta2 = 0.999;
  settings.optimiser.rounds_warm_up_up = true;
  settings.seed = 11;
  return settings;
}

LearnedOrigin learned_origin(const LearnedTask& task, const LearnedSettings& settings) {
  check_settings(task, settings);
  const bool by_layers = settings.method == LearnedMethod::kByLayers;
  LearnedOrigin origin = {
      {"model", task.model_identity},
      {"pruning", identity_of(task.pruning)},
      {"text", to_hex(hash128(task.ids.data(), static_cast<int64_t>(task.ids.size_bytes())))},
      {"transform", text_of(settings.kind)},
      {"method", by_layers ? "by_layers" : "global"},
      {"crops", fmt::to_string(by_layers ? settings.crops : global_windows(task, settings))},
      {"length", fmt::to_string(settings.length)},
      {"accumulation", fmt::to_string(settings.accumulation)},
      {"lr", fmt::to_string(settings.optimiser.lr)},
      {"beta1", fmt::to_string(settings.optimiser.beta1)},
      {"beta2", fmt::to_string(settings.optimiser.beta2)},
      {"epsilon", fmt::to_string(settings.optimiser.epsilon)},
      {"weight_decay", fmt::to_string(settings.optimiser.weight_decay)},
      {"warm_up", fmt::format("{}{}", settings.optimiser.warm_up,
                              settings.optimiser.rounds_warm_up_up ? " rounded up" : "")},
      {"clip_norm", fmt::to_string(settings.optimiser.clip_norm)},
      {"seed", fmt::to_string(settings.seed)}};
  if (by_layers) origin["held_out"] = fmt::to_string(settings.held_out);
  if (settings.kind.rank > 0) {
    origin["low_rank_start"] = settings.low_rank_start == LowRankStart::kSvd ? "svd" : "random";
  }
  return origin;
}

void check_loss(double loss) {
  if (std::isfinite(loss)) return;
  throw Error(ExitCode::kNonFinite, {.problem = fmt::format("the loss of learned transforms is {}", loss),
                                     .why = "the training diverged",
                                     .suggestion = "use a smaller lr"});
}

LearnedTransforms train_learned(const LearnedTask& task, const LearnedSettings& settings,
                                const std::string& path,
                                const std::function<void(const LearnedProgress&)>& progress, Memory& memory,
                                Stream& stream) {
  const ModelConfig& config = task.weights.config;
  const LearnedOrigin origin = learned_origin(task, settings);
  LearnedTransforms learned = !path.empty() && std::filesystem::exists(path)
                                  ? load_learned(path, config, settings.kind, origin)
                                  : begun(task, settings, origin);
  if (learned.is_finished()) return learned;
  const auto save = [&] {
    if (!path.empty()) save_learned(learned, config, path);
  };
  if (settings.method == LearnedMethod::kByLayers) {
    train_by_layers(task, settings, learned, save, progress, memory, stream);
  } else {
    train_globally(task, settings, learned, save, progress, memory, stream);
  }
  return learned;
}

}  // namespace orthant::models
