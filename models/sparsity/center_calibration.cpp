#include "models/sparsity/center_calibration.h"

#include <algorithm>
#include <numeric>

#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

// Sums what projections read, crop by crop.
class MedianMeter {
 public:
  MedianMeter(const ModelConfig& config, int64_t tokens, Memory& memory, Stream& stream)
      : stream_(stream),
        layers_(static_cast<size_t>(config.layers)),
        kept_(memory, "calibration", {tokens, widest_row(config)}),
        centers_(memory, "calibration", {tokens}) {}

  void begin() { crop_ = CropMedians(layers_); }
  // Projections after `projection` that read the same input get the same mean.
  void add(int64_t layer, Projection projection, Matrix<const float> x) {
    const int64_t tokens = x.shape[0];
    kernels::prune_rows(
        {.x = x, .pattern = {x.shape[1], 0}, .center = kernels::RowCenter::kMedian},
        {.kept = {kept_.data(), x.shape, x.device}, .centers = centers_.view().rows(0, tokens)}, stream_);
    std::vector<float> medians(static_cast<size_t>(tokens));
    copy_in_order(medians.data(), centers_.data(), tokens * static_cast<int64_t>(sizeof(float)), stream_);
    const double mean = std::accumulate(medians.begin(), medians.end(), 0.0) / static_cast<double>(tokens);
    for (int reader = static_cast<int>(projection); reader <= static_cast<int>(last_reader(projection));
         ++reader)
      crop_[static_cast<size_t>(layer)][static_cast<size_t>(reader)] = mean;
  }
  [[nodiscard]] const CropMedians& crop() const { return crop_; }

 private:
  static Projection last_reader(Projection first) {
    if (first == Projection::kQuery) return Projection::kValue;
    return first == Projection::kGate ? Projection::kUp : first;
  }
  Stream& stream_;
  size_t layers_;
  CropMedians crop_;
  Tensor<float, 2> kept_;
  Tensor<float, 1> centers_;
};

}  // namespace

std::vector<CropMedians> crop_medians(const Weights& weights, const ModelFile& file, PruningRecipe recipe,
                                      std::span<const std::span<const int32_t>> crops, Memory& memory,
                                      Stream& stream) {
  std::vector<CropMedians> medians;
  if (crops.empty()) return medians;
  recipe.method.transform.center = Transform::Center::kMedian;
  const ModelPruning pruning = build_pruning(recipe, file, {}, memory, stream);
  int64_t longest = 0;
  for (const auto& crop : crops) longest = std::max(longest, static_cast<int64_t>(crop.size()));
  const RunLimits limits{.tokens = longest, .sequences = 1, .positions = longest};
  RunState state(memory, weights, limits);
  PruningState pruning_state(memory, weights.config, limits, true, pruning.rank());
  MedianMeter meter(weights.config, longest, memory, stream);
  const ProjectionInputs inputs = [&](int64_t layer, Projection projection, Matrix<const float> x) {
    meter.add(layer, projection, x);
  };
  for (const auto& crop : crops) {
    const int64_t offsets[] = {0, static_cast<int64_t>(crop.size())};
    const int64_t last_row = offsets[1] - 1;
    meter.begin();
    (void)forward(weights,
                  {.batch = {.token_ids = crop, .offsets = offsets},
                   .logit_rows = {&last_row, 1},
                   .pruning = &pruning,
                   .pruning_state = &pruning_state,
                   .inputs = &inputs},
                  state, stream);
    medians.push_back(meter.crop());
  }
  return medians;
}

CalibratedCenters mean_centers(std::span<const CropMedians> crops) {
  require(!crops.empty(), "centres are means over crops");
  CalibratedCenters centers(crops[0].size());
  for (size_t layer = 0; layer < centers.size(); ++layer) {
    for (size_t p = 0; p < kProjections; ++p) {
      double sum = 0.0;
      for (const CropMedians& crop : crops) sum += crop[layer][p];
      centers[layer][p] = static_cast<float>(sum / static_cast<double>(crops.size()));
    }
  }
  return centers;
}

}  // namespace orthant::models
