#include "sae/dictionary/selection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"

namespace orthant::sae {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

// NaN would break every comparison; as the largest value it is selected and stays visible.
float rank_of(float value, float scale) {
  const float ranked = value * scale;
  return std::isnan(ranked) ? std::numeric_limits<float>::infinity() : ranked;
}

float scale_at(Vector<const float> scale, int64_t local_latent) {
  return scale.shape[0] == 0 ? 1.0f : scale.data[local_latent];
}

// Keeps the entries for which keep(row, entry) holds, in order.
template <typename Keep>
void compress(kernels::CodesView codes, Keep keep) {
  int64_t kept = codes.row_offsets.data[0];
  int64_t begin = kept;
  for (int64_t r = 0; r < codes.rows(); ++r) {
    const int64_t end = codes.row_offsets.data[r + 1];
    for (int64_t e = begin; e < end; ++e) {
      if (!keep(r, e)) continue;
      codes.latents.data[kept] = codes.latents.data[e];
      codes.values.data[kept] = codes.values.data[e];
      ++kept;
    }
    begin = end;
    codes.row_offsets.data[r + 1] = kept;
  }
}

}  // namespace

int64_t first_round_values(int64_t k, int shards) {
  if (shards == 1) return k;
  const double share = 1.0 / shards;
  const double deviation = std::sqrt(static_cast<double>(k) * share * (1.0 - share));
  const auto wanted = static_cast<int64_t>(std::ceil(static_cast<double>(k) * share + 3.0 * deviation)) + 1;
  return std::min(k, wanted);
}

RowSelection::RowSelection(Memory& memory, int64_t rows, int64_t k, int shards) : k_capacity_(k) {
  if (shards == 1) return;
  sent_ = Tensor<float, 1>(memory, "selection", {rows * k});
  received_ = Tensor<float, 1>(memory, "selection", {shards * rows * k});
  cutoff_ = Tensor<float, 1>(memory, "selection", {rows});
  ties_ = Tensor<int64_t, 1>(memory, "selection", {rows});
  order_.reserve(static_cast<size_t>(shards * k));
  unresolved_.reserve(static_cast<size_t>(rows));
}

void RowSelection::select(kernels::CodesView candidates, int64_t k,
                          std::span<const int64_t> latents_per_shard, int64_t first_latent,
                          Vector<const float> scale, Communicator& shards, Stream& stream) {
  rounds_ = {.rows = candidates.rows()};
  const int size = shards.size();
  if (size == 1) return;
  require(k <= k_capacity_, "k is within the capacity of the selection");
  const auto ranked = [&](int64_t e) {
    return rank_of(candidates.values.data[e], scale_at(scale, candidates.latents.data[e] - first_latent));
  };
  // The `width` largest values of a row, descending, padded.
  const auto fill = [&](int64_t row, int64_t width, float* into) {
    order_.clear();
    for (int64_t e = candidates.row_offsets.data[row]; e < candidates.row_offsets.data[row + 1]; ++e) {
      order_.push_back(ranked(e));
    }
    const auto count = std::min(width, static_cast<int64_t>(order_.size()));
    std::partial_sort(order_.begin(), order_.begin() + count, order_.end(), std::greater<>());
    std::copy_n(order_.begin(), count, into);
    std::fill(into + count, into + width, kNothing);
  };
  // Finds the cutoff and this shard's ties of a row from what all shards sent; false when an unsent value may
  // belong to the selection.
  const auto resolve = [&](int64_t row, int64_t slot, int64_t slots, int64_t width) {
    const auto values_of = [&](int shard) { return received_.data() + (shard * slots + slot) * width; };
    order_.clear();
    for (int s = 0; s < size; ++s) {
      for (int64_t i = 0; i < width && values_of(s)[i] != kNothing; ++i) order_.push_back(values_of(s)[i]);
    }
    if (static_cast<int64_t>(order_.size()) < k) return false;
    std::nth_element(order_.begin(), order_.begin() + (k - 1), order_.end(), std::greater<>());
    const float cutoff = order_[static_cast<size_t>(k - 1)];
    int64_t above = 0;
    int64_t ties_before = 0;
    int64_t ties_here = 0;
    for (int s = 0; s < size; ++s) {
      const float* values = values_of(s);
      const bool has_unsent = std::min(k, latents_per_shard[static_cast<size_t>(s)]) > width;
      if (has_unsent && values[width - 1] >= cutoff) return false;
      for (int64_t i = 0; i < width && values[i] >= cutoff; ++i) {
        if (values[i] > cutoff) {
          ++above;
        } else if (s < shards.rank()) {
          ++ties_before;
        } else if (s == shards.rank()) {
          ++ties_here;
        }
      }
    }
    cutoff_.data()[row] = cutoff;
    ties_.data()[row] = std::clamp<int64_t>(k - above - ties_before, 0, ties_here);
    return true;
  };

  const int64_t width = first_round_values(k, size);
  for (int64_t r = 0; r < candidates.rows(); ++r) fill(r, width, sent_.data() + r * width);
  shards.all_gather(sent_.data(), received_.data(), candidates.rows() * width, Dtype::kF32, stream);
  unresolved_.clear();
  for (int64_t r = 0; r < candidates.rows(); ++r) {
    if (!resolve(r, r, candidates.rows(), width)) unresolved_.push_back(r);
  }
  const auto second = static_cast<int64_t>(unresolved_.size());
  if (second > 0) {
    for (int64_t i = 0; i < second; ++i) {
      fill(unresolved_[static_cast<size_t>(i)], k, sent_.data() + i * k);
    }
    shards.all_gather(sent_.data(), received_.data(), second * k, Dtype::kF32, stream);
    for (int64_t i = 0; i < second; ++i) {
      require(resolve(unresolved_[static_cast<size_t>(i)], i, second, k),
              "all candidates of a row were sent");
    }
  }
  rounds_.second_round_rows = second;
  rounds_.bytes_received = (size - 1) * int64_t{4} * (candidates.rows() * width + second * k);

  int64_t row_now = -1;
  int64_t ties_left = 0;
  compress(candidates, [&](int64_t row, int64_t e) {
    if (row != row_now) {
      row_now = row;
      ties_left = ties_.data()[row];
    }
    const float value = ranked(e);
    if (value != cutoff_.data()[row]) return value > cutoff_.data()[row];
    return ties_left-- > 0;
  });
}

namespace {

// The bits of a positive float rank like the float; NaN ranks above infinity.
uint32_t bits_of(float value) {
  return std::bit_cast<uint32_t>(value) & 0x7fffffffu;
}

// The three rounds of the bisection: 11, 11 and 9 bits from the top.
struct Round {
  int shift;
  uint32_t bins;
};
constexpr Round kRounds[kSelectionRounds] = {{20, 2048}, {9, 2048}, {0, 512}};

}  // namespace

BatchSelection::BatchSelection(Memory& memory) : histogram_(memory, "selection", {kSelectionBins}) {}

BatchSelected BatchSelection::select(kernels::CodesView candidates, int64_t first_row, int64_t keep,
                                     Communicator& world, Stream& stream) {
  const int64_t begin = candidates.row_offsets.data[0];
  const int64_t end = candidates.entries();
  const auto bits_at = [&](int64_t e) { return bits_of(candidates.values.data[e]); };

  // After the rounds: `cutoff` holds the bits of the keep-th largest value, `above` how many are larger.
  uint32_t cutoff = 0;
  int64_t above = 0;
  int64_t ties = 0;
  for (const Round& round : kRounds) {
    histogram_.zero();
    const uint32_t known_shift = round.shift == 20 ? 31 : (round.shift == 9 ? 20 : 9);
    for (int64_t e = begin; e < end; ++e) {
      const uint32_t bits = bits_at(e);
      if ((bits >> known_shift) != (cutoff >> known_shift)) continue;
      ++histogram_.data()[(bits >> round.shift) & (round.bins - 1)];
    }
    all_reduce(world, histogram_.view(), ReduceOp::kSum, stream);
    int64_t bin = round.bins - 1;
    while (bin > 0 && above + histogram_.data()[bin] < keep) above += histogram_.data()[bin--];
    cutoff |= static_cast<uint32_t>(bin) << round.shift;
    ties = histogram_.data()[bin];
  }

  const int64_t wanted = keep - above;
  int64_t last_key = std::numeric_limits<int64_t>::max();
  if (ties > wanted) {
    tied_keys_.clear();
    for (int64_t r = 0; r < candidates.rows(); ++r) {
      for (int64_t e = candidates.row_offsets.data[r]; e < candidates.row_offsets.data[r + 1]; ++e) {
        if (bits_at(e) == cutoff) tied_keys_.push_back(((first_row + r) << 32) | candidates.latents.data[e]);
      }
    }
    tied_counts_.resize(static_cast<size_t>(world.size()));
    const auto mine = static_cast<int64_t>(tied_keys_.size());
    world.all_gather(&mine, tied_counts_.data(), 1, Dtype::kI64, stream);
    all_tied_keys_.resize(static_cast<size_t>(ties));
    world.all_gather_uneven(tied_keys_.data(), all_tied_keys_.data(), tied_counts_, Dtype::kI64, stream);
    const auto last = all_tied_keys_.begin() + (wanted - 1);
    std::nth_element(all_tied_keys_.begin(), last, all_tied_keys_.end());
    last_key = *last;
  }
  compress(candidates, [&](int64_t row, int64_t e) {
    const uint32_t bits = bits_at(e);
    if (bits != cutoff) return bits > cutoff;
    return (((first_row + row) << 32) | candidates.latents.data[e]) <= last_key;
  });
  const int64_t kept = above + std::min(ties, wanted);
  if (kept == keep) return {.smallest = std::bit_cast<float>(cutoff), .kept = kept};
  float smallest = std::numeric_limits<float>::infinity();
  for (int64_t e = begin; e < candidates.entries(); ++e) {
    smallest = std::min(smallest, candidates.values.data[e]);
  }
  world.all_reduce(&smallest, 1, Dtype::kF32, ReduceOp::kMin, stream);
  return {.smallest = kept == 0 ? 0.0f : smallest, .kept = kept};
}

}  // namespace orthant::sae
