// CUDA bodies of decode.h, called after its argument checks; without CUDA in the build they throw. All sums
// run in an order that depends on the shapes only.
#pragma once

#include "kernels/codes/decode.h"

namespace orthant::kernels::cuda {

void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out, Stream& stream);
void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error, Stream& stream);
void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients, Stream& stream);
void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients, Stream& stream);
void column_sums(Matrix<const float> matrix, Vector<double> sums, Stream& stream);

}  // namespace orthant::kernels::cuda
