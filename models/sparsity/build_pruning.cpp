#include "models/sparsity/build_pruning.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/sparsity/weight_gains.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

using Center = Transform::Center;

// Whether the projections that read an input have one mask.
bool shares_masks(const PruningMethod& method) {
  return (method.criterion == Criterion::kMagnitude || method.criterion == Criterion::kClact) &&
         !method.transform.scales_channels && method.transform.center != Center::kLearned;
}

kernels::RowCenter row_center(Center center) {
  switch (center) {
    case Center::kMedian:
      return kernels::RowCenter::kMedian;
    case Center::kMean:
      return kernels::RowCenter::kMean;
    case Center::kCalibrated:
      return kernels::RowCenter::kGiven;
    case Center::kNone:
    case Center::kLearned:  // zero until it is learned
      return kernels::RowCenter::kNone;
  }
  return kernels::RowCenter::kNone;
}

class PruningBuilder {
 public:
  PruningBuilder(const PruningRecipe& recipe, const ModelFile& file, const CalibratedCenters& centers,
                 Memory& memory, Stream& stream)
      : recipe_(recipe), file_(file), centers_(centers), memory_(memory), stream_(stream) {}

  ModelPruning build() {
    ModelPruning pruning;
    pruning.scope = recipe_.scope;
    pruning.blocks.resize(static_cast<size_t>(file_.config().layers));
    for (const int64_t layer : recipe_.layers) {
      for (const Projection projection : recipe_.projections) {
        pruning.blocks[static_cast<size_t>(layer)][static_cast<size_t>(projection)] =
            pruned(layer, projection, pruning.blocks[static_cast<size_t>(layer)]);
      }
    }
    return pruning;
  }

 private:
  PrunedProjection pruned(int64_t layer, Projection projection,
                          const std::array<PrunedProjection, kProjections>& block) {
    PrunedProjection result;
    const bool needs_weights =
        !shares_masks(recipe_.method) || recipe_.method.transform.center != Center::kNone;
    const Tensor<float, 2> weights =
        needs_weights ? read_projection(file_, layer, projection, host_) : Tensor<float, 2>();
    result.selection = shared_selection(layer, projection, block);
    if (result.selection == nullptr) result.selection = selection(layer, projection, weights);
    result.mending = mending(layer, projection, weights);
    return result;
  }

  std::shared_ptr<const InputSelection> shared_selection(
      int64_t layer, Projection projection, const std::array<PrunedProjection, kProjections>& block) {
    if (!shares_masks(recipe_.method)) return nullptr;
    for (int before = static_cast<int>(input_of(projection)); before < static_cast<int>(projection);
         ++before) {
      const auto other = static_cast<Projection>(before);
      const bool same_input = input_of(other) == input_of(projection);
      const bool same_center = recipe_.method.transform.center != Center::kCalibrated ||
                               center_of(layer, other) == center_of(layer, projection);
      if (same_input && same_center && block[static_cast<size_t>(before)].selection != nullptr)
        return block[static_cast<size_t>(before)].selection;
    }
    return nullptr;
  }

  std::shared_ptr<const InputSelection> selection(int64_t layer, Projection projection,
                                                  const Tensor<float, 2>& weights) {
    const int64_t inputs = shape_of(file_.config(), projection).inputs;
    const Criterion criterion = recipe_.method.criterion;
    auto chosen = std::make_shared<InputSelection>();
    chosen->pattern = row_pattern(recipe_.pattern, inputs,
                                  fmt::format("projection {} of block {}", name_of(projection), layer));
    if (recipe_.pattern.kind == SparsityPattern::Kind::kShare && criterion != Criterion::kMagnitude) {
      chosen->sequence_share = 1.0 - recipe_.pattern.sparsity();
      chosen->by_row_norm = criterion == Criterion::kClact;
    }
    set_gain(*chosen, weights);
    chosen->center = row_center(recipe_.method.transform.center);
    if (chosen->center == kernels::RowCenter::kGiven)
      chosen->given_center = uploaded(
          std::vector<float>(static_cast<size_t>(inputs), center_of(layer, projection)), memory_, stream_);
    chosen->restores_variance = recipe_.method.transform.restores_variance;
    return chosen;
  }

  void set_gain(InputSelection& chosen, const Tensor<float, 2>& weights) {
    if (recipe_.method.transform.scales_channels) {
      chosen.gain = InputGain::kColumnPeaks;
      chosen.gains = uploaded(weight_peaks(weights.view()), memory_, stream_);
    } else if (recipe_.method.criterion == Criterion::kClact) {
      chosen.gain = InputGain::kColumnNorms;
    } else if (recipe_.method.criterion != Criterion::kMagnitude) {
      chosen.gain = InputGain::kFixed;
      chosen.gains =
          uploaded(recipe_.method.criterion == Criterion::kAmber ? amber_gains(weights.view())
                                                                 : weight_variances(weights.view()),
                   memory_, stream_);
    }
  }

  OutputMending mending(int64_t layer, Projection projection, const Tensor<float, 2>& weights) {
    OutputMending result;
    const Center center = recipe_.method.transform.center;
    if (center == Center::kMedian || center == Center::kMean)
      result.weight_sums = uploaded(weighted_row_sums(weights.view()), memory_, stream_);
    if (center == Center::kCalibrated) {
      const std::vector<float> each(static_cast<size_t>(weights.shape()[1]), center_of(layer, projection));
      result.column_offsets = uploaded(weighted_row_sums(weights.view(), each), memory_, stream_);
    }
    return result;
  }

  [[nodiscard]] float center_of(int64_t layer, Projection projection) const {
    require(static_cast<int64_t>(centers_.size()) > layer, "the centres are of all layers");
    return centers_[static_cast<size_t>(layer)][static_cast<size_t>(projection)];
  }

  const PruningRecipe& recipe_;
  const ModelFile& file_;
  const CalibratedCenters& centers_;
  Memory& memory_;
  Stream& stream_;
  Memory host_{kCpu};
};

}  // namespace

Tensor<float, 2> read_projection(const ModelFile& file, int64_t layer, Projection projection,
                                 Memory& host_memory) {
  const ProjectionShape shape = shape_of(file.config(), projection);
  Tensor<float, 2> weights(host_memory, "projection", {shape.outputs, shape.inputs});
  file.read(weight_name(layer, projection), weights.view().span());
  return weights;
}

ModelPruning build_pruning(const PruningRecipe& recipe, const ModelFile& file,
                           const CalibratedCenters& centers, Memory& memory, Stream& stream) {
  require(!prunes_weights(recipe.method.criterion), "the inputs are pruned");
  if (const std::string why = conflict_of(recipe.method); !why.empty()) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("criterion {} with transform {}", name_of(recipe.method.criterion),
                                        to_string(recipe.method.transform)),
                 .why = why,
                 .suggestion = "choose another pair"});
  }
  return PruningBuilder(recipe, file, centers, memory, stream).build();
}

}  // namespace orthant::models
