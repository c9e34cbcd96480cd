// The Llama 3 frequency scaling as a table of divisors, and back from such a table.
//
// With wavelength w = 2 pi theta^(2i / head_dim) and s = (original_context / w - low) / (high - low) clamped
// to [0, 1], frequency i is divided by 1 / ((1 - s) / factor + s). Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "models/formats/model_file.h"

namespace orthant::models {

// [head_dim / 2]
[[nodiscard]] std::vector<double> rope_divisors(const RopeScaling& scaling, double theta, int64_t head_dim);

// The scaling whose divisors these are, to a relative 1e-4; nothing when they are of another form. Low, high
// and original_context are determined up to a common factor only: Llama 3's own numbers are preferred.
[[nodiscard]] std::optional<RopeScaling> scaling_from_divisors(std::span<const float> divisors, double theta);

}  // namespace orthant::models
