// From codes back to rows, and the gradients of the values. Decoder rows are latent-major: [local_latents,
// d_model].
//
// Codes may hold latents of other shards; only those in [first_latent, first_latent + local_latents) are
// used. Sums over the entries of a row run in ascending order of latents. Not Collective.
#pragma once

#include "kernels/codes/codes.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// What decode() adds to.
enum class DecodeStart { kZero, kBias, kOut };

// out[r] = start + sum of values * decoder[latent - first_latent] over the row's entries whose latent lies in
// the slice. `bias` [d_model] is read for kBias only. `out` [rows, d_model].
void decode(CodesView codes, int64_t first_latent, Matrix<const float> decoder, DecodeStart start,
            Vector<const float> bias, Matrix<float> out, Stream& stream);

// gradient[r] = scale * (reconstruction[r] - input[r]); squared_error[r] = |input[r] - reconstruction[r]|^2,
// summed in 16 lanes in f32 and across them in f64, on every device. `gradient`
// may be `reconstruction`.
void reconstruction_error(Matrix<const float> input, Matrix<const float> reconstruction, float scale,
                          Matrix<float> gradient, Vector<double> squared_error, Stream& stream);

// value_gradients[e] = <gradient[row of e], decoder[latent of e]> for entries of the slice whose value is
// positive; 0 for every other entry (ReLU).
void value_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                     Matrix<const float> gradient, Vector<float> value_gradients, Stream& stream);

// decode(), reconstruction_error() and value_gradients() with the same bits in one pass over the rows, while
// the decoder rows that a row gathers are still in cache. For slices that hold all latents of the codes,
// where the output gradient depends on nothing but this reconstruction. An empty bias is zero.
void decode_with_gradients(CodesView codes, int64_t first_latent, Matrix<const float> decoder,
                           Vector<const float> bias, Matrix<const float> input, float scale,
                           Matrix<float> gradient, Vector<double> squared_error,
                           Vector<float> value_gradients, Stream& stream);

// sums[c] = sum over rows of matrix[r, c], in f64 over fixed blocks of 64 rows added in order: the same bits
// at any number of threads.
void column_sums(Matrix<const float> matrix, Vector<double> sums, Stream& stream);

}  // namespace orthant::kernels
