// The OrtSAE penalty over the whole dictionary, whatever the sharding (arXiv 2509.22033, equations 3 and 4).
//
// Latents are partitioned into chunks; of each latent the largest cosine to another one of its chunk is
// squared and averaged. Each pair of latents of a chunk is multiplied once and serves both. The pairs are
// dealt over the whole world, replicas included, in bands: some rows of a chunk with all rows after them. An
// all-to-all brings the unit decoder rows to the ranks that work on them; the best partner of every latent
// over all bands is an all-reduce of 8 bytes a latent; a second all-to-all per chunk brings each owner the
// partner rows of its own latents, and the owner adds up its gradient in ascending order of partners. So
// every world size computes the same bits. Not thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/neighbour/neighbour.h"
#include "kernels/neighbour/pair_screen.h"
#include "runtime/comm/communicator.h"
#include "runtime/device/host_copy.h"
#include "sae/dictionary/dictionary.h"
#include "sae/training/latent_partition.h"

namespace orthant::sae {

class OrthogonalityPenalty {
 public:
  // `chunk` bounds the chunks of every partition. `slices` [shards]: the latents of each dictionary shard.
  OrthogonalityPenalty(Memory& memory, int64_t d_model, std::vector<Share> slices, int64_t chunk,
                       Communicator& world, Communicator& shards,
                       kernels::ProductOrder order = kernels::ProductOrder::kLibrary);

  // Collective over the world. Puts the search for the nearest neighbours on `stream`, where the host waits
  // for nothing on a device.
  void start(Matrix<const float> decoder, const LatentPartition& partition, Stream& stream);
  // Collective over the world, after start() of the same partition in the same stream. Waits for the search,
  // stores weight * dL_orth / d(decoder row) in `gradient` [local_latents, d_model] and returns L_orth
  // (without the weight).
  double finish(const LatentPartition& partition, float weight, Matrix<float> gradient, Stream& stream);
  // Both, one after the other.
  double evaluate(Matrix<const float> decoder, const LatentPartition& partition, float weight,
                  Matrix<float> gradient, Stream& stream) {
    start(decoder, partition, stream);
    return finish(partition, weight, gradient, stream);
  }

  // Pairs of latents this rank compared in the last call.
  [[nodiscard]] int64_t pairs_compared() const { return pairs_compared_; }

  // Rows of a chunk, compared with each other and with all rows after them.
  struct Band {
    int64_t chunk;
    Share rows;
  };
  // Local. Those of `rank`, one for each round of the exchange that brings their rows, take the place of
  // `bands`.
  static void find_bands(const LatentPartition& partition, int world, int rank, std::vector<Band>& bands);

 private:
  [[nodiscard]] const std::vector<Band>& own_bands() const {
    return bands_[static_cast<size_t>(world_->rank())];
  }
  [[nodiscard]] std::span<const int32_t> band_rows(const LatentPartition& partition, size_t round,
                                                   int peer) const;
  int64_t list_band_rows(const LatentPartition& partition, size_t rounds);
  int64_t gather_band_rows(const LatentPartition& partition, size_t round, int64_t first_listed,
                           Stream& stream);
  void search_band(const LatentPartition& partition, const Band& band, Stream& stream);
  void find_partners(const LatentPartition& partition, Stream& stream);
  void gather_partners(const LatentPartition& partition, int64_t chunk, Stream& stream);
  void find_needed(std::span<const int32_t> members, const int32_t* partner, int shard);
  void gather_listed(float* into, Stream& stream);
  void list_pairs(std::span<const int32_t> members, const int32_t* partner, const float* cosine);
  void store_gradients(const LatentPartition& partition, int64_t chunk, float weight, Matrix<float> gradient,
                       Stream& stream);
  [[nodiscard]] Share own_part(std::span<const int32_t> chunk, int shard) const;
  [[nodiscard]] Share own_slice() const { return slices_[static_cast<size_t>(shards_->rank())]; }

  int64_t d_model_;
  std::vector<Share> slices_;
  Communicator* world_;
  Communicator* shards_;
  Tensor<float, 2> unit_;          // [local_latents, d_model]
  Tensor<float, 1> norms_;         // [local_latents]
  Tensor<float, 2> chunk_rows_;    // [chunk, d_model] unit rows of the chunk being worked on
  Tensor<float, 1> send_;          // rows for the peers of one exchange
  bool screens_;                   // which of the next two is used; the other has no rows
  kernels::PackedWeights packed_;  // [chunk, d_model]
  kernels::PairScreen screen_;
  kernels::PairWorkspace pairs_;
  Tensor<float, 1> found_cosine_;     // [latents] of the rows of the own bands, one band after another
  Tensor<int64_t, 1> found_partner_;  // [latents]
  Tensor<int32_t, 1> listed_;         // [shards * local_latents] own rows to gather
  Tensor<int32_t, 1> pair_rows_;      // as PairList: [chunk]
  Tensor<int64_t, 1> pair_offsets_;   // [chunk + 1]
  Tensor<int32_t, 1> pair_others_;    // [2 * chunk]
  Tensor<float, 1> pair_cosines_;     // [2 * chunk]
  // Of the host. Exchanges and lists of a step reuse this room.
  HostCopy found_cosine_on_host_;
  HostCopy found_partner_on_host_;
  PinnedBuffer band_listed_;      // as listed_: the rows for all bands of a search
  std::vector<int64_t> best_;     // [latents] by place in the partition: cosine and partner, ordered
  std::vector<float> cosine_;     // [latents] by place
  std::vector<int32_t> partner_;  // [latents] by place: the place of the nearest neighbour in its chunk
  std::vector<std::vector<Band>> bands_;  // [world] of each rank
  std::vector<int64_t> send_counts_;      // [shards]
  std::vector<int64_t> receive_counts_;   // [shards]
  std::vector<char> needed_;              // [chunk] whether a shard's gradients touch this row of another
  std::vector<int64_t> row_of_place_;     // [chunk] row in chunk_rows_ of a place of the chunk, or -1
  std::vector<int32_t> host_listed_;
  std::vector<int32_t> host_pair_rows_;
  std::vector<int64_t> host_pair_offsets_;
  std::vector<int32_t> host_pair_others_;
  std::vector<float> host_pair_cosines_;
  int64_t pairs_compared_ = 0;
  int64_t found_ = 0;  // rows of the own bands so far
};

}  // namespace orthant::sae
