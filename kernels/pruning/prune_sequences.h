// Pruning over all the entries of a sequence at once: of rows x width entries the `keep` largest survive.
//
// The score of an entry is (|x| * row factor) * gain; ties go to the lowest row, then the lowest column.
// Scores are compared by their bits, so CPU and CUDA keep the same entries. Thread-safe for distinct outputs.
#pragma once

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

struct PruneSequences {
  Matrix<const float> x;           // [rows, width]
  Vector<const int64_t> offsets;   // [sequences + 1] where the kernels read it, ascending from 0 to rows
  Vector<const int64_t> keep;      // [sequences] entries, at most those of the sequence
  Matrix<const float> gains = {};  // [sequences, width], or [1, width] for all; empty: 1
  bool by_row_norm = false;        // row factor 1 / (norm of the row + 1e-8), in place of 1 (CLACT)
};

// `scores` [rows, width] is scratch; `kept` may be x itself.
void prune_sequences(const PruneSequences& sequences, Matrix<float> scores, Matrix<float> kept,
                     Stream& stream);

}  // namespace orthant::kernels
