#include "sae/training/latent_partition.h"

#include <algorithm>

#include "runtime/core/order.h"

namespace orthant::sae {

LatentPartition::LatentPartition(std::vector<int32_t> order, int64_t chunk)
    : order_(std::move(order)), chunks_(std::max<int64_t>(1, (latents() + chunk - 1) / chunk)) {
  sort_chunks();
}

LatentPartition::LatentPartition(int64_t latents, int64_t chunk, uint64_t seed, int64_t step)
    : order_(static_cast<size_t>(latents)), chunks_(std::max<int64_t>(1, (latents + chunk - 1) / chunk)) {
  draw(seed, step);
}

void LatentPartition::draw(uint64_t seed, int64_t step) {
  const KeyedPermutation permutation(latents(), seed, Purpose::kLatentPartition, static_cast<uint32_t>(step));
  for (int64_t i = 0; i < latents(); ++i) {
    order_[static_cast<size_t>(i)] = static_cast<int32_t>(permutation(i));
  }
  sort_chunks();
}

void LatentPartition::sort_chunks() {
  for (int64_t c = 0; c < chunks_; ++c) {
    const Share share = place(c);
    std::sort(order_.begin() + share.first, order_.begin() + share.end());
  }
}

std::span<const int32_t> LatentPartition::chunk(int64_t index) const {
  const Share share = place(index);
  return std::span(order_).subspan(static_cast<size_t>(share.first), static_cast<size_t>(share.count));
}

}  // namespace orthant::sae
