// The decoder bias at the start of training.
#pragma once

#include <vector>

#include "runtime/device/tensor.h"

namespace orthant::sae {

// The point with the least sum of distances to the rows, by Weiszfeld's iteration from the mean: at most 100
// rounds, until it moves less than 1e-5. `rows` [rows, d_model].
[[nodiscard]] std::vector<double> geometric_median(Matrix<const float> rows);

[[nodiscard]] std::vector<double> mean_row(Matrix<const float> rows);

}  // namespace orthant::sae
