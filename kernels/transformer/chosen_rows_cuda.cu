// A block has one row.
#include "kernels/cuda/row.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

template <bool kWhole>
__global__ void gather_row(const float* table, int64_t rows, int64_t width, const int32_t* chosen,
                           float* out) {
  const int64_t from = chosen[blockIdx.x];
  const bool is_inside = from >= 0 && from < rows;
  const float nan = float_of(0x7fc00000u);
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four columns =
        is_inside ? load_columns<kWhole>(table + from * width, c, width) : Four{{nan, nan, nan, nan}};
    store_columns<kWhole>(out + blockIdx.x * width, c, width, columns);
  }
}

template <bool kWhole>
__global__ void scatter_row(const float* from, int64_t rows, int64_t width, const int32_t* chosen,
                            float* into) {
  const int64_t to = chosen[blockIdx.x];
  if (to < 0 || to >= rows) return;
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    store_columns<kWhole>(into + to * width, c, width,
                          load_columns<kWhole>(from + blockIdx.x * width, c, width));
  }
}

}  // namespace

void gather_rows(Matrix<const float> table, Vector<const int32_t> chosen, Matrix<float> out, Stream& stream) {
  const int64_t width = table.shape[1];
  launch(is_whole(width, table.data, out.data) ? gather_row<true> : gather_row<false>,
         {.blocks = out.shape[0], .threads = row_threads(width)}, stream, table.data, table.shape[0], width,
         chosen.data, out.data);
}

void scatter_rows(Matrix<const float> from, Vector<const int32_t> chosen, Matrix<float> into,
                  Stream& stream) {
  const int64_t width = from.shape[1];
  launch(is_whole(width, from.data, into.data) ? scatter_row<true> : scatter_row<false>,
         {.blocks = from.shape[0], .threads = row_threads(width)}, stream, from.data, into.shape[0], width,
         chosen.data, into.data);
}

}  // namespace orthant::kernels::cuda
