// The bodies of kernels/pruning/*.h on CUDA. Shapes have been checked. Not Collective.
#pragma once

#include "kernels/pruning/column_norms.h"
#include "kernels/pruning/mend_products.h"
#include "kernels/pruning/prune_rows.h"
#include "kernels/pruning/prune_sequences.h"
#include "kernels/pruning/variance_factors.h"

namespace orthant::kernels::cuda {

void prune_rows(const PruneRows& rows, const PrunedRows& into, Stream& stream);
void mend_products(const Mending& mending, Matrix<float> y, Stream& stream);
void column_norms(Matrix<const float> x, Vector<const int64_t> offsets, Matrix<float> norms, Stream& stream);
void column_peak_gains(Matrix<const float> x, Vector<const int64_t> offsets, Vector<const float> weight_peaks,
                       Matrix<float> gains, Stream& stream);
void prune_sequences(const PruneSequences& sequences, Matrix<float> scores, Matrix<float> kept,
                     Stream& stream);
void variance_factors(Matrix<const float> x, Matrix<const float> kept, Vector<float> factors, Stream& stream);

}  // namespace orthant::kernels::cuda
