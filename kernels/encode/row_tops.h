// The k largest of each row of a block, kept while the tiles of the row pass by.
//
// Candidates wait in a room larger than k; when it is full, those that k others beat are dropped and the
// row's threshold rises. Larger ranks come first, then lower latents; latents arrive ascending. Behind a
// screen, a candidate waits with a lower bound of its rank as key and the upper one as value: it is dropped
// when its upper bound is below k lower ones, and those that remain are computed exactly. Each thread has its
// own.
#pragma once

#include <cstdint>

#include "kernels/encode/encode_block.h"

namespace orthant::kernels {

class RowTops {
 public:
  RowTops(const EncodeArgs& args, const FilterOps& filter, const EncodeBlock& block, int64_t k, bool scaled,
          const RowCandidates& candidates)
      : filter_(filter),
        screen_(block.screen()),
        bias_(args.bias.shape[0] > 0 ? args.bias.data : nullptr),
        scale_(scaled && args.selection_scale.shape[0] > 0 ? args.selection_scale.data : nullptr),
        k_(k),
        candidates_(candidates) {}

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
  [[nodiscard]] float rank_of(float product, int64_t latent) const;
  int64_t insert_bounds(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent,
                        int64_t count) const;
  int64_t tighten(int64_t r, int64_t count, bool exactly) const;
  int64_t tighten_bounds(int64_t r, int64_t count) const;
  void raise_threshold(int64_t r, int64_t last) const;
  void settle(int64_t r, int64_t count, bool as_activations) const;
  int64_t keep_positive(int64_t r, int64_t count) const;
  [[nodiscard]] int64_t kth_of(int64_t r, int64_t count) const;
  template <typename Keep>
  int64_t keep_where(int64_t r, int64_t count, const Keep& keep) const;

  const FilterOps& filter_;
  const ScreenedRows* const screen_;  // null: products are exact
  const float* const bias_;           // [local_latents] or null
  const float* const scale_;          // [local_latents] or null
  const int64_t k_;
  const RowCandidates& candidates_;
};

}  // namespace orthant::kernels
