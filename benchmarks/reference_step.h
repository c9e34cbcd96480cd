// The sum of squared errors of the first training step in double precision: by the plain formulas, all
// activations at once and selection by sorting.
#pragma once

#include "sae/dictionary/dictionary.h"

namespace orthant::benchmarks {

// Of the rows `x` [rows, d_model] (raw) under a whole, initialised dictionary of topk or batchtopk with unit
// mean square or no input scaling.
[[nodiscard]] double reference_squared_error(const sae::Dictionary& dictionary, Matrix<const float> x);

}  // namespace orthant::benchmarks
