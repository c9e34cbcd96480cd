#include "models/sparsity/weight_pruning.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

void remove_smallest(Matrix<float> weights, double share) {
  const int64_t removed = share_of_weights(weights.elements(), share);
  if (removed == 0) return;
  std::vector<float> magnitudes;
  magnitudes.reserve(static_cast<size_t>(weights.elements()));
  for (const float weight : weights.span()) magnitudes.push_back(std::fabs(weight));
  const auto last = magnitudes.begin() + (removed - 1);
  std::nth_element(magnitudes.begin(), last, magnitudes.end());
  for (float& weight : weights.span()) {
    if (std::fabs(weight) < *last) weight = 0.0f;
  }
}

}  // namespace

int64_t share_of_weights(int64_t count, double share) {
  require(share >= 0.0 && share <= 1.0, "a share of weights is 0 to 1");
  return static_cast<int64_t>(static_cast<double>(count) * share);
}

void keep_largest(Matrix<float> weights, kernels::PrunePattern pattern, Stream& stream) {
  kernels::prune_rows({.x = weights, .pattern = pattern}, {.kept = weights}, stream);
}

void prune_by_magnitude(Matrix<float> weights, const WeightPattern& pattern, Stream& stream) {
  if (pattern.is_unstructured()) {
    remove_smallest(weights, pattern.removed_share);
  } else {
    keep_largest(weights, pattern.groups, stream);
  }
}

void prune_by_wanda(Matrix<float> weights, Vector<const float> input_norms, const WeightPattern& pattern,
                    Stream& stream) {
  const int64_t inputs = weights.shape[1];
  require(input_norms.shape[0] == inputs, "each input has a norm");
  const kernels::PrunePattern kept =
      pattern.is_unstructured()
          ? kernels::PrunePattern{inputs - share_of_weights(inputs, pattern.removed_share), 0}
          : pattern.groups;
  const Matrix<const float> gains{input_norms.data, {1, inputs}, input_norms.device};
  kernels::prune_rows({.x = weights, .pattern = kept, .gains = gains}, {.kept = weights}, stream);
}

}  // namespace orthant::models
