// CUDA bodies of neighbour.h, called after its argument checks; without CUDA in the build they throw. The
// results do not depend on the tile, for given products.
#pragma once

#include "kernels/neighbour/neighbour.h"

namespace orthant::kernels::cuda {

void nearest_neighbour(Matrix<const float> queries, const DenseWeights& candidates, int64_t candidate_offset,
                       Vector<const int64_t> excluded, TileView tile, Vector<float> best_value,
                       Vector<int64_t> best_index, Stream& stream);
void nearest_of_pairs(Matrix<const float> rows, const DenseWeights& same, int64_t band, TileView tile,
                      Vector<float> best_value, Vector<int64_t> best_index, Stream& stream);
void unit_rows(Matrix<const float> rows, Matrix<float> unit, Vector<float> norms, Stream& stream);

}  // namespace orthant::kernels::cuda
