// Row-block encode: activations of a block of rows are computed, selected while they are hot and emitted as
// sparse codes. No pre-activation matrix exists; memory does not depend on rows or latents.
//
// a[r, i] = relu(<input[r], encoder[i]> + bias[i]), the product with the bits of matmul_nt, in the precision
// of the packed encoder. Results do not depend on threads, block sizes, slices of latents or the instruction
// set. `input` is already centred and scaled. A NaN among the activations ranks above every number and is
// emitted as NaN, so that the loss shows it. With screened weights (kernels/screen/screen.h) most products
// are only bounded; the results have the same bits. On CUDA the selection is as exact, of the products that
// kernels/dense/dense_product.h gives. Threads: OpenMP's, at most those of the workspace. Nothing is
// allocated. Not Collective.
#pragma once

#include <cstdint>

#include "kernels/codes/codes.h"
#include "kernels/dense/gemm.h"
#include "kernels/encode/encode_scratch.h"
#include "kernels/screen/screened_weights.h"

namespace orthant::kernels {

// Scratch of one encode, allocated once and used for every step.
class EncodeWorkspace {
 public:
  // Enough for `threads` threads of the CPU, codes of up to `k` entries a row, inputs of `depth`, and up to
  // `k_beside` entries a row beside a selection.
  EncodeWorkspace(Memory& memory, int threads, int64_t k, int64_t depth, int64_t k_beside = 0);
  [[nodiscard]] std::byte* of_thread(int thread) const { return buffer_.data() + thread * bytes_per_thread_; }
  // Where its memory is that of a CUDA device. Borrowed.
  [[nodiscard]] cuda::EncodeScratch on_cuda() const;
  [[nodiscard]] int threads() const { return threads_; }
  [[nodiscard]] int64_t k() const { return k_; }
  [[nodiscard]] int64_t k_beside() const { return k_beside_; }
  [[nodiscard]] int64_t depth() const { return depth_; }

 private:
  int threads_ = 0;
  int64_t k_ = 0;
  int64_t k_beside_ = 0;
  int64_t depth_ = 0;
  int64_t bytes_per_thread_ = 0;
  Buffer buffer_;
};

// What an encode gives beside its selection, from the same product: of each row the k() largest positive
// activations among the eligible latents (fewer where fewer are positive), latents ascending. NaN comes
// first.
struct TopsBeside {
  Vector<const uint64_t> eligible;  // [ceil(local_latents / 64)] bit i % 64 of word i / 64: local latent i
  Vector<int32_t> counts;           // [rows]
  Matrix<int32_t> latents;          // [rows, k] local numbers
  Matrix<float> values;             // [rows, k]
  [[nodiscard]] int64_t k() const { return values.shape[1]; }
};

struct EncodeArgs {
  Matrix<const float> input;               // [rows, d_model]
  const PackedWeights* encoder = nullptr;  // [local_latents, d_model]
  // In place of `encoder`; pays where few of many latents are selected.
  const ScreenedWeights* screened = nullptr;
  Vector<const float> bias = {};  // [local_latents]; empty: none
  // [local_latents]; empty: none. Not negative. Rank by a * scale; the emitted value stays a.
  Vector<const float> selection_scale = {};
  // [local_latents]; empty: latent i of the codes is first_latent + i; otherwise latent_numbers[i]
  // (ascending).
  Vector<const int32_t> latent_numbers = {};
  int64_t first_latent = 0;
  const TopsBeside* beside = nullptr;  // null: nothing beside the selection

  [[nodiscard]] int64_t local_latents() const {
    return screened != nullptr ? screened->columns() : encoder->columns();
  }
  [[nodiscard]] int64_t depth() const { return screened != nullptr ? screened->depth() : encoder->depth(); }
};

// Exactly min(k, local_latents) entries a row: the largest by a * scale, ties to the lowest latent, zeros
// included when fewer are positive. Latents ascend in a row. Capacity of `out` >= rows * min(k,
// local_latents).
void encode_topk(const EncodeArgs& args, int64_t k, EncodeWorkspace& workspace, CodesView out,
                 Stream& stream);
// In a given instruction set, which the host must support.
void encode_topk(const EncodeArgs& args, int64_t k, EncodeWorkspace& workspace, CodesView out, Isa isa,
                 Stream& stream);

// Every entry with a * scale > threshold (threshold >= 0) and, where `thresholds` [local_latents] is not
// empty, a > thresholds[i]. Returns the number of entries there are; when it exceeds the capacity of `out`,
// the contents of `out` are undefined and the caller encodes again with more room or a higher threshold. Rows
// with more entries than about twice the workspace's k and a tile cost their block a second product. On CUDA
// the host waits for the result.
[[nodiscard]] int64_t encode_above(const EncodeArgs& args, float threshold, Vector<const float> thresholds,
                                   EncodeWorkspace& workspace, CodesView out, Stream& stream);
// In a given instruction set, which the host must support.
[[nodiscard]] int64_t encode_above(const EncodeArgs& args, float threshold, Vector<const float> thresholds,
                                   EncodeWorkspace& workspace, CodesView out, Isa isa, Stream& stream);

}  // namespace orthant::kernels
