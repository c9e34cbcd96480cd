// A block has one row. Additions have the bits of the CPU.
#include "kernels/cuda/row.cuh"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

// The rows of `from` are `stride` floats apart: 0 where one row is added to all.
template <bool kWhole>
__global__ void add_row(const float* from, int64_t stride, int64_t width, float* into) {
  const float* added = from + blockIdx.x * stride;
  float* row = into + blockIdx.x * width;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four more = load_columns<kWhole>(added, c, width);
    Four sum = load_columns<kWhole>(row, c, width);
    for (int i = 0; i < 4; ++i) sum.of[i] += more.of[i];
    store_columns<kWhole>(row, c, width, sum);
  }
}

template <bool kWhole>
__global__ void square_row(const float* x, int64_t width, float* squares) {
  const float* row = x + blockIdx.x * width;
  float own = 0.0f;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four columns = load_columns<kWhole>(row, c, width);
    own = fused_dot(columns, columns, own);
  }
  const double sum = block_sum(static_cast<double>(own));
  if (threadIdx.x == 0) squares[blockIdx.x] = static_cast<float>(sum);
}

void add(const float* from, int64_t stride, Matrix<float> into, Stream& stream) {
  const int64_t width = into.shape[1];
  launch(is_whole(width, from, into.data) ? add_row<true> : add_row<false>,
         {.blocks = into.shape[0], .threads = row_threads(width)}, stream, from, stride, width, into.data);
}

}  // namespace

void add_rows(Matrix<const float> from, Matrix<float> into, Stream& stream) {
  add(from.data, into.shape[1], into, stream);
}

void add_to_rows(Vector<const float> bias, Matrix<float> into, Stream& stream) {
  add(bias.data, 0, into, stream);
}

void squared_norms(Matrix<const float> x, Vector<float> squares, Stream& stream) {
  const int64_t width = x.shape[1];
  launch(is_whole(width, x.data) ? square_row<true> : square_row<false>,
         {.blocks = x.shape[0], .threads = row_threads(width)}, stream, x.data, width, squares.data);
}

}  // namespace orthant::kernels::cuda
