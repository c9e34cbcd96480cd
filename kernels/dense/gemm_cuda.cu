// Operands of the dense product are rows as they come; only bf16 ones are written anew. A block has one row.
#include "kernels/cuda/row.cuh"
#include "kernels/dense/gemm_cuda.h"
#include "kernels/scalar.h"
#include "runtime/device/buffer.h"

namespace orthant::kernels::cuda {
namespace {

template <bool kWhole>
__global__ void copy_row(const float* from, const int32_t* chosen, int64_t width, float* into) {
  const int64_t row = chosen == nullptr ? blockIdx.x : chosen[blockIdx.x];
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    store_columns<kWhole>(into + blockIdx.x * width, c, width,
                          load_columns<kWhole>(from + row * width, c, width));
  }
}

template <bool kWhole>
__global__ void round_row(const float* from, const int32_t* chosen, int64_t width, uint16_t* into) {
  const int64_t row = chosen == nullptr ? blockIdx.x : chosen[blockIdx.x];
  for (int64_t c = first_column(); c < width; c = next_column(c)) {
    const Four values = load_columns<kWhole>(from + row * width, c, width);
    for (int i = 0; i < 4 && c + i < width; ++i) {
      into[blockIdx.x * width + c + i] = static_cast<uint16_t>(bits_of(bf16_of(values.of[i])) >> 16);
    }
  }
}

}  // namespace

void pack_operand(Matrix<const float> from, const int32_t* chosen, int64_t count, Precision precision,
                  void* into, Stream& stream) {
  const int64_t width = from.shape[1];
  const LaunchShape shape{.blocks = count, .threads = row_threads(width)};
  const bool whole = is_whole(width, from.data, into);
  if (precision == Precision::kBF16) {
    launch(whole ? round_row<true> : round_row<false>, shape, stream, from.data, chosen, width,
           static_cast<uint16_t*>(into));
  } else {
    launch(whole ? copy_row<true> : copy_row<false>, shape, stream, from.data, chosen, width,
           static_cast<float*>(into));
  }
}

void matmul_nt(Matrix<const float> x, const DenseWeights& weights, Matrix<float> out, Stream& stream) {
  const int64_t rows = x.shape[0];
  if (weights.precision != Precision::kBF16) {
    return weights.product->run({x.data, rows}, weights.part(0, weights.columns), out.data, weights.columns,
                                stream);
  }
  const Buffer rounded(x.device, rows * weights.depth * operand_bytes(weights.precision));
  pack_operand(x, nullptr, rows, weights.precision, rounded.data(), stream);
  weights.product->run({rounded.data(), rows}, weights.part(0, weights.columns), out.data, weights.columns,
                       stream);
}

}  // namespace orthant::kernels::cuda
