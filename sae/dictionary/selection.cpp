#include "sae/dictionary/selection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "kernels/codes/keep_entries.h"
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
  kernels::cpu::keep_entries(candidates, [&](int64_t row, int64_t e) {
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

// The rounds of the bisection, from the bit below the sign.
constexpr kernels::BitField kRounds[kSelectionRounds] = {{20, 11}, {9, 11}, {0, 9}};
static_assert(kSelectionBins == kernels::SelectionScratch::kMostBins);

}  // namespace

BatchSelection::BatchSelection(Memory& memory, int64_t capacity)
    : memory_(&memory),
      scratch_(memory, capacity),
      histogram_(memory, "selection", {kSelectionBins}),
      counts_(kSelectionBins) {}

// counts_ becomes what the histogram holds.
void BatchSelection::read_histogram(Communicator& world, Stream& stream) {
  world.wait(stream);
  const Vector<const int64_t> histogram = std::as_const(histogram_).view();
  copy_bytes(counts_.data(), kCpu, histogram.data, histogram.device, histogram.bytes());
}

// The key of the `wanted`-th of the `ties` entries of all ranks with these bits.
int64_t BatchSelection::key_of_tie(kernels::CodesView candidates, uint32_t bits, int64_t first_row,
                                   int64_t ties, int64_t wanted, Communicator& world, Stream& stream) {
  const kernels::BitField& last_round = kRounds[kSelectionRounds - 1];
  kernels::count_bits(candidates, last_round, bits, scratch_, histogram_.view(), stream);
  read_histogram(world, stream);
  const int64_t own = counts_[bits & static_cast<uint32_t>(last_round.bins() - 1)];
  tied_keys_.resize(static_cast<size_t>(own));
  kernels::list_equal(candidates, bits, first_row, scratch_, tied_keys_, stream);
  tied_counts_.resize(static_cast<size_t>(world.size()));
  world.all_gather(&own, tied_counts_.data(), 1, Dtype::kI64, stream);
  all_tied_keys_.resize(static_cast<size_t>(ties));
  world.all_gather_uneven(tied_keys_.data(), all_tied_keys_.data(), tied_counts_, Dtype::kI64, stream);
  const auto last = all_tied_keys_.begin() + (wanted - 1);
  std::nth_element(all_tied_keys_.begin(), last, all_tied_keys_.end());
  return *last;
}

BatchSelected BatchSelection::select(kernels::CodesView candidates, int64_t first_row, int64_t keep,
                                     Communicator& world, Stream& stream) {
  if (candidates.capacity() > scratch_.entries()) {
    scratch_ = kernels::SelectionScratch(*memory_, candidates.capacity());
  }
  // After the rounds: `cutoff` holds the bits of the keep-th largest value, `above` how many are larger.
  uint32_t cutoff = 0;
  int64_t above = 0;
  int64_t ties = 0;
  for (const kernels::BitField& round : kRounds) {
    kernels::count_bits(candidates, round, cutoff, scratch_, histogram_.view(), stream);
    all_reduce(world, histogram_.view(), ReduceOp::kSum, stream);
    read_histogram(world, stream);
    auto bin = static_cast<size_t>(round.bins() - 1);
    while (bin > 0 && above + counts_[bin] < keep) above += counts_[bin--];
    cutoff |= static_cast<uint32_t>(bin) << round.shift;
    ties = counts_[bin];
  }

  const int64_t wanted = keep - above;
  const int64_t last_key = ties > wanted
                               ? key_of_tie(candidates, cutoff, first_row, ties, wanted, world, stream)
                               : std::numeric_limits<int64_t>::max();
  kernels::keep_from(candidates, cutoff, first_row, last_key, scratch_, stream);
  const int64_t kept = above + std::min(ties, wanted);
  if (kept == keep) return {.smallest = std::bit_cast<float>(cutoff), .kept = kept};
  float smallest = kernels::smallest_value(candidates, scratch_, stream);
  world.all_reduce(&smallest, 1, Dtype::kF32, ReduceOp::kMin, stream);
  return {.smallest = kept == 0 ? 0.0f : smallest, .kept = kept};
}

}  // namespace orthant::sae
