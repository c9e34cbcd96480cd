// CUDA body of pair_gradients.h, called after its argument checks; without CUDA in the build it throws.
#pragma once

#include "kernels/neighbour/pair_gradients.h"

namespace orthant::kernels::cuda {

void pair_gradients(Matrix<const float> unit, Vector<const float> norms, Matrix<const float> visiting,
                    const PairList& pairs, double share, Matrix<float> gradient, Stream& stream);

}  // namespace orthant::kernels::cuda
