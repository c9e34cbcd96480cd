// One-to-one assignment of the latents of two dictionaries that makes the sum of their cosines largest, over
// the candidates that each has.
//
// An auction (Bertsekas): rows bid for columns until no row would gain more than epsilon by another. Its
// prices bound the best possible sum from above, of the candidates and of all pairs, so the result says how
// far from optimal it can be. Pure; deterministic.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace orthant::sae {

struct Candidate {
  int64_t column = 0;
  double value = 0.0;  // above 0
};

struct Assignment {
  std::vector<int64_t> column;  // [rows] -1: none is worth more than nothing
  double sum = 0.0;             // of the values of assigned pairs
  // No assignment has a larger sum: over the candidates, and over all pairs where every value that is no
  // candidate is at most the row's cut.
  double bound = 0.0;
  double bound_of_all_pairs = 0.0;
};

// `candidates` [rows]; `cuts` [rows] what a value that is no candidate of the row can be at most (0 or less:
// nothing is left out). `epsilon` > 0: what a row may lose; the sum is within rows * epsilon of `bound`.
[[nodiscard]] Assignment assign(std::span<const std::vector<Candidate>> candidates,
                                std::span<const double> cuts, int64_t columns, double epsilon);

}  // namespace orthant::sae
