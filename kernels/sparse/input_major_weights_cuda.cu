// A block turns a tile of 32 inputs and 32 outputs, the block of a q8 scale: read along inputs, written along
// outputs by one warp an input.
#include "kernels/cuda/row.cuh"
#include "kernels/sparse/q8_block.h"
#include "kernels/sparse/sparse_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kWarps = 8;
static_assert(kQ8Block == kWarp);

struct TurnedTile {
  float of[kWarp][kWarp + 1];  // [outputs, inputs], padded so that columns do not share a bank
};

__device__ float warp_largest(float value) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const float other = warp_shuffle_xor(value, mask);
    value = other > value ? other : value;
  }
  return value;
}

// `weight` of `output`, on the lanes of a warp those of 32 neighbouring outputs.
template <WeightFormat kFormat>
__device__ void store_weight(float weight, int64_t output, int64_t scales_at, char* row) {
  if constexpr (kFormat == WeightFormat::kF32) {
    reinterpret_cast<float*>(row)[output] = weight;
  } else if constexpr (kFormat == WeightFormat::kBF16) {
    reinterpret_cast<uint16_t*>(row)[output] = static_cast<uint16_t>(bits_of(bf16_of(weight)) >> 16);
  } else {
    const uint16_t scale = q8_scale(warp_largest(fabsf(weight)));
    reinterpret_cast<int8_t*>(row)[output] = q8_of(weight, f32_of_half(scale));
    if (output % kQ8Block == 0) reinterpret_cast<uint16_t*>(row + scales_at)[output / kQ8Block] = scale;
  }
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kWarps* kWarp)
    pack_tile(const float* weights, int64_t outputs, int64_t inputs, int64_t output_tiles, int64_t scales_at,
              int64_t row_bytes, char* into) {
  TurnedTile& tile = block_shared<TurnedTile>();
  const int64_t first_output = static_cast<int64_t>(blockIdx.x) % output_tiles * kWarp;
  const int64_t first_input = static_cast<int64_t>(blockIdx.x) / output_tiles * kWarp;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  for (int o = warp; o < kWarp; o += kWarps) {
    const bool is_there = first_output + o < outputs && first_input + lane < inputs;
    tile.of[o][lane] = is_there ? weights[(first_output + o) * inputs + first_input + lane] : 0.0f;
  }
  __syncthreads();
  for (int i = warp; i < kWarp && first_input + i < inputs; i += kWarps) {
    store_weight<kFormat>(tile.of[lane][i], first_output + lane, scales_at,
                          into + (first_input + i) * row_bytes);
  }
}

}  // namespace

void pack_input_major(Matrix<const float> weights, const InputMajorRows& layout, std::byte* into,
                      Stream& stream) {
  const int64_t output_tiles = layout.padded_outputs() / kWarp;
  const int64_t input_tiles = (layout.inputs + kWarp - 1) / kWarp;
  const LaunchShape shape{.blocks = output_tiles * input_tiles, .threads = kWarps * kWarp};
  const auto pack = [&](auto kernel) {
    launch(kernel, shape, stream, weights.data, layout.outputs, layout.inputs, output_tiles,
           layout.scales_at(), layout.row_bytes, reinterpret_cast<char*>(into));
  };
  switch (layout.format) {
    case WeightFormat::kF32:
      return pack(pack_tile<WeightFormat::kF32>);
    case WeightFormat::kBF16:
      return pack(pack_tile<WeightFormat::kBF16>);
    case WeightFormat::kQ8:
      return pack(pack_tile<WeightFormat::kQ8>);
  }
}

}  // namespace orthant::kernels::cuda
