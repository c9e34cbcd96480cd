#include "models/sparsity/center_calibration.h"

#include <algorithm>

#include "models/tasks/token_scores.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

constexpr Projection kReaders[] = {Projection::kQuery, Projection::kOutput, Projection::kGate,
                                   Projection::kDown};

// Sums over crops of the mean over tokens of the medians of what projections read.
class MedianSums {
 public:
  MedianSums(const ModelConfig& config, int64_t tokens, Memory& memory, Stream& stream)
      : stream_(stream),
        sums_(static_cast<size_t>(config.layers)),
        kept_(memory, "calibration",
              {tokens, std::max({config.d_model, config.heads * config.head_dim, config.d_mlp})}),
        centers_(memory, "calibration", {tokens}) {}

  void add(int64_t layer, Projection projection, Matrix<const float> x) {
    const int64_t tokens = x.shape[0];
    kernels::prune_rows(
        {.x = x, .pattern = {x.shape[1], 0}, .center = kernels::RowCenter::kMedian},
        {.kept = {kept_.data(), x.shape, x.device}, .centers = centers_.view().rows(0, tokens)}, stream_);
    std::vector<float> medians(static_cast<size_t>(tokens));
    copy_in_order(medians.data(), centers_.data(), tokens * static_cast<int64_t>(sizeof(float)), stream_);
    double sum = 0.0;
    for (const float median : medians) sum += median;
    sums_[static_cast<size_t>(layer)][static_cast<size_t>(projection)] += sum / static_cast<double>(tokens);
  }

  [[nodiscard]] CalibratedCenters means(int64_t crops) const {
    CalibratedCenters centers;
    for (const auto& layer : sums_) {
      auto& of_layer = centers.emplace_back();
      Projection reader = Projection::kQuery;
      for (int p = 0; p < kProjections; ++p) {
        if (std::find(std::begin(kReaders), std::end(kReaders), static_cast<Projection>(p)) !=
            std::end(kReaders))
          reader = static_cast<Projection>(p);
        of_layer[static_cast<size_t>(p)] =
            static_cast<float>(layer[static_cast<size_t>(reader)] / static_cast<double>(crops));
      }
    }
    return centers;
  }

 private:
  Stream& stream_;
  std::vector<std::array<double, kProjections>> sums_;
  Tensor<float, 2> kept_;
  Tensor<float, 1> centers_;
};

}  // namespace

CalibratedCenters calibrate_centers(const Weights& weights, const ModelFile& file, PruningRecipe recipe,
                                    std::span<const std::span<const int32_t>> crops,
                                    const std::function<void(int64_t)>& progress, Memory& memory,
                                    Stream& stream) {
  require(!crops.empty(), "centres are measured on crops");
  recipe.method.transform.center = Transform::Center::kMedian;
  const ModelPruning pruning = build_pruning(recipe, file, {}, memory, stream);
  int64_t longest = 0;
  for (const auto& crop : crops) longest = std::max(longest, static_cast<int64_t>(crop.size()));
  const RunLimits limits{.tokens = longest, .sequences = 1, .positions = longest};
  RunState state(memory, weights, limits);
  PruningState pruning_state(memory, weights.config, limits, true, pruning.rank());
  MedianSums sums(weights.config, longest, memory, stream);
  const ProjectionInputs inputs = [&](int64_t layer, Projection projection, Matrix<const float> x) {
    sums.add(layer, projection, x);
  };
  int64_t done = 0;
  for (const auto& crop : crops) {
    const int64_t offsets[] = {0, static_cast<int64_t>(crop.size())};
    const int64_t last_row = offsets[1] - 1;
    (void)forward(weights,
                  {.batch = {crop, offsets},
                   .logit_rows = {&last_row, 1},
                   .pruning = &pruning,
                   .pruning_state = &pruning_state,
                   .inputs = &inputs},
                  state, stream);
    progress(++done);
  }
  return sums.means(done);
}

}  // namespace orthant::models
