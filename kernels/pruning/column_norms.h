// Statistics of the columns of sequences that lie end to end, for criteria that look across tokens.
//
// Sums are f64 over ascending rows, so CPU and CUDA give the same bits. Thread-safe for distinct outputs.
#pragma once

#include <span>

#include "runtime/device/stream.h"
#include "runtime/device/tensor.h"

namespace orthant::kernels {

// norms[s, j] = sqrt(sum of x[r, j]^2) over the rows r of sequence s. `x` [rows, width]; sequence s is rows
// [offsets[s], offsets[s + 1]), offsets [sequences + 1] where the kernels read it; `norms` [sequences,
// width].
void column_norms(Matrix<const float> x, Vector<const int64_t> offsets, Matrix<float> norms, Stream& stream);

// gains[s, j] = sqrt(weight_peaks[j] / max of |x[r, j]|) over the rows r of sequence s, 1 where the column is
// 0: the reciprocal of the scale of PCS (activation_sparsity 4). `weight_peaks` [width], at least 1e-8.
void column_peak_gains(Matrix<const float> x, Vector<const int64_t> offsets, Vector<const float> weight_peaks,
                       Matrix<float> gains, Stream& stream);

}  // namespace orthant::kernels
