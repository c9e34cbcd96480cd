#include "models/adapt/train_by_layers.h"

#include <algorithm>

#include "kernels/transformer/chosen_rows.h"
#include "models/adapt/block_backward.h"
#include "models/adapt/crops.h"

namespace orthant::models {
namespace {

// sum of (a - b)^2, in f64 over ascending elements.
double squared_error(Matrix<const float> a, Matrix<const float> b) {
  double sum = 0.0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    const double difference = static_cast<double>(a.data[i]) - b.data[i];
    sum += difference * difference;
  }
  return sum;
}

class LayerTraining {
 public:
  LayerTraining(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                Memory& memory, Stream& stream)
      : task_(task),
        settings_(settings),
        learned_(learned),
        stream_(stream),
        crops_(settings.crops + settings.held_out),
        block_(memory, task.weights.config, settings.kind, settings.length),
        residual_(memory, "crops", {crops_ * settings.length, task.weights.config.d_model}),
        target_(memory, "crops", {settings.length, task.weights.config.d_model}),
        output_(memory, "crops", {settings.length, task.weights.config.d_model}) {
    embed();
  }

  // The block that the next calls are of.
  void load(int64_t layer) { block_.load(task_.weights, task_.pruning, layer, stream_); }

  // Brings the crops to the next block.
  void pass_on(int64_t layer) {
    for (int64_t crop = 0; crop < crops_; ++crop) {
      block_.run(of(crop), parameters(layer), output_.view(), stream_);
      std::copy_n(output_.data(), output_.view().elements(), of(crop).data);
    }
  }

  void train(int64_t layer, const std::function<void(const LearnedProgress&)>& progress) {
    LearnedBlock& own = parameters(layer);
    const auto& pruned = task_.pruning.blocks[static_cast<size_t>(layer)];
    own = zero_parameters(task_.weights.config, settings_.kind, pruned);
    BlockError& error = learned_.block_errors[static_cast<size_t>(layer)];
    // Without what is learned: a low-rank pair that is zero adds nothing.
    error.before = held_out_error(own);
    if (settings_.kind.rank > 0) {
      start_low_rank(settings_.low_rank_start, task_.weights.blocks[static_cast<size_t>(layer)], layer,
                     settings_.kind.rank, settings_.seed, own);
    }
    LearnedBlock gradients = zero_parameters(task_.weights.config, settings_.kind, pruned);
    const std::vector<std::span<float>> values = tensors_of(own), slopes = tensors_of(gradients);
    const int64_t steps = (settings_.crops + settings_.accumulation - 1) / settings_.accumulation;
    AdamW optimiser(settings_.optimiser, steps);
    const std::vector<int64_t> order = crop_order(settings_.crops, settings_.seed, layer);
    for (int64_t first = 0; first < settings_.crops; first += settings_.accumulation) {
      const int64_t end = std::min(first + settings_.accumulation, settings_.crops);
      for (const std::span<float> slope : slopes) std::fill(slope.begin(), slope.end(), 0.0f);
      for (int64_t i = first; i < end; ++i) {
        const double loss = add_gradients(order[static_cast<size_t>(i)], own, gradients);
        progress({layer * settings_.crops + i + 1, learned_.total * settings_.crops, layer, loss});
      }
      optimiser.step(values, slopes, 1.0 / static_cast<double>(end - first));
    }
    error.after = held_out_error(own);
  }

 private:
  Matrix<float> of(int64_t crop) { return residual_.view().rows(crop * settings_.length, settings_.length); }
  LearnedBlock& parameters(int64_t layer) { return learned_.blocks[static_cast<size_t>(layer)]; }

  void embed() {
    const auto tokens = static_cast<int64_t>(task_.ids.size());
    const std::vector<int64_t> starts = crop_starts(tokens, crops_, settings_.length, settings_.seed);
    for (int64_t crop = 0; crop < crops_; ++crop) {
      const int64_t start = starts[static_cast<size_t>(crop)];
      kernels::gather_rows(task_.weights.embedding.view(), {task_.ids.data() + start, {settings_.length}},
                           of(crop), stream_);
    }
  }

  // The mean squared error of a crop; adds its gradients.
  double add_gradients(int64_t crop, const LearnedBlock& own, LearnedBlock& gradients) {
    block_.run_dense(of(crop), target_.view(), stream_);
    block_.run(of(crop), own, output_.view(), stream_);
    const int64_t elements = output_.view().elements();
    const double loss = squared_error(output_.view(), target_.view()) / static_cast<double>(elements);
    check_loss(loss);
    const float factor = 2.0f / static_cast<float>(elements);
    for (int64_t i = 0; i < elements; ++i) {
      output_.data()[i] = factor * (output_.data()[i] - target_.data()[i]);
    }
    block_.backward(output_.view(), gradients, output_.view(), stream_);
    return loss;
  }

  float held_out_error(const LearnedBlock& own) {
    double sum = 0.0;
    for (int64_t crop = settings_.crops; crop < crops_; ++crop) {
      block_.run_dense(of(crop), target_.view(), stream_);
      block_.run(of(crop), own, output_.view(), stream_);
      sum += squared_error(output_.view(), target_.view());
    }
    const int64_t elements = settings_.held_out * output_.view().elements();
    return elements == 0 ? 0.0f : static_cast<float>(sum / static_cast<double>(elements));
  }

  const LearnedTask& task_;
  const LearnedSettings& settings_;
  LearnedTransforms& learned_;
  Stream& stream_;
  int64_t crops_;
  BlockBackward block_;
  Tensor<float, 2> residual_;  // [crops * length, d_model] before the current block
  Tensor<float, 2> target_;    // [length, d_model]
  Tensor<float, 2> output_;    // [length, d_model]
};

}  // namespace

void train_by_layers(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                     const std::function<void()>& save,
                     const std::function<void(const LearnedProgress&)>& progress, Memory& memory,
                     Stream& stream) {
  LayerTraining training(task, settings, learned, memory, stream);
  for (int64_t layer = 0; layer < learned.finished; ++layer) {
    training.load(layer);
    training.pass_on(layer);
  }
  while (!learned.is_finished()) {
    const int64_t layer = learned.finished;
    training.load(layer);
    training.train(layer, progress);
    ++learned.finished;
    save();
    if (!learned.is_finished()) training.pass_on(layer);
  }
}

}  // namespace orthant::models
