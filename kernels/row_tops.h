// The k largest of each row of a block, kept while the tiles of the row pass by.
//
// Candidates wait in a room larger than k; when it is full, those that k others beat are dropped and the
// row's threshold rises. Larger ranks come first, then lower latents; latents arrive ascending. Each thread
// has its own.
#pragma once

#include <cstdint>

#include "kernels/encode_block.h"

namespace orthant::kernels {

class RowTops {
 public:
  RowTops(const FilterOps& filter, int64_t k, const RowCandidates& candidates)
      : filter_(filter), k_(k), candidates_(candidates) {}

  // Begins `rows` rows, all empty.
  void start(int64_t rows) const;

  // Offers one tile of row r; `allowed`, where not null, has a bit for each element that may be taken.
  void collect(int64_t r, FilterRow& row, int64_t first_latent, const uint64_t* allowed) const;

  // Reduces row r to its k largest, or fewer where fewer were positive; returns how many.
  [[nodiscard]] int64_t finish(int64_t r) const;

  // After finish(r), ascending in i.
  [[nodiscard]] int64_t local_latent(int64_t r, int64_t i) const;
  [[nodiscard]] const float* values(int64_t r) const { return candidates_.values + r * candidates_.room; }

 private:
  void find(FilterRow& row, int64_t r, const uint64_t* allowed, uint64_t* words) const;
  template <bool kScaled>
  int64_t insert(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent,
                 int64_t count) const;
  int64_t tighten(int64_t r, int64_t count, bool exactly) const;
  [[nodiscard]] int64_t kth_of(int64_t r, int64_t count) const;
  int64_t keep_from(int64_t r, int64_t count, int64_t last) const;

  const FilterOps& filter_;
  const int64_t k_;
  const RowCandidates& candidates_;
};

}  // namespace orthant::kernels
