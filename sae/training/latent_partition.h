// One random partition of all latents into chunks (OrtSAE, arXiv 2509.22033, equation 4): a pure function of
// (seed, step), whatever the sharding. Reading is thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/core/share.h"

namespace orthant::sae {

class LatentPartition {
 public:
  // ceil(latents / chunk) nearly equal chunks of the latents in `order`; each chunk is sorted ascending.
  LatentPartition(std::vector<int32_t> order, int64_t chunk);
  // That of (seed, step).
  LatentPartition(int64_t latents, int64_t chunk, uint64_t seed, int64_t step);

  // Becomes the partition of (seed, step) of as many latents into as many chunks; allocates nothing.
  void draw(uint64_t seed, int64_t step);

  [[nodiscard]] int64_t latents() const { return static_cast<int64_t>(order_.size()); }
  [[nodiscard]] int64_t chunks() const { return chunks_; }
  // Where chunk `index` lies in order().
  [[nodiscard]] Share place(int64_t index) const { return share_of(latents(), chunks_, index); }
  [[nodiscard]] std::span<const int32_t> chunk(int64_t index) const;
  // All latents, chunk after chunk.
  [[nodiscard]] std::span<const int32_t> order() const { return order_; }

 private:
  void sort_chunks();
  std::vector<int32_t> order_;
  int64_t chunks_;
};

}  // namespace orthant::sae
