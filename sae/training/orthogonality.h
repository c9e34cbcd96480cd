// The OrtSAE penalty over the whole dictionary, whatever the sharding (arXiv 2509.22033, equations 3 and 4).
//
// Latents are partitioned into chunks; of each latent the largest cosine to another one of its chunk is
// squared and averaged. (chunk, row tile) pairs are dealt over the whole world, replicas included. For each
// chunk an all-to-all brings the unit decoder rows to the ranks that work on it; the pairs found (cosine and
// partner of every latent, 8 bytes each) are gathered everywhere; a second all-to-all per chunk brings each
// owner the partner rows of its own latents, and the owner adds up its gradient in ascending order of
// partners. So every world size computes the same bits. evaluate() is Collective over the world; not
// thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/gemm.h"
#include "runtime/comm/communicator.h"
#include "sae/dictionary/dictionary.h"
#include "sae/training/latent_partition.h"

namespace orthant::sae {

class OrthogonalityPenalty {
 public:
  // `chunk` bounds the chunks of every partition. `slices` [shards]: the latents of each dictionary shard.
  OrthogonalityPenalty(Memory& memory, int64_t d_model, std::vector<Share> slices, int64_t chunk,
                       Communicator& world, Communicator& shards);

  // Collective over the world. Stores weight * dL_orth / d(decoder row) in `gradient` [local_latents,
  // d_model] and returns L_orth (without the weight).
  double evaluate(Matrix<const float> decoder, const LatentPartition& partition, float weight,
                  Matrix<float> gradient, Stream& stream);

  // Chunk rows this rank compared in the last call: its share of the work is this over the latents.
  [[nodiscard]] int64_t rows_compared() const { return rows_compared_; }

 private:
  struct Work;
  void find_pairs(const LatentPartition& partition, Stream& stream);
  void gather_chunk(const LatentPartition& partition, int64_t chunk_of_each_rank_round, Stream& stream);
  void gather_partners(const LatentPartition& partition, int64_t chunk, Stream& stream);
  void add_gradients(const LatentPartition& partition, int64_t chunk, float weight, Matrix<float> gradient);
  [[nodiscard]] Share own_part(std::span<const int32_t> chunk, int shard) const;

  int64_t d_model_;
  std::vector<Share> slices_;
  Communicator* world_;
  Communicator* shards_;
  Tensor<float, 2> unit_;              // [local_latents, d_model]
  Tensor<float, 1> norms_;             // [local_latents]
  Tensor<float, 2> chunk_rows_;        // [chunk, d_model] unit rows of the chunk being worked on
  Tensor<float, 1> send_;              // rows for the peers of one exchange
  kernels::PackedWeights candidates_;  // [chunk, d_model]
  Tensor<float, 1> cosine_;            // [latents] by place in the partition
  Tensor<int32_t, 1> partner_;         // [latents] by place: the place of the nearest neighbour in its chunk
  Tensor<float, 1> tile_cosine_;       // [tile]
  Tensor<int64_t, 1> tile_partner_;    // [tile]
  Tensor<int64_t, 1> tile_excluded_;   // [tile]
  std::vector<int64_t> row_of_place_;  // [chunk] row in chunk_rows_ of a place of the chunk, or -1
  int64_t rows_compared_ = 0;
};

}  // namespace orthant::sae
