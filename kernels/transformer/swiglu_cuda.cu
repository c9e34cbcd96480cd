// Element by element: the bits of the CPU.
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void swiglu_element(const float* gate, const float* up, int64_t elements, float* out) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < elements) out[i] = swiglu_of(gate[i], up[i]);
}

}  // namespace

void swiglu(Matrix<const float> gate, Matrix<const float> up, Matrix<float> out, Stream& stream) {
  launch(swiglu_element, {.blocks = (gate.elements() + kThreads - 1) / kThreads, .threads = kThreads}, stream,
         gate.data, up.data, gate.elements(), out.data);
}

}  // namespace orthant::kernels::cuda
