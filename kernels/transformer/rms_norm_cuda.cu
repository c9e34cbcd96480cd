// A block has one row.
#include "kernels/transformer/rms_scale.cuh"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

template <bool kWhole>
__global__ void normalize_row(const float* x, const float* weight, float epsilon, int64_t width, float* out) {
  const float* from = x + blockIdx.x * width;
  const float scale = rms_scale<kWhole>(from, epsilon, width);
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    Four columns = load_columns<kWhole>(from, c, width);
    const Four weights = load_columns<kWhole>(weight, c, width);
    for (int i = 0; i < 4; ++i) columns.of[i] = columns.of[i] * scale * weights.of[i];
    store_columns<kWhole>(out + blockIdx.x * width, c, width, columns);
  }
}

}  // namespace

void rms_norm(Matrix<const float> x, Vector<const float> weight, float epsilon, Matrix<float> out,
              Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data, weight.data, out.data) ? normalize_row<true> : normalize_row<false>,
         {.blocks = x.shape[0], .threads = row_threads(width)}, stream, x.data, weight.data, epsilon, width,
         out.data);
}

}  // namespace orthant::kernels::cuda
