// How many inputs survive: N of every M neighbouring ones, or a share of all. Values; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "kernels/pruning/prune_rows.h"

namespace orthant::models {

struct SparsityPattern {
  enum class Kind { kDense, kGroups, kShare };
  Kind kind = Kind::kDense;
  int64_t keep = 0;      // of kGroups
  int64_t group = 0;     // of kGroups
  double percent = 0.0;  // of kShare: what does not survive
  [[nodiscard]] double sparsity() const { return percent / 100.0; }
  [[nodiscard]] bool is_dense() const { return kind == Kind::kDense; }
};

// "dense", "8:16", "50%". Throws Error(kConfig) for what is none of them, N > M, M < 1, and shares beyond 0
// to 100 %.
[[nodiscard]] SparsityPattern parse_pattern(std::string_view name);
[[nodiscard]] std::string to_string(const SparsityPattern& pattern);

// Of rows of `inputs`: int(inputs * (1 - sparsity)) survive of a share, in f64 as Python has it
// (activation_sparsity 2). Throws Error(kConfig) naming `what` where the group does not divide the inputs.
// Not of a dense pattern.
[[nodiscard]] kernels::PrunePattern row_pattern(const SparsityPattern& pattern, int64_t inputs,
                                                std::string_view what);

}  // namespace orthant::models
