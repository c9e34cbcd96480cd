// How the rows of two models (or of two hooks) at the same tokens differ: norms, cosines, relative
// differences and what one explains of the other. Sums are f64 and have the same bits at any number of ranks
// (BlockSums). Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/device/tensor.h"
#include "runtime/job/block_sums.h"
#include "sae/measure/histogram.h"

namespace orthant::sae {

// Of rows x of the first and y of the other; means over rows.
struct ActivationDifference {
  int64_t rows = 0;
  double norm = 0.0;                 // |x|
  double other_norm = 0.0;           // |y|
  double difference_norm = 0.0;      // |y - x|
  double relative_difference = 0.0;  // |y - x| / |x|, of rows x that are not 0
  double norm_ratio = 0.0;           // |y| / |x|, of rows x that are not 0
  double cosine = 0.0;               // of rows where neither is 0
  // Of the variance of y what x explains, taken as it is: 1 - sum |y - x|^2 / sum |y - mean y|^2; below 0
  // where the mean of y is nearer than x. And of the variance of x what y explains.
  double explained_of_other = 0.0;
  double explained_of_first = 0.0;
  // Correlation of all centred coordinates: its square is what the best scaled and shifted x explains of y.
  double correlation = 0.0;
  double mean_shift = 0.0;  // |mean y - mean x|
  Histogram cosines = {};   // of rows, from -1 to 1
};

class ActivationDifferenceSums {
 public:
  // `widths`: d_model of each place (a pair of hooks). `rank`: see BlockSums.
  ActivationDifferenceSums(std::vector<int64_t> widths, int bins, int rank);

  // Local. Rows `counted` of this rank's block at every place: `first`, `other` [places] of
  // [rows, widths[place]].
  void take(std::span<const Matrix<const float>> first, std::span<const Matrix<const float>> other,
            std::span<const int64_t> counted);
  // Collective. Ends the round.
  void add(Communicator& ranks) { sums_.add(ranks); }

  // After all rounds. Throws Error(kNonFinite) naming the place where rows are not finite.
  [[nodiscard]] ActivationDifference difference(size_t place) const;
  [[nodiscard]] BlockSums& state() { return sums_; }

 private:
  std::vector<int64_t> widths_;
  int bins_;
  std::vector<size_t> begins_;  // of the sums of each place, and the end
  BlockSums sums_;
};

}  // namespace orthant::sae
