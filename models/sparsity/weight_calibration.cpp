#include "models/sparsity/weight_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "kernels/pruning/column_norms.h"
#include "models/sparsity/sparse_gpt.h"
#include "models/transformer/forward.h"
#include "runtime/core/error.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

constexpr std::array<Projection, kProjections> kAllProjections = {
    Projection::kQuery, Projection::kKey, Projection::kValue, Projection::kOutput,
    Projection::kGate,  Projection::kUp,  Projection::kDown};
// As ForwardArgs::inputs names the inputs that projections share.
constexpr std::array<Projection, 4> kInputs = {Projection::kQuery, Projection::kOutput, Projection::kGate,
                                               Projection::kDown};

// The projections of a model on their way from the file to where they multiply.
class ProjectionLoad {
 public:
  ProjectionLoad(Weights& weights, const ModelFile& file, Memory& memory, Stream& stream)
      : weights_(weights), file_(file), memory_(memory), stream_(stream) {}

  // [outputs, inputs] on the host, valid until the next read.
  Matrix<float> read(int64_t layer, Projection projection) {
    const ProjectionShape shape = shape_of(weights_.config, projection);
    host_.resize(static_cast<size_t>(shape.outputs * shape.inputs));
    file_.read(weight_name(layer, projection), host_);
    return {host_.data(), {shape.outputs, shape.inputs}};
  }

  void pack(int64_t layer, Projection projection, Matrix<const float> dense) {
    kernels::PackedWeights& into = weights_of(weights_.blocks[static_cast<size_t>(layer)], projection);
    if (memory_.device() == kCpu) return into.pack(dense, stream_);
    if (device_.shape()[0] < dense.elements()) device_ = {memory_, "loading", {dense.elements()}};
    const Matrix<float> there{device_.data(), dense.shape, memory_.device()};
    copy_in_order(there.data, dense.data, dense.bytes(), stream_);
    into.pack(there, stream_);
  }

  void restore(int64_t layer) {
    for (const Projection projection : kAllProjections) pack(layer, projection, read(layer, projection));
  }

 private:
  Weights& weights_;
  const ModelFile& file_;
  Memory& memory_;
  Stream& stream_;
  std::vector<float> host_;
  Tensor<float, 1> device_;
};

// What the calibration tells of an input that projections share.
class InputStatistics {
 public:
  InputStatistics(Memory& host, WeightMethod method, int64_t inputs)
      : norms_(host, "calibration", {1, inputs}) {
    if (method == WeightMethod::kSparseGpt) {
      hessian_.emplace(host, inputs);
    } else {
      squares_.resize(static_cast<size_t>(inputs));
    }
  }

  void clear() {
    if (hessian_) hessian_->clear();
    std::fill(squares_.begin(), squares_.end(), 0.0);
  }

  // `x` [tokens, inputs] of a crop, on the host.
  void add(Matrix<const float> x) {
    Stream stream;
    if (hessian_) return hessian_->add(x, stream);
    const int64_t offsets[] = {0, x.shape[0]};
    kernels::column_norms(x, {offsets, {2}}, norms_.view(), stream);
    for (size_t i = 0; i < squares_.size(); ++i) {
      const auto norm = static_cast<double>(norms_.data()[i]);
      squares_[i] += norm * norm;
    }
  }

  // After the last crop.
  void finish() {
    if (hessian_) {
      factor_ = hessian_->factor();
      return;
    }
    for (size_t i = 0; i < squares_.size(); ++i)
      norms_.data()[i] = static_cast<float>(std::sqrt(squares_[i]));
  }

  void prune(Matrix<float> weights, const WeightPattern& pattern) const {
    if (hessian_) return sparse_gpt(weights, factor_, pattern);
    Stream stream;
    prune_by_wanda(weights, {norms_.data(), {weights.shape[1]}}, pattern, stream);
  }

 private:
  std::vector<double> squares_;  // [inputs]
  Tensor<float, 2> norms_;       // [1, inputs]
  std::optional<InputHessian> hessian_;
  HessianFactor factor_;
};

int64_t longest(std::span<const std::vector<int32_t>> crops) {
  size_t tokens = 0;
  for (const auto& crop : crops) tokens = std::max(tokens, crop.size());
  return static_cast<int64_t>(tokens);
}

int64_t all_tokens(std::span<const std::vector<int32_t>> crops) {
  size_t tokens = 0;
  for (const auto& crop : crops) tokens += crop.size();
  return static_cast<int64_t>(tokens);
}

// The crops on their way through the model, block after block.
class CropRows {
 public:
  CropRows(const Weights& weights, std::span<const std::vector<int32_t>> crops, Memory& memory,
           Stream& stream)
      : weights_(weights),
        crops_(crops),
        stream_(stream),
        state_(memory, weights, {longest(crops), 1, longest(crops)}),
        pruning_state_(memory, weights.config, state_.limits, true),
        residual_(memory, "calibration", {all_tokens(crops), weights.config.d_model}),
        ignored_(memory, "calibration", {state_.limits.tokens, weights.config.d_model}) {
    pass({0, HookSite::kResidPre}, nullptr, true);
  }

  // The inputs of a block's projections, crop after crop; the rows stay before the block.
  void show_inputs(int64_t layer, const ProjectionInputs& inputs) {
    pass({layer, HookSite::kMlpOut}, &inputs, false);
  }
  // The rows pass the block.
  void advance(int64_t layer) { pass({layer, HookSite::kResidPost}, nullptr, true); }

 private:
  void pass(HookPoint to, const ProjectionInputs* inputs, bool keeps) {
    int64_t first = 0;
    for (const std::vector<int32_t>& crop : crops_) {
      if (crop.empty()) continue;
      const auto tokens = static_cast<int64_t>(crop.size());
      const Matrix<float> rows = residual_.view().rows(first, tokens);
      const int64_t offsets[] = {0, tokens};
      const Tap tap{to, keeps ? rows : ignored_.view().rows(0, tokens)};
      ForwardArgs args{.batch = {crop, offsets}, .taps = {&tap, 1}};
      args.inputs = inputs;
      args.pruning_state = &pruning_state_;
      args.first_block = to.layer;
      if (to.site != HookSite::kResidPre) args.residual = rows;
      forward(weights_, args, state_, stream_);
      first += tokens;
    }
    stream_.synchronize();
  }

  const Weights& weights_;
  std::span<const std::vector<int32_t>> crops_;
  Stream& stream_;
  RunState state_;
  PruningState pruning_state_;
  Tensor<float, 2> residual_;  // [tokens of all crops, d_model]
  Tensor<float, 2> ignored_;   // [tokens of the longest, d_model]
};

// Sees the inputs of a block and prunes by them.
class Calibration {
 public:
  Calibration(const Weights& weights, const WeightPruning& pruning,
              std::span<const std::vector<int32_t>> crops, Memory& memory, Stream& stream)
      : pruning_(pruning), stream_(stream), rows_(weights, crops, memory, stream) {
    for (const Projection input : kInputs)
      statistics_[static_cast<size_t>(input)].emplace(host_, pruning.method,
                                                      shape_of(weights.config, input).inputs);
  }

  // The block's weights are dense.
  void measure(int64_t layer) {
    std::array<bool, kProjections> wanted{};
    for (const Projection projection : kAllProjections) {
      if (pruning_.chosen[static_cast<size_t>(layer)][static_cast<size_t>(projection)])
        wanted[static_cast<size_t>(input_of(projection))] = true;
    }
    if (std::none_of(wanted.begin(), wanted.end(), [](bool each) { return each; })) return;
    for (const Projection input : kInputs) of(input).clear();
    rows_.show_inputs(layer, [&](int64_t, Projection input, Matrix<const float> x) {
      if (wanted[static_cast<size_t>(input)]) of(input).add(on_host(x));
    });
    for (const Projection input : kInputs) {
      if (wanted[static_cast<size_t>(input)]) of(input).finish();
    }
  }
  void prune(Projection projection, Matrix<float> weights) {
    of(input_of(projection)).prune(weights, pruning_.pattern);
  }
  void advance(int64_t layer) { rows_.advance(layer); }

 private:
  InputStatistics& of(Projection input) { return *statistics_[static_cast<size_t>(input)]; }

  Matrix<const float> on_host(Matrix<const float> x) {
    if (x.device == kCpu) return x;
    copied_.resize(static_cast<size_t>(x.elements()));
    copy_in_order(copied_.data(), x.data, x.bytes(), stream_);
    return {copied_.data(), x.shape};
  }

  const WeightPruning& pruning_;
  Stream& stream_;
  Memory host_;
  CropRows rows_;
  std::array<std::optional<InputStatistics>, kProjections> statistics_;  // of kInputs
  std::vector<float> copied_;
};

void refuse_unfit_pattern(const WeightPattern& pattern, const ProjectionShape& shape, Projection projection) {
  const auto [keep, group] = pattern.groups;
  if (!pattern.is_unstructured() && (keep < 0 || keep > group || shape.inputs % group != 0)) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("weights cannot be pruned {}:{}", keep, group),
                 .why = fmt::format("{}_proj has {} inputs", name_of(projection), shape.inputs),
                 .suggestion = "use N of M with N at most M and M a divisor of the inputs"});
  }
  if (pattern.is_unstructured() && !(pattern.removed_share >= 0.0 && pattern.removed_share <= 1.0)) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("weight sparsity = {}", pattern.removed_share),
                                    .why = "it is the share of weights that are removed",
                                    .suggestion = "use 0 to 1"});
  }
}

void refuse_unfit_crops(const ModelConfig& config, std::span<const std::vector<int32_t>> crops) {
  if (all_tokens(crops) == 0) {
    throw Error(ExitCode::kConfig, {.problem = "no calibration tokens",
                                    .why = "Wanda and SparseGPT look at inputs",
                                    .suggestion = "give a longer calibration text"});
  }
  if (longest(crops) > config.context_length) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("calibration crops of {} tokens", longest(crops)),
                 .why = fmt::format("the model's context is {} tokens", config.context_length),
                 .suggestion = fmt::format("use at most {}", config.context_length)});
  }
}

void refuse_unfit(const Weights& weights, const WeightPruning& pruning,
                  std::span<const std::vector<int32_t>> crops) {
  require(pruning.chosen.size() == weights.blocks.size(), "projections are chosen for each block");
  for (const auto& chosen : pruning.chosen) {
    for (const Projection projection : kAllProjections) {
      if (chosen[static_cast<size_t>(projection)])
        refuse_unfit_pattern(pruning.pattern, shape_of(weights.config, projection), projection);
    }
  }
  if (needs_crops(pruning.method)) refuse_unfit_crops(weights.config, crops);
}

}  // namespace

std::vector<std::array<bool, kProjections>> all_projections(const ModelConfig& config) {
  std::array<bool, kProjections> block;
  block.fill(true);
  return std::vector(static_cast<size_t>(config.layers), block);
}

void prune_weights(Weights& weights, const ModelFile& file, const WeightPruning& pruning,
                   std::span<const std::vector<int32_t>> crops,
                   const std::function<void(int64_t done, int64_t all)>& progress, Memory& memory,
                   Stream& stream) {
  refuse_unfit(weights, pruning, crops);
  ProjectionLoad load(weights, file, memory, stream);
  std::optional<Calibration> calibration;
  if (needs_crops(pruning.method)) calibration.emplace(weights, pruning, crops, memory, stream);
  const auto blocks = static_cast<int64_t>(weights.blocks.size());
  Stream host;
  for (int64_t layer = 0; layer < blocks; ++layer) {
    load.restore(layer);
    if (calibration) calibration->measure(layer);
    for (const Projection projection : kAllProjections) {
      if (!pruning.chosen[static_cast<size_t>(layer)][static_cast<size_t>(projection)]) continue;
      const Matrix<float> dense = load.read(layer, projection);
      if (calibration) {
        calibration->prune(projection, dense);
      } else {
        prune_by_magnitude(dense, pruning.pattern, host);
      }
      load.pack(layer, projection, dense);
    }
    if (calibration && layer + 1 < blocks) calibration->advance(layer);
    progress(layer + 1, blocks);
  }
  stream.synchronize();
}

void restore_weights(Weights& weights, const ModelFile& file, Memory& memory, Stream& stream) {
  ProjectionLoad load(weights, file, memory, stream);
  for (int64_t layer = 0; layer < static_cast<int64_t>(weights.blocks.size()); ++layer) load.restore(layer);
  stream.synchronize();
}

}  // namespace orthant::models
