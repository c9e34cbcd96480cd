// A block has one row.
#include "kernels/pruning/pruning_cuda.h"
#include "kernels/pruning/row_sums.cuh"
#include "kernels/pruning/row_variance.h"

namespace orthant::kernels::cuda {
namespace {

__global__ void measure_row(const float* x, const float* kept, int64_t width, float* factors) {
  const int64_t begin = static_cast<int64_t>(blockIdx.x) * width;
  const BlockSums before = block_sums(x + begin, width), after = block_sums(kept + begin, width);
  if (threadIdx.x == 0)
    factors[blockIdx.x] = variance_factor(before.values, before.squares, after.values, after.squares, width);
}

}  // namespace

void variance_factors(Matrix<const float> x, Matrix<const float> kept, Vector<float> factors,
                      Stream& stream) {
  launch(measure_row, {.blocks = x.shape[0], .threads = row_threads(x.shape[1])}, stream, x.data, kept.data,
         x.shape[1], factors.data);
}

}  // namespace orthant::kernels::cuda
