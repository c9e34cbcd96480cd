// How the weights of a skipping product are stored (input_major_weights.h). Thread-safe.
#pragma once

#include <stdint.h>

namespace orthant::kernels {

enum class WeightFormat { kF32, kBF16, kQ8 };

// Outputs that share a scale of q8.
inline constexpr int64_t kQ8Block = 32;
// Rows are padded to a multiple of this many outputs.
inline constexpr int64_t kOutputPadding = 64;

}  // namespace orthant::kernels
