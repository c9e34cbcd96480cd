// The product of one row of activations with weights, reading only the weights of kept inputs: what N:M
// activation sparsity saves when one token is decoded at a time.
//
// out[o] = sum over kept inputs j ascending of x[j] * w[o, j]. On the CPU each output is one chain of fused
// multiply-adds that begins at 0, so with all inputs kept the bits are those of matmul_nt (kernels/dense/
// gemm.h) with the unpacked weights, and with some left out those of matmul_nt of the row with zeros in their
// place, up to the sign of a zero: a multiply-add with 0 leaves a sum as it is. They do not depend on threads
// or instruction set. Activations stay f32 in every format. On CUDA the list is cut into kSkippingParts runs
// of equal length (the last ones shorter), each run is such a chain, and the sums of the runs are added in
// their order. Thread-safe for distinct outputs.
#pragma once

#include "kernels/isa/isa.h"
#include "kernels/sparse/input_major_weights.h"
#include "kernels/sparse/kept_inputs.h"

namespace orthant::kernels {

inline constexpr int64_t kSkippingParts = 16;

// `kept` of inputs of the weights, `out` [outputs], all on one device.
void skipping_gemv(const KeptInputs& kept, const InputMajorWeights& weights, Vector<float> out,
                   Stream& stream);
// In a given instruction set, which the host must support.
void skipping_gemv(const KeptInputs& kept, const InputMajorWeights& weights, Vector<float> out, Isa isa,
                   Stream& stream);

}  // namespace orthant::kernels
