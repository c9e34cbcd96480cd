#include "models/sparsity/retained_inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/device/host_copy.h"

namespace orthant::models {
namespace {

using kernels::RetainedEnergy;

// The means over the rows of `x`, which is on the host, times the rows.
RetainedEnergy sums_over_rows(Matrix<const float> x, const SparsityPattern& pattern,
                              const std::string& what) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  if (pattern.is_dense()) return {static_cast<double>(rows), static_cast<double>(rows)};
  const kernels::PrunePattern kept = row_pattern(pattern, width, what);
  if (kept.keep == 0) return {0.0, 0.0};
  std::vector<RetainedEnergy> shares(static_cast<size_t>(rows));
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < rows; ++row) {
    shares[static_cast<size_t>(row)] =
        kernels::retained_energy(x.rows(row, 1), kept.keep, kept.group == 0 ? width : kept.group);
  }
  RetainedEnergy sums{0.0, 0.0};
  for (const RetainedEnergy& share : shares) {
    sums.squares += share.squares;
    sums.magnitudes += share.magnitudes;
  }
  return sums;
}

// Sums of shares of every input of a model, crop by crop.
class RetainedMeter {
 public:
  RetainedMeter(const ModelConfig& config, std::span<const SparsityPattern> patterns, int64_t longest,
                Device device)
      : patterns_(patterns.begin(), patterns.end()),
        host_(device, longest * widest_row(config) * static_cast<int64_t>(sizeof(float))) {}

  void add(int64_t layer, Projection projection, Matrix<const float> x, Stream& stream) {
    const Matrix<const float> on_host = host_.of(x, stream);
    const std::string what = fmt::format("projection {}", name_of(projection));
    RetainedInputs& sums = of(layer, projection);
    for (size_t p = 0; p < patterns_.size(); ++p) {
      const RetainedEnergy more = sums_over_rows(on_host, patterns_[p], what);
      sums.patterns[p].squares += more.squares;
      sums.patterns[p].magnitudes += more.magnitudes;
    }
  }

  [[nodiscard]] std::vector<RetainedInputs> means(int64_t tokens) && {
    for (RetainedInputs& input : inputs_) {
      for (RetainedEnergy& pattern : input.patterns) {
        pattern.squares /= static_cast<double>(tokens);
        pattern.magnitudes /= static_cast<double>(tokens);
      }
    }
    return std::move(inputs_);
  }

 private:
  // In the order in which the first crop shows them.
  RetainedInputs& of(int64_t layer, Projection projection) {
    const auto found = std::find_if(inputs_.begin(), inputs_.end(), [&](const RetainedInputs& input) {
      return input.layer == layer && input.projection == projection;
    });
    if (found != inputs_.end()) return *found;
    inputs_.push_back({layer, projection, std::vector<RetainedEnergy>(patterns_.size(), {0.0, 0.0})});
    return inputs_.back();
  }

  std::vector<SparsityPattern> patterns_;
  HostCopy host_;
  std::vector<RetainedInputs> inputs_;
};

}  // namespace

std::vector<RetainedInputs> retained_inputs(const Weights& weights, std::span<const SparsityPattern> patterns,
                                            std::span<const std::span<const int32_t>> crops, Memory& memory,
                                            Stream& stream) {
  int64_t longest = 0, tokens = 0;
  for (const auto& crop : crops) {
    longest = std::max(longest, static_cast<int64_t>(crop.size()));
    tokens += static_cast<int64_t>(crop.size());
  }
  if (tokens == 0) return {};
  const RunLimits limits{.tokens = longest, .sequences = 1, .positions = longest};
  RunState state(memory, weights, limits);
  PruningState pruning_state(memory, weights.config, limits, true);
  RetainedMeter meter(weights.config, patterns, longest, memory.device());
  const ProjectionInputs inputs = [&](int64_t layer, Projection projection, Matrix<const float> x) {
    meter.add(layer, projection, x, stream);
  };
  for (const auto& crop : crops) {
    if (crop.empty()) continue;
    const int64_t offsets[] = {0, static_cast<int64_t>(crop.size())};
    const int64_t last_row = offsets[1] - 1;
    (void)forward(weights,
                  {.batch = {.token_ids = crop, .offsets = offsets},
                   .logit_rows = {&last_row, 1},
                   .pruning_state = &pruning_state,
                   .inputs = &inputs},
                  state, stream);
  }
  return std::move(meter).means(tokens);
}

}  // namespace orthant::models
