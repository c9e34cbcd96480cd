// A block of rows times a tile of latents on its way through the encoder, as the selections see it: each
// thread looks at four neighbouring latents of a row at a time.
#pragma once

#include "kernels/cuda/row.cuh"
#include "kernels/dense/gemm_cuda.h"
#include "kernels/encode/encode_cuda.h"
#include "kernels/scalar.h"

namespace orthant::kernels::cuda {

constexpr int kTileThreads = 256;
constexpr int kChunk = kTileThreads * 4;  // latents that a block of threads looks at together

struct EncodeTile {
  const float* products;  // [rows, stride]
  int64_t stride;
  int64_t rows;
  int64_t first_latent;  // local
  int64_t latents;
  const float* bias;  // [local_latents] or null
};

// Relu of product plus bias; NaN stays NaN.
__device__ inline float tile_activation(const EncodeTile& tile, float product, int64_t latent) {
  const float sum = tile.bias == nullptr ? product : product + tile.bias[latent];
  return sum <= 0.0f ? 0.0f : sum;
}

// The products of the thread's four elements from `first` on, and how many of them there are.
struct TileElements {
  Four products;
  int64_t first;
  int count;
};

__device__ inline TileElements tile_elements(const EncodeTile& tile, int64_t row, int64_t chunk) {
  const int64_t first = chunk + first_column();
  if (first >= tile.latents) return {{}, first, 0};
  const int64_t left = tile.latents - first;
  return {load_four(tile.products + row * tile.stride + first), first, left < 4 ? static_cast<int>(left) : 4};
}

// The number of a latent in the codes.
struct LatentNumbers {
  const int32_t* numbers;  // null: consecutive from `first`
  int64_t first;
  __device__ int32_t of(int64_t local) const {
    return numbers == nullptr ? static_cast<int32_t>(first + local) : numbers[local];
  }
};

inline LatentNumbers numbers_of(const EncodeArgs& args) {
  return {args.latent_numbers.shape[0] == 0 ? nullptr : args.latent_numbers.data, args.first_latent};
}

inline const float* data_or_null(Vector<const float> vector) {
  return vector.shape[0] == 0 ? nullptr : vector.data;
}

// Rows [first_row, first_row + rows) times all latents: visit(tile) is called once a tile, latents ascending,
// and once where there are none.
template <typename Visit>
void each_tile(const EncodeArgs& args, const DenseWeights& encoder, const EncodeScratch& scratch,
               int64_t first_row, int64_t rows, Stream& stream, Visit visit) {
  const bool rounds = encoder.precision == Precision::kBF16;
  const Matrix<const float> input = args.input.rows(first_row, rows);
  if (rounds) pack_operand(input, nullptr, rows, encoder.precision, scratch.operand, stream);
  const Operand x{rounds ? scratch.operand : input.data, rows};
  const int64_t stride = scratch.tiles.latents;
  for (int64_t first = 0; first == 0 || first < encoder.columns; first += stride) {
    const int64_t left = encoder.columns - first, latents = left < stride ? left : stride;
    encoder.product->run(x, encoder.part(first, latents), scratch.tile, stride, stream);
    visit(EncodeTile{scratch.tile, stride, rows, first, latents, data_or_null(args.bias)});
  }
}

}  // namespace orthant::kernels::cuda
