// CUDA bodies of encode.h, called after its argument checks; without CUDA in the build they throw. The
// encoder of the arguments is not looked at: `encoder` takes its place. What is selected is exact and in one
// order for given products, whatever the tiles.
#pragma once

#include "kernels/dense/dense_product.h"
#include "kernels/encode/encode.h"
#include "kernels/encode/encode_scratch.h"

namespace orthant::kernels::cuda {

// k of a selection and beside one: what the shared memory of a block holds.
inline constexpr int64_t kMostSelected = 8192;

void encode_topk(const EncodeArgs& args, const DenseWeights& encoder, int64_t k, const EncodeScratch& scratch,
                 CodesView out, Stream& stream);
// Waits for the stream.
int64_t encode_above(const EncodeArgs& args, const DenseWeights& encoder, float threshold,
                     Vector<const float> thresholds, const EncodeScratch& scratch, CodesView out,
                     Stream& stream);

}  // namespace orthant::kernels::cuda
