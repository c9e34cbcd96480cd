// Pruning of a projection's weights by scores that need no inverse Hessian: magnitude and Wanda.
//
// Weights are [outputs, inputs] on the CPU and are pruned in place: what is removed becomes 0, what is kept
// keeps its bits. Results do not depend on the number of threads. Thread-safe for distinct weights. Not
// Collective.
#pragma once

#include "kernels/pruning/prune_rows.h"

namespace orthant::models {

// Which weights of a projection stay.
struct WeightPattern {
  kernels::PrunePattern groups;  // along the inputs of each output; group 0: unstructured
  double removed_share = 0.0;    // of the weights, unstructured; 0 to 1
  [[nodiscard]] bool is_unstructured() const { return groups.group == 0; }
};

// The share of `count`, rounded down as the product of doubles (activation_sparsity 2).
[[nodiscard]] int64_t share_of_weights(int64_t count, double share);

// Keeps the largest |w| of each group, ties to the lowest input. The group divides the inputs; group 0 is the
// whole row.
void keep_largest(Matrix<float> weights, kernels::PrunePattern pattern, Stream& stream);

// Magnitude (activation_sparsity 6): groups, or over the whole matrix |w| >= t with t the k-th smallest |w|,
// k = int(elements * share); k = 0 removes nothing.
void prune_by_magnitude(Matrix<float> weights, const WeightPattern& pattern, Stream& stream);

// Wanda (Sun et al., "A simple and effective pruning approach for large language models", equation 1): the
// score is |w| times the norm of its input over the calibration tokens, compared in its group or, removing
// int(inputs * share), in its row; ties to the lowest input. `input_norms` [inputs]; a common factor of them
// changes nothing.
void prune_by_wanda(Matrix<float> weights, Vector<const float> input_norms, const WeightPattern& pattern,
                    Stream& stream);

}  // namespace orthant::models
