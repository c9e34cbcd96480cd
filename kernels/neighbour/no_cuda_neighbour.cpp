#include "kernels/dispatch.h"
#include "kernels/neighbour/neighbour_cuda.h"

namespace orthant::kernels::cuda {

void nearest_neighbour(Matrix<const float> queries, const DenseWeights&, int64_t, Vector<const int64_t>,
                       TileView, Vector<float>, Vector<int64_t>, Stream&) {
  throw_no_body("nearest_neighbour", queries.device);
}

void nearest_of_pairs(Matrix<const float> rows, const DenseWeights&, int64_t, TileView, Vector<float>,
                      Vector<int64_t>, Stream&) {
  throw_no_body("nearest_of_pairs", rows.device);
}

void unit_rows(Matrix<const float> rows, Matrix<float>, Vector<float>, Stream&) {
  throw_no_body("unit_rows", rows.device);
}

}  // namespace orthant::kernels::cuda
