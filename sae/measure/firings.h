// Where latents fire, row by row: what contexts are chosen from. Pure but for the exchange; thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/codes/codes.h"
#include "runtime/comm/communicator.h"

namespace orthant::sae {

// One latent fires in one row.
struct Firing {
  int64_t row = 0;
  float value = 0.0f;
};
using Firings = std::vector<Firing>;  // of one latent, by row

// Collects the firings of some latents, block by block of codes. Not thread-safe.
class FiringCollector {
 public:
  explicit FiringCollector(std::span<const int64_t> latents);
  // Rows numbered first_row, ...; values above 0.
  void add(kernels::CodesView codes, int64_t first_row);
  // Of latents[place], in the order in which they were added.
  [[nodiscard]] const Firings& of(size_t place) const { return firings_[place]; }

 private:
  std::unordered_map<int64_t, size_t> place_;
  std::vector<Firings> firings_;
};

// Collective. The firings of one latent on all ranks, by row.
[[nodiscard]] Firings gather_firings(const Firings& own, Communicator& world, Stream& stream);

// 0 in a row where the latent does not fire.
[[nodiscard]] float value_at(const Firings& firings, int64_t row);

}  // namespace orthant::sae
