// Decoding across shards: every rank of a dictionary group decodes its own latents, the partial rows are
// summed.
//
// Two orders of the sum. Fast: one partial row a shard, reduced by all_reduce; equal bits at an equal number
// of shards. Ordered (virtual_shards > 0): the latents are cut into virtual_shards fixed parts whose sums are
// added in a fixed tree, so the bits are the same at every number of shards that divides virtual_shards. Rows
// are worked off in blocks, so memory does not grow with the batch. Collective over the shards; not
// thread-safe.
#pragma once

#include <cstdint>
#include <optional>

#include "kernels/codes/codes.h"
#include "kernels/codes/decode.h"
#include "kernels/dense/dense_product.h"
#include "runtime/comm/communicator.h"
#include "runtime/core/share.h"
#include "runtime/device/host_copy.h"
#include "sae/dictionary/ordered_sum.h"

namespace orthant::sae {

// The latents that shard `index` of `shards` holds. With virtual_shards > 0 it is the union of its virtual
// parts.
[[nodiscard]] Share latent_slice(int64_t latents, int shards, int index, int virtual_shards);

// The order of dense products that goes with the order of those sums.
[[nodiscard]] constexpr kernels::ProductOrder product_order(int virtual_shards) {
  return virtual_shards > 0 ? kernels::ProductOrder::kDepth : kernels::ProductOrder::kLibrary;
}

// Rows that are summed over the shards at once where the order of sums is fixed.
inline constexpr int64_t kOrderedRowBlock = 256;

class ShardSum {
 public:
  // Throws Error(kConfig) unless the shards divide virtual_shards (0: fast).
  ShardSum(Memory& memory, int64_t latents, int64_t d_model, Communicator& shards, int virtual_shards);

  // out[r] = bias + sum over all latents of values * decoder rows. `codes` hold at least this shard's
  // latents; `decoder` [local_latents, d_model]; `bias` [d_model] or empty; `out` [rows, d_model].
  void decode(kernels::CodesView codes, Matrix<const float> decoder, Vector<const float> bias,
              Matrix<float> out, Stream& stream);

  // out[c] = sum over all latents of weights[i] * rows[i, c]: `weights` [local_latents], `rows`
  // [local_latents, d_model], `out` [d_model].
  void weighted_rows(Vector<const float> weights, Matrix<const float> rows, Vector<float> out,
                     Stream& stream);

  // The sum over all latents of `values` [local_latents], f64.
  [[nodiscard]] double total(Vector<const double> values, Stream& stream);

  [[nodiscard]] Share slice() const { return slice_; }
  // Whether a row is one sum on this rank: a single shard, in the fast order.
  [[nodiscard]] bool is_local() const { return virtual_shards_ == 0 && slice_.count == latents_; }

 private:
  // This rank's latents of its part `index`, counted within the slice.
  [[nodiscard]] Share local_part(int64_t index) const;
  // Fills the parts' offsets and latents, which stay.
  void prepare_parts(Stream& stream);

  int64_t latents_;
  int64_t d_model_;
  Communicator* shards_;
  int virtual_shards_;
  Share slice_;
  int64_t local_parts_;
  Tensor<float, 2> parts_;                 // [local parts, row block * d_model]
  Tensor<double, 1> part_sums_;            // [local parts]
  std::optional<OrderedSum> ordered_sum_;  // where the order is fixed
  kernels::Codes part_codes_;              // [local parts] rows of weights by latent
  bool parts_prepared_ = false;
  HostCopy part_sums_on_host_;
};

}  // namespace orthant::sae
