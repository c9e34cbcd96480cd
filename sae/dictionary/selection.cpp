#include "sae/dictionary/selection.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "runtime/core/error.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::sae {

int64_t first_round_values(int64_t k, int shards) {
  if (shards == 1) return k;
  const double share = 1.0 / shards;
  const double deviation = std::sqrt(static_cast<double>(k) * share * (1.0 - share));
  const auto wanted = static_cast<int64_t>(std::ceil(static_cast<double>(k) * share + 3.0 * deviation)) + 1;
  return std::min(k, wanted);
}

RowSelection::RowSelection(Memory& memory, int64_t rows, int64_t k, int shards)
    : memory_(&memory), k_capacity_(k), shard_count_(shards) {
  if (shards == 1) return;
  scratch_ = kernels::RowSelectionScratch(memory, rows * k, k, shards);
  sent_ = Tensor<float, 1>(memory, "selection", {rows * k});
  received_ = Tensor<float, 1>(memory, "selection", {shards * rows * k});
  cutoff_ = Tensor<float, 1>(memory, "selection", {rows});
  ties_ = Tensor<int64_t, 1>(memory, "selection", {rows});
  settled_ = Tensor<int32_t, 1>(memory, "selection", {rows});
  candidates_ = Tensor<int64_t, 1>(memory, "selection", {shards});
  unsettled_ = Tensor<int64_t, 1>(memory, "selection", {rows});
  settled_on_host_ = HostCopy(memory.working_device(), settled_.view().bytes());
  host_unsettled_.reserve(static_cast<size_t>(rows));
}

// Puts the slots of a round that are not settled into unsettled_; returns how many there are.
int64_t RowSelection::list_unsettled(int64_t rows, Stream& stream) {
  const Vector<const int32_t> settled = settled_on_host_.of(settled_.view().rows(0, rows), stream);
  host_unsettled_.clear();
  for (int64_t r = 0; r < rows; ++r) {
    if (settled.data[r] == 0) host_unsettled_.push_back(r);
  }
  const auto count = static_cast<int64_t>(host_unsettled_.size());
  const Vector<int64_t> listed = unsettled_.view().rows(0, count);
  copy_in_order(listed.data, host_unsettled_.data(), listed.bytes(), stream);
  return count;
}

void RowSelection::select(kernels::CodesView candidates, int64_t k,
                          std::span<const int64_t> latents_per_shard, int64_t first_latent,
                          Vector<const float> scale, Communicator& shards, Stream& stream) {
  rounds_ = {.rows = candidates.rows()};
  const int64_t size = shards.size();
  if (size == 1) return;
  require(k <= k_capacity_, "k is within the capacity of the selection");
  require(size == shard_count_ && latents_per_shard.size() == static_cast<size_t>(size),
          "the selection is for as many shards");
  if (candidates.capacity() > scratch_.entries().entries()) {
    scratch_ = kernels::RowSelectionScratch(*memory_, candidates.capacity(), k_capacity_, size);
  }
  const Vector<int64_t> candidates_of = candidates_.view();
  copy_in_order(candidates_of.data, latents_per_shard.data(), candidates_of.bytes(), stream);
  const kernels::RankedCodes ranked{candidates, k, first_latent, scale};
  const kernels::RowCutoffs cutoffs{cutoff_.view(), ties_.view(), settled_.view()};
  // Of the rows listed, or of all.
  const auto exchange = [&](Vector<const int64_t> rows, int64_t slots, int64_t width) {
    kernels::largest_ranks(ranked, rows, scratch_, {sent_.data(), {slots, width}, sent_.view().device},
                           stream);
    shards.all_gather(sent_.data(), received_.data(), slots * width, Dtype::kF32, stream);
    kernels::find_cutoffs({received_.view(), size, slots, width}, k, shards.rank(), candidates_of, rows,
                          scratch_, cutoffs, stream);
    shards.wait(stream);
  };

  const int64_t rows = candidates.rows(), width = first_round_values(k, shards.size());
  exchange({}, rows, width);
  const int64_t second = list_unsettled(rows, stream);
  if (second > 0) {
    exchange(unsettled_.view().rows(0, second), second, k);
    require(list_unsettled(second, stream) == 0, "all candidates of a row were sent");
  }
  rounds_.second_round_rows = second;
  rounds_.bytes_received = (size - 1) * int64_t{4} * (rows * width + second * k);
  kernels::keep_ranked(ranked, cutoffs, scratch_, stream);
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
      histogram_on_host_(memory.working_device(), histogram_.view().bytes()) {}

// The histogram where the host may read it.
const int64_t* BatchSelection::read_histogram(Communicator& world, Stream& stream) {
  world.wait(stream);
  return histogram_on_host_.of(histogram_.view(), stream).data;
}

// The key of the `wanted`-th of the `ties` entries of all ranks with these bits.
int64_t BatchSelection::key_of_tie(kernels::CodesView candidates, uint32_t bits, int64_t first_row,
                                   int64_t ties, int64_t wanted, Communicator& world, Stream& stream) {
  const kernels::BitField& last_round = kRounds[kSelectionRounds - 1];
  kernels::count_bits(candidates, last_round, bits, scratch_, histogram_.view(), stream);
  const int64_t own = read_histogram(world, stream)[bits & static_cast<uint32_t>(last_round.bins() - 1)];
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
    const int64_t* const counts = read_histogram(world, stream);
    int64_t bin = round.bins() - 1;
    while (bin > 0 && above + counts[bin] < keep) above += counts[bin--];
    cutoff |= static_cast<uint32_t>(bin) << round.shift;
    ties = counts[bin];
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
