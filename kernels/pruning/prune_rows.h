// What of the inputs of a linear layer survives: the largest |x - center| * gain of each group of
// neighbouring columns; the rest becomes 0.
//
// Scores are f32 products compared by their bits, so ties are exact; they go to the lowest column. A NaN
// counts as larger than infinity. N:N keeps every bit of a row that is not centred. CPU and CUDA keep the
// same columns where centers are given or none; medians are exact, means and variances are summed in f64.
// Rows depend on themselves alone. Thread-safe for distinct outputs.
#pragma once

#include "kernels/pruning/row_producer.h"

namespace orthant::kernels {

// `keep` of every `group` neighbouring columns; group 0: of the whole row.
struct PrunePattern {
  int64_t keep = 0;
  int64_t group = 0;
  bool operator==(const PrunePattern&) const = default;
};

// What is subtracted from a row before it is pruned (activation_sparsity 4, D-PTS: the median; of an even
// number of columns the lower one of the two in the middle).
enum class RowCenter { kNone, kMedian, kMean, kGiven };

struct PruneRows {
  // [rows, width]; with a producer, what it makes of these is x in all that follows.
  Matrix<const float> x;
  PrunePattern pattern;  // group divides width
  // [sets, width]; empty: all 1. Row r has set gain_sets[r], or set 0 where that is empty.
  Matrix<const float> gains = {};
  Vector<const int32_t> gain_sets = {};
  RowCenter center = RowCenter::kNone;
  Vector<const float> given_center = {};  // [width], for kGiven
  RowProducer producer = {};
};

struct PrunedRows {
  Matrix<float> kept;          // [rows, width] x - center where it survives, else 0; may be PruneRows::x
  Vector<float> centers = {};  // [rows] of kMedian and kMean; else empty
  // [rows] sqrt(Var(x) / max(Var(kept), 1e-9)), unbiased, over all columns; or empty
  Vector<float> factors = {};
  Matrix<float> rest = {};  // [rows, width] x where it does not survive, else 0; or empty. Of no centre only
};

void prune_rows(const PruneRows& rows, const PrunedRows& into, Stream& stream);

}  // namespace orthant::kernels
