// The list is made in three passes: each block counts the dead ones among its latents, the counts become
// places, then each block writes its own from its place on.
#include "kernels/codes/statistics_cuda.h"
#include "kernels/cuda/block_prefix.cuh"
#include "runtime/device/pinned_buffer.h"

namespace orthant::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kScanThreads = 1024;
static_assert(kListedLatents % kThreads == 0);

__global__ void __launch_bounds__(kThreads)
    age_latent(int64_t more, int64_t latents, int32_t* fired, int64_t* tokens) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= latents) return;
  tokens[i] = fired[i] != 0 ? 0 : tokens[i] + more;
  fired[i] = 0;
}

// Goes through the latents of this block in order. Null `list`: they are only counted.
__device__ int64_t visit_dead(const int64_t* tokens, int64_t threshold, int64_t latents, int64_t place,
                              int32_t* list) {
  const int64_t first = static_cast<int64_t>(blockIdx.x) * kListedLatents;
  for (int64_t step = 0; step < kListedLatents; step += kThreads) {
    const int64_t i = first + step + threadIdx.x;
    const bool is_dead = i < latents && tokens[i] >= threshold;
    const Prefix<int> prefix = block_prefix(is_dead ? 1 : 0);
    if (is_dead && list != nullptr) list[place + prefix.before] = static_cast<int32_t>(i);
    place += prefix.total;
  }
  return place;
}

__global__ void __launch_bounds__(kThreads)
    count_dead(const int64_t* tokens, int64_t threshold, int64_t latents, int64_t* counts) {
  const int64_t count = visit_dead(tokens, threshold, latents, 0, nullptr);
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
}

// counts[b] becomes the sum of those before it; counts[blocks] that of all.
__global__ void __launch_bounds__(kScanThreads) counts_to_places(int64_t blocks, int64_t* counts) {
  int64_t before = 0;
  for (int64_t first = 0; first < blocks; first += kScanThreads) {
    const int64_t i = first + threadIdx.x;
    const Prefix<int64_t> prefix = block_prefix(i < blocks ? counts[i] : 0);
    if (i < blocks) counts[i] = before + prefix.before;
    before += prefix.total;
  }
  if (threadIdx.x == 0) counts[blocks] = before;
}

__global__ void __launch_bounds__(kThreads)
    place_dead(const int64_t* tokens, int64_t threshold, int64_t latents, const int64_t* places,
               int32_t* list) {
  visit_dead(tokens, threshold, latents, places[blockIdx.x], list);
}

__global__ void __launch_bounds__(kThreads)
    gather_one(const int32_t* chosen, int64_t count, int64_t first_latent, const float* bias,
               float* chosen_bias, int32_t* chosen_numbers) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  chosen_bias[i] = bias[chosen[i]];
  chosen_numbers[i] = static_cast<int32_t>(first_latent + chosen[i]);
}

LaunchShape shape_of(int64_t elements) {
  return {.blocks = (elements + kThreads - 1) / kThreads, .threads = kThreads};
}

}  // namespace

void age_latents(int64_t more, Vector<int32_t> fired, Vector<int64_t> tokens, Stream& stream) {
  launch(age_latent, shape_of(tokens.shape[0]), stream, more, tokens.shape[0], fired.data, tokens.data);
}

int64_t list_dead(Vector<const int64_t> tokens, int64_t threshold, Vector<int32_t> list,
                  Vector<int64_t> scratch, Stream& stream) {
  const int64_t latents = tokens.shape[0], blocks = (latents + kListedLatents - 1) / kListedLatents;
  launch(count_dead, {.blocks = blocks, .threads = kThreads}, stream, tokens.data, threshold, latents,
         scratch.data);
  launch(counts_to_places, {.blocks = 1, .threads = kScanThreads}, stream, blocks, scratch.data);
  launch(place_dead, {.blocks = blocks, .threads = kThreads}, stream, tokens.data, threshold, latents,
         scratch.data, list.data);
  int64_t count = 0;
  copy_in_order(&count, scratch.data + blocks, sizeof count, stream);
  return count;
}

void gather_chosen(Vector<const int32_t> chosen, int64_t first_latent, Vector<const float> bias,
                   Vector<float> chosen_bias, Vector<int32_t> chosen_numbers, Stream& stream) {
  launch(gather_one, shape_of(chosen.shape[0]), stream, chosen.data, chosen.shape[0], first_latent, bias.data,
         chosen_bias.data, chosen_numbers.data);
}

}  // namespace orthant::kernels::cuda
