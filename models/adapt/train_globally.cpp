#include "models/adapt/train_globally.h"

#include <algorithm>
#include <utility>

#include "kernels/transformer/chosen_rows.h"
#include "models/adapt/block_backward.h"
#include "models/adapt/crops.h"
#include "models/adapt/token_loss.h"

namespace orthant::models {
namespace {

class GlobalTraining {
 public:
  GlobalTraining(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                 Memory& memory, Stream& stream)
      : task_(task),
        settings_(settings),
        learned_(learned),
        stream_(stream),
        block_(memory, task.weights.config, settings.kind, settings.length),
        loss_(task.weights, settings.length, memory, stream),
        residual_(memory, "windows", {(layers() + 1) * settings.length, task.weights.config.d_model}),
        slope_(memory, "windows", {settings.length, task.weights.config.d_model}) {
    for (const auto& pruned : task.pruning.blocks) {
      gradients_.push_back(zero_parameters(task.weights.config, settings.kind, pruned));
    }
  }

  std::vector<std::span<float>> parameters() { return all_of(learned_.blocks); }
  std::vector<std::span<float>> gradients() { return all_of(gradients_); }

  // The loss of a window; adds its gradients. The forward keeps what goes into each block, and the backward
  // runs each block once more: one block's activations are in memory at a time.
  double add_gradients(int64_t window) {
    const auto ids = task_.ids.subspan(static_cast<size_t>(window * settings_.length),
                                       static_cast<size_t>(settings_.length));
    kernels::gather_rows(task_.weights.embedding.view(), {ids.data(), {settings_.length}}, before(0),
                         stream_);
    for (int64_t layer = 0; layer < layers(); ++layer) run(layer, before(layer + 1));
    const double loss = loss_.backward(before(layers()), ids, slope_.view(), stream_);
    check_loss(loss);
    for (int64_t layer = layers() - 1; layer >= 0; --layer) {
      run(layer, before(layer + 1));
      block_.backward(slope_.view(), gradients_[static_cast<size_t>(layer)], slope_.view(), stream_);
    }
    return loss;
  }

 private:
  static std::vector<std::span<float>> all_of(std::vector<LearnedBlock>& blocks) {
    std::vector<std::span<float>> all;
    for (LearnedBlock& block : blocks) {
      for (const std::span<float> tensor : tensors_of(block)) all.push_back(tensor);
    }
    return all;
  }
  [[nodiscard]] int64_t layers() const { return task_.weights.config.layers; }
  Matrix<float> before(int64_t layer) {
    return residual_.view().rows(layer * settings_.length, settings_.length);
  }
  void run(int64_t layer, Matrix<float> into) {
    block_.load(task_.weights, task_.pruning, layer, stream_);
    block_.run(before(layer), learned_.blocks[static_cast<size_t>(layer)], into, stream_);
  }

  const LearnedTask& task_;
  const LearnedSettings& settings_;
  LearnedTransforms& learned_;
  Stream& stream_;
  BlockBackward block_;
  TokenLoss loss_;
  std::vector<LearnedBlock> gradients_;
  Tensor<float, 2> residual_;  // [(layers + 1) * length, d_model] before each block, and after the last
  Tensor<float, 2> slope_;     // [length, d_model]
};

void start(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned) {
  for (size_t layer = 0; layer < learned.blocks.size(); ++layer) {
    LearnedBlock& block = learned.blocks[layer];
    block = zero_parameters(task.weights.config, settings.kind, task.pruning.blocks[layer]);
    if (settings.kind.rank == 0) continue;
    start_low_rank(settings.low_rank_start, task.weights.blocks[layer], static_cast<int64_t>(layer),
                   settings.kind.rank, settings.seed, block);
  }
}

}  // namespace

int64_t global_windows(const LearnedTask& task, const LearnedSettings& settings) {
  return std::min(settings.crops, static_cast<int64_t>(task.ids.size()) / settings.length);
}

void train_globally(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                    const std::function<void()>& save,
                    const std::function<void(const LearnedProgress&)>& progress, Memory& memory,
                    Stream& stream) {
  if (learned.finished == 0) start(task, settings, learned);
  GlobalTraining training(task, settings, learned, memory, stream);
  const std::vector<std::span<float>> parameters = training.parameters(), gradients = training.gradients();
  const int64_t windows = global_windows(task, settings);
  const std::vector<int64_t> order = crop_order(windows, settings.seed, 0);
  AdamW optimiser(settings.optimiser, learned.total);
  optimiser.restore(std::move(learned.optimiser));
  while (!learned.is_finished()) {
    const int64_t first = learned.finished * settings.accumulation;
    const int64_t end = std::min(first + settings.accumulation, windows);
    for (const std::span<float> gradient : gradients) std::fill(gradient.begin(), gradient.end(), 0.0f);
    for (int64_t i = first; i < end; ++i) {
      const double loss = training.add_gradients(order[static_cast<size_t>(i)]);
      progress({i + 1, windows, 0, loss});
    }
    optimiser.step(parameters, gradients, 1.0 / static_cast<double>(end - first));
    ++learned.finished;
    learned.optimiser = learned.is_finished() ? AdamW::State{} : optimiser.state();
    save();
  }
}

}  // namespace orthant::models
