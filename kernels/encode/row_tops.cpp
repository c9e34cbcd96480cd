#include "kernels/encode/row_tops.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "kernels/encode/rank_key.h"

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
    count = screen_ != nullptr ? tighten_bounds(r, count) : tighten(r, count, false);
    find(row, r, allowed, words);
  }
  if (screen_ != nullptr) {
    candidates_.counts[r] = insert_bounds(r, row, words, first_latent, count);
    return;
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

// Of a local latent with this product.
float RowTops::rank_of(float product, int64_t latent) const {
  const float activation = activation_of(product, bias_, latent);
  return scale_ == nullptr ? activation : activation * scale_[latent];
}

int64_t RowTops::insert_bounds(int64_t r, const FilterRow& row, const uint64_t* words, int64_t first_latent,
                               int64_t count) const {
  int64_t* const keys = candidates_.keys + r * candidates_.room;
  float* const values = candidates_.values + r * candidates_.room;
  each_set_bit(words, row.count, [&](int64_t i) {
    const int64_t latent = first_latent + i;
    const float lower = rank_of(screen_->lower_bound(r, latent, row.products[i]), latent);
    keys[count] = rank_key(lower > 0.0f ? lower : 0.0f, latent);  // NaN bounds nothing
    values[count] = rank_of(row.products[i], latent);
    ++count;
  });
  return count;
}

// As tighten() for candidates with bounds; leaves room for a tile.
int64_t RowTops::tighten_bounds(int64_t r, int64_t count) const {
  if (count <= k_) return count;
  const float* const values = candidates_.values + r * candidates_.room;
  const auto keep_from_rank = [&](int64_t last) {
    const float rank = rank_of_key(last);
    return keep_where(r, count, [&](int64_t i) { return !(values[i] < rank); });
  };
  int64_t last = filter_.near_kth(candidates_.keys + r * candidates_.room, count, k_);
  count = keep_from_rank(last);
  if (count > RowCandidates::after_tightening(k_)) {
    last = kth_of(r, count);
    count = keep_from_rank(last);
  }
  if (count > RowCandidates::after_tightening(k_)) {
    settle(r, count, false);
    return tighten(r, count, true);
  }
  raise_threshold(r, last);
  return count;
}

// Replaces the bounds of the first `count` candidates of a row by exact ranks; their values become those too,
// or activations.
void RowTops::settle(int64_t r, int64_t count, bool as_activations) const {
  int64_t* const keys = candidates_.keys + r * candidates_.room;
  float* const values = candidates_.values + r * candidates_.room;
  auto* const latents = reinterpret_cast<int32_t*>(candidates_.spare);
  auto* const products = reinterpret_cast<float*>(latents + candidates_.room);
  for (int64_t i = 0; i < count; ++i) latents[i] = static_cast<int32_t>(latent_of_key(keys[i]));
  screen_->products(r, latents, count, products);
  for (int64_t i = 0; i < count; ++i) {
    const float rank = rank_of(products[i], latents[i]);
    keys[i] = rank_key(rank, latents[i]);
    values[i] = as_activations ? activation_of(products[i], bias_, latents[i]) : rank;
  }
}

// Drops candidates that k others beat and raises the row's threshold accordingly; leaves about k, or
// exactly k.
int64_t RowTops::tighten(int64_t r, int64_t count, bool exactly) const {
  if (count <= k_) return count;
  const int64_t* const keys = candidates_.keys + r * candidates_.room;
  int64_t last = filter_.near_kth(keys, count, k_);
  const auto is_kept = [&](int64_t i) { return keys[i] >= last; };
  int64_t kept = keep_where(r, count, is_kept);
  if (exactly || kept > RowCandidates::after_tightening(k_)) {
    last = kth_of(r, kept);
    kept = keep_where(r, kept, is_kept);
  }
  raise_threshold(r, last);
  return kept;
}

// To the rank of the key of a k-th candidate. Only NaN passes an infinite threshold.
void RowTops::raise_threshold(int64_t r, int64_t last) const {
  const float rank = rank_of_key(last);
  candidates_.thresholds[r] = std::isnan(rank) ? std::numeric_limits<float>::infinity() : rank;
}

int64_t RowTops::kth_of(int64_t r, int64_t count) const {
  std::copy_n(candidates_.keys + r * candidates_.room, count, candidates_.spare);
  std::nth_element(candidates_.spare, candidates_.spare + k_ - 1, candidates_.spare + count,
                   std::greater<>());
  return candidates_.spare[k_ - 1];
}

// Keeps the candidates i for which keep(i) holds, in their order; returns how many.
template <typename Keep>
int64_t RowTops::keep_where(int64_t r, int64_t count, const Keep& keep) const {
  int64_t* const keys = candidates_.keys + r * candidates_.room;
  float* const values = candidates_.values + r * candidates_.room;
  int64_t kept = 0;
  for (int64_t i = 0; i < count; ++i) {
    const bool is_kept = keep(i);
    keys[kept] = keys[i];
    values[kept] = values[i];
    kept += is_kept ? 1 : 0;
  }
  return kept;
}

int64_t RowTops::keep_positive(int64_t r, int64_t count) const {
  const int64_t* const keys = candidates_.keys + r * candidates_.room;
  return keep_where(r, count, [&](int64_t i) { return !(rank_of_key(keys[i]) <= 0.0f); });
}

int64_t RowTops::finish(int64_t r) const {
  int64_t count = candidates_.counts[r];
  if (screen_ != nullptr) {
    count = tighten_bounds(r, count);
    settle(r, count, true);
    count = keep_positive(r, count);
  }
  candidates_.counts[r] = tighten(r, count, true);
  return candidates_.counts[r];
}

int64_t RowTops::local_latent(int64_t r, int64_t i) const {
  return latent_of_key(candidates_.keys[r * candidates_.room + i]);
}

}  // namespace orthant::kernels
