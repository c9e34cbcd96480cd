// SparseGPT (Frantar and Alistarh, "SparseGPT: massive language models can be accurately pruned in one
// shot"): weights are removed input after input, and those to the right of a removed one make good for it on
// the calibration tokens.
//
// All is f64, like the factor: what a removed weight leaves behind passes through all inputs after it, and
// which weights go next depends on it. Results do not depend on the number of threads. Thread-safe for
// distinct weights. Not Collective.
#pragma once

#include "models/sparsity/input_hessian.h"
#include "models/sparsity/weight_pruning.h"

namespace orthant::models {

// Prunes `weights` [outputs, inputs] in place, on the CPU. The score of a weight is w^2 / U_jj^2. Groups keep
// their largest scores, ties to the lowest input, chosen when their first input is reached. Unstructured,
// blocks of 128 inputs of all outputs lose those below the (k + 1)-th smallest score, k = int(weights of the
// block * share); the original program removes that one too. Weights of dead inputs become 0. A pattern that
// removes nothing changes nothing.
void sparse_gpt(Matrix<float> weights, const HessianFactor& factor, const WeightPattern& pattern);

}  // namespace orthant::models
