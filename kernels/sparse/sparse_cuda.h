// CUDA bodies of input_major_weights.h, kept_inputs.h and skipping_gemv.h, called after their argument
// checks; without CUDA in the build they throw.
#pragma once

#include <cstddef>

#include "kernels/sparse/input_major_weights.h"
#include "kernels/sparse/kept_inputs.h"

namespace orthant::kernels::cuda {

// `layout` tells shape and format, `into` [inputs, layout.row_bytes]. The bytes of the CPU.
void pack_input_major(Matrix<const float> weights, const InputMajorRows& layout, std::byte* into,
                      Stream& stream);
void kept_inputs(Vector<const float> x, int64_t keep, int64_t group, KeptInputs into, Stream& stream,
                 const RowProducer& producer = {});
void skipping_gemv(const KeptInputs& kept, const InputMajorRows& weights, Vector<float> out, Stream& stream);

}  // namespace orthant::kernels::cuda
