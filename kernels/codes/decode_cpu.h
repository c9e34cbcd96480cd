// CPU bodies of decode.h, called after its argument checks. Threads are OpenMP's; bits do not depend on them.
#pragma once

#include "kernels/codes/decode.h"

namespace orthant::kernels::cpu {

void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out);
void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error);
void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients);
void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients);
void column_sums(Matrix<const float> matrix, Vector<double> sums);

}  // namespace orthant::kernels::cpu
