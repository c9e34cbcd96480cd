// Element by element: the bits of the CPU.
#include "kernels/cuda/launch.cuh"
#include "kernels/pruning/mended.h"
#include "kernels/pruning/pruning_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void mend_element(MendingOf mending, int64_t outputs, int64_t elements, float* y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < elements) y[i] = mending.mended(i / outputs, i % outputs, y[i]);
}

}  // namespace

void mend_products(const Mending& mending, Matrix<float> y, Stream& stream) {
  const MendingOf of(mending);
  if (!of.changes()) return;
  launch(mend_element, {.blocks = (y.elements() + kThreads - 1) / kThreads, .threads = kThreads}, stream, of,
         y.shape[1], y.elements(), y.data);
}

}  // namespace orthant::kernels::cuda
