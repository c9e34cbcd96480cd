// A block has 32 outputs, one a lane, and kSkippingParts warps; each warp has one run of the kept inputs,
// whose rows it reads at neighbouring addresses. The sums of the runs meet in shared memory.
#include "kernels/cuda/launch.cuh"
#include "kernels/scalar.h"
#include "kernels/sparse/skipping_gemv.h"
#include "kernels/sparse/sparse_cuda.h"
#include "runtime/core/half.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = static_cast<int>(kSkippingParts) * kWarp;

struct RunSums {
  float of[kSkippingParts][kWarp];
};

template <WeightFormat kFormat>
__device__ float weight_at(const char* row, int64_t output, int64_t scales_at) {
  if constexpr (kFormat == WeightFormat::kF32) {
    return reinterpret_cast<const float*>(row)[output];
  } else if constexpr (kFormat == WeightFormat::kBF16) {
    return widened(reinterpret_cast<const uint16_t*>(row)[output]);
  } else {
    const float scale = f32_of_half(reinterpret_cast<const uint16_t*>(row + scales_at)[output / kQ8Block]);
    return scale * static_cast<float>(reinterpret_cast<const int8_t*>(row)[output]);
  }
}

template <WeightFormat kFormat>
__global__ void __launch_bounds__(kThreads)
    multiply_outputs(const int32_t* inputs, const float* values, int64_t kept, const char* weights,
                     int64_t row_bytes, int64_t scales_at, int64_t outputs, float* out) {
  constexpr int kAtOnce = 8;  // loads in flight of a lane
  RunSums& sums = block_shared<RunSums>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, part = static_cast<int>(threadIdx.x) / kWarp;
  // Rows are padded, so every lane has something to read.
  const int64_t output = static_cast<int64_t>(blockIdx.x) * kWarp + lane;
  const int64_t run = (kept + kSkippingParts - 1) / kSkippingParts;
  const int64_t first = part * run;
  const int64_t last = first + run < kept ? first + run : kept;
  float sum = 0.0f;
  int64_t i = first;
  for (; i + kAtOnce <= last; i += kAtOnce) {
    float weight[kAtOnce];
    for (int j = 0; j < kAtOnce; ++j)
      weight[j] = weight_at<kFormat>(weights + inputs[i + j] * row_bytes, output, scales_at);
    for (int j = 0; j < kAtOnce; ++j) sum = fmaf(values[i + j], weight[j], sum);
  }
  for (; i < last; ++i) {
    sum = fmaf(values[i], weight_at<kFormat>(weights + inputs[i] * row_bytes, output, scales_at), sum);
  }
  sums.of[part][lane] = sum;
  __syncthreads();
  if (part != 0 || output >= outputs) return;
  for (int64_t p = 1; p < kSkippingParts; ++p) sum += sums.of[p][lane];
  out[output] = sum;
}

}  // namespace

void skipping_gemv(const KeptInputs& kept, const InputMajorRows& weights, Vector<float> out, Stream& stream) {
  const LaunchShape shape{.blocks = (weights.outputs + kWarp - 1) / kWarp, .threads = kThreads};
  const auto multiply = [&](auto kernel) {
    launch(kernel, shape, stream, kept.inputs.data, kept.values.data, kept.count(),
           reinterpret_cast<const char*>(weights.data), weights.row_bytes, weights.scales_at(),
           weights.outputs, out.data);
  };
  switch (weights.format) {
    case WeightFormat::kF32:
      return multiply(multiply_outputs<WeightFormat::kF32>);
    case WeightFormat::kBF16:
      return multiply(multiply_outputs<WeightFormat::kBF16>);
    case WeightFormat::kQ8:
      return multiply(multiply_outputs<WeightFormat::kQ8>);
  }
}

}  // namespace orthant::kernels::cuda
