#include "kernels/row_tops.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/rank_key.h"

namespace orthant::kernels {
void RowTops::start(int64_t rows) const {
  std::fill_n(candidates_.counts, rows, 0);
  std::fill_n(candidates_.thresholds, rows, 0.0f);
}

void RowTops::find(FilterRow& row, int64_t r, const uint64_t* allowed, uint64_t* words) const {
  row.threshold = candidates_.thresholds[r];
  filter_.above(row, words);
  if (allowed == nullptr) return;
  for (int64_t w = 0; w * 64 < row.count; ++w) words[w] &= allowed[w];
}

// Latents ascend, so a later equal rank never displaces an earlier one.
void RowTops::collect(int64_t r, FilterRow& row, int64_t first_latent, const uint64_t* allowed) const {
  uint64_t words[kTileWords];
  find(row, r, allowed, words);
  int64_t count = candidates_.counts[r];
  if (count + bits_set(words, row.count) > candidates_.room) {
    count = tighten(r, count, false);
    find(row, r, allowed, words);
  }
  candidates_.counts[r] = row.scale == nullptr ? insert<false>(r, row, words, first_latent, count)
                                               : insert<true>(r, row, words, first_latent, count);
}

// Appends the elements whose bits are set, for which there is room; returns the new count.
template <bool kScaled>
int64_t RowTops::insert(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent,
                        int64_t count) const {
  int64_t* const keys = candidates_.keys + r * candidates_.room;
  float* const values = candidates_.values + r * candidates_.room;
  each_set_bit(words, row.count, [=, &count](int64_t i) {
    const float activation = activation_of(row, i);
    keys[count] = rank_key(kScaled ? activation * row.scale[i] : activation, first_latent + i);
    values[count] = activation;
    ++count;
  });
  return count;
}

// Drops candidates that k others beat and raises the row's threshold accordingly; leaves about k, or
// exactly k.
int64_t RowTops::tighten(int64_t r, int64_t count, bool exactly) const {
  if (count <= k_) return count;
  int64_t last = filter_.near_kth(candidates_.keys + r * candidates_.room, count, k_);
  int64_t kept = keep_from(r, count, last);
  if (exactly || kept > RowCandidates::after_tightening(k_)) {
    last = kth_of(r, kept);
    kept = keep_from(r, kept, last);
  }
  // Only NaN passes an infinite threshold.
  const float rank = rank_of_key(last);
  candidates_.thresholds[r] = std::isnan(rank) ? std::numeric_limits<float>::infinity() : rank;
  return kept;
}

int64_t RowTops::kth_of(int64_t r, int64_t count) const {
  std::copy_n(candidates_.keys + r * candidates_.room, count, candidates_.spare);
  std::nth_element(candidates_.spare, candidates_.spare + k_ - 1, candidates_.spare + count,
                   std::greater<>());
  return candidates_.spare[k_ - 1];
}

// Keeps the candidates from `last` on, in their order; returns how many.
int64_t RowTops::keep_from(int64_t r, int64_t count, int64_t last) const {
  int64_t* const keys = candidates_.keys + r * candidates_.room;
  float* const values = candidates_.values + r * candidates_.room;
  int64_t kept = 0;
  for (int64_t i = 0; i < count; ++i) {
    keys[kept] = keys[i];
    values[kept] = values[i];
    kept += keys[i] >= last ? 1 : 0;
  }
  return kept;
}

int64_t RowTops::finish(int64_t r) const {
  candidates_.counts[r] = tighten(r, candidates_.counts[r], true);
  return candidates_.counts[r];
}

int64_t RowTops::local_latent(int64_t r, int64_t i) const {
  return latent_of_key(candidates_.keys[r * candidates_.room + i]);
}

}  // namespace orthant::kernels
