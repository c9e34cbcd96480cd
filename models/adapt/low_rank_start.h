// Where the low-rank pair A [outputs, rank], B [rank, inputs] of a projection begins (activation_sparsity 4,
// R-Sparse).
//
// Bits do not depend on threads. Thread-safe.
#pragma once

#include "models/adapt/learned_parameters.h"

namespace orthant::models {

enum class LowRankStart {
  kRandom,  // 0.02 times normal numbers, as the reference program
  kSvd,     // the truncated singular value decomposition of W, the roots of its values in both, as the paper
            // says
};

// Fills the pairs of a block that are not empty. `seed` is of kRandom. Throws Error(kConfig) for a rank above
// that of a projection's weights.
void start_low_rank(LowRankStart start, const BlockWeights& weights, int64_t layer, int64_t rank,
                    uint64_t seed, LearnedBlock& block);

}  // namespace orthant::models
