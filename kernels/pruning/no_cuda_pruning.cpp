#include "kernels/dispatch.h"
#include "kernels/pruning/pruning_cuda.h"

namespace orthant::kernels::cuda {

void prune_rows(const PruneRows& rows, const PrunedRows&, Stream&) {
  throw_no_body("prune_rows", rows.x.device);
}

void mend_products(const Mending&, Matrix<float> y, Stream&) {
  throw_no_body("mend_products", y.device);
}

void column_norms(Matrix<const float> x, Vector<const int64_t>, Matrix<float>, Stream&) {
  throw_no_body("column_norms", x.device);
}

void column_peak_gains(Matrix<const float> x, Vector<const int64_t>, Vector<const float>, Matrix<float>,
                       Stream&) {
  throw_no_body("column_peak_gains", x.device);
}

void prune_sequences(const PruneSequences& sequences, Matrix<float>, Matrix<float>, Stream&) {
  throw_no_body("prune_sequences", sequences.x.device);
}

void variance_factors(Matrix<const float> x, Matrix<const float>, Vector<float>, Stream&) {
  throw_no_body("variance_factors", x.device);
}

}  // namespace orthant::kernels::cuda
