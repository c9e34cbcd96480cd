// A block has one row of logits; where single ones are chosen, a thread has one. A thread's sums are f64: it
// has few of them against the exponentials.
#include "kernels/cuda/row.cuh"
#include "kernels/scalar.h"
#include "kernels/transformer/transformer_cuda.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 512;
constexpr int32_t kNone = INT32_MAX;

struct Largest {
  float value;
  int32_t index;  // the lowest of those with the value; kNone: a thread without a column
};

struct WarpLargest {
  Largest of[kWarp];
};

__device__ Largest larger_of(Largest a, Largest b) {
  return a.value > b.value || (a.value == b.value && a.index < b.index) ? a : b;
}

__device__ Largest warp_largest(Largest own) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    const float value = warp_shuffle_xor(own.value, mask);
    own = larger_of(own, {value, warp_shuffle_xor(own.index, mask)});
  }
  return own;
}

// The largest of all threads, on each of them. Once in a kernel.
__device__ Largest block_largest(Largest own) {
  WarpLargest& all = block_shared<WarpLargest>();
  const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
  own = warp_largest(own);
  if (lane == 0) all.of[warp] = own;
  __syncthreads();
  return warp_largest(all.of[lane % (static_cast<int>(blockDim.x) / kWarp)]);
}

__device__ Largest largest_of_row(const float* row, int64_t width) {
  Largest own{-INFINITY, kNone};
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    if (row[i] > own.value || own.index == kNone) own = {row[i], static_cast<int32_t>(i)};
  }
  return block_largest(own);
}

__global__ void __launch_bounds__(kThreads)
    normalize_logits(const float* logits, int64_t width, double* log_sums, int32_t* largest) {
  const float* row = logits + blockIdx.x * width;
  const Largest top = largest_of_row(row, width);
  double sum = 0.0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    sum += static_cast<double>(exponential_of(row[i] - top.value));
  }
  sum = block_sum(sum);
  if (threadIdx.x != 0) return;
  log_sums[blockIdx.x] = static_cast<double>(top.value) + log(sum);
  largest[blockIdx.x] = top.index;
}

__global__ void round_logits(float* logits, int64_t count) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) logits[i] = bf16_of(logits[i]);
}

__global__ void __launch_bounds__(kThreads)
    finish_bf16(float* logits, int64_t width, const double* log_sums, int32_t* largest) {
  float* row = logits + blockIdx.x * width;
  const float log_sum = static_cast<float>(log_sums[blockIdx.x]);
  // A thread reads again only what it wrote itself.
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) row[i] = bf16_of(row[i] - log_sum);
  const Largest top = largest_of_row(row, width);
  if (threadIdx.x == 0) largest[blockIdx.x] = top.index;
}

__global__ void __launch_bounds__(kThreads)
    diverge(const float* p_logits, const double* p_log_sums, const float* q_logits, const double* q_log_sums,
            int64_t width, double* divergence) {
  const int64_t row = blockIdx.x;
  const float* p = p_logits + row * width;
  const float* q = q_logits + row * width;
  const float shift = static_cast<float>(p_log_sums[row]);
  const float offset = static_cast<float>(p_log_sums[row] - q_log_sums[row]);
  double total = 0.0, mass = 0.0;
  for (int64_t i = threadIdx.x; i < width; i += blockDim.x) {
    const double probability = static_cast<double>(exponential_of(p[i] - shift));
    mass += probability;
    total += probability * static_cast<double>(p[i] - q[i] - offset);
  }
  total = block_sum(total);
  mass = block_sum(mass);
  if (threadIdx.x == 0) divergence[row] = total / mass;
}

__global__ void choose_logit(const float* logits, int64_t rows, int64_t width, const int32_t* token_ids,
                             float* out) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (row >= rows) return;
  const int64_t token = token_ids[row];
  out[row] = token >= 0 && token < width ? logits[row * width + token] : float_of(0x7fc00000u);
}

}  // namespace

void log_normalizers(Matrix<const float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                     Stream& stream) {
  launch(normalize_logits, {.blocks = logits.shape[0], .threads = kThreads}, stream, logits.data,
         logits.shape[1], log_sums.data, largest.data);
}

void log_softmax_bf16(Matrix<float> logits, Vector<double> log_sums, Vector<int32_t> largest,
                      Stream& stream) {
  const int64_t rows = logits.shape[0], width = logits.shape[1];
  launch(round_logits, {.blocks = (rows * width + kThreads - 1) / kThreads, .threads = kThreads}, stream,
         logits.data, rows * width);
  log_normalizers(logits, log_sums, largest, stream);
  launch(finish_bf16, {.blocks = rows, .threads = kThreads}, stream, logits.data, width, log_sums.data,
         largest.data);
}

void logits_of(Matrix<const float> logits, Vector<const int32_t> token_ids, Vector<float> out,
               Stream& stream) {
  const int64_t rows = logits.shape[0];
  launch(choose_logit, {.blocks = (rows + kThreads - 1) / kThreads, .threads = kThreads}, stream, logits.data,
         rows, logits.shape[1], token_ids.data, out.data);
}

void kl_divergence(Matrix<const float> p_logits, Vector<const double> p_log_sums,
                   Matrix<const float> q_logits, Vector<const double> q_log_sums, Vector<double> divergence,
                   Stream& stream) {
  launch(diverge, {.blocks = p_logits.shape[0], .threads = kThreads}, stream, p_logits.data, p_log_sums.data,
         q_logits.data, q_log_sums.data, p_logits.shape[1], divergence.data);
}

}  // namespace orthant::kernels::cuda
