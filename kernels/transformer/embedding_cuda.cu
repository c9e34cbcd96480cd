#include "kernels/cuda/row.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

template <bool kWhole>
__global__ void embed_row(const float* table, int64_t vocabulary, int64_t width, const int32_t* token_ids,
                          float* out) {
  const int64_t token = token_ids[blockIdx.x];
  const bool is_known = token >= 0 && token < vocabulary;
  const float nan = float_of(0x7fc00000u);
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four columns =
        is_known ? load_columns<kWhole>(table + token * width, c, width) : Four{{nan, nan, nan, nan}};
    store_columns<kWhole>(out + blockIdx.x * width, c, width, columns);
  }
}

}  // namespace

void embed(Matrix<const float> table, Vector<const int32_t> token_ids, Matrix<float> out, Stream& stream) {
  const int64_t width = table.shape[1];
  launch(is_whole(width, table.data, out.data) ? embed_row<true> : embed_row<false>,
         {.blocks = out.shape[0], .threads = row_threads(width)}, stream, table.data, table.shape[0], width,
         token_ids.data, out.data);
}

}  // namespace orthant::kernels::cuda
