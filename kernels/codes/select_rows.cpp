#include "kernels/codes/select_rows.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "kernels/codes/keep_entries.h"
#include "kernels/codes/select_rows_cuda.h"

namespace orthant::kernels {
namespace {

int64_t row_at(Vector<const int64_t> rows, int64_t slot) {
  return rows.data == nullptr ? slot : rows.data[slot];
}

float rank_of(const RankedCodes& ranked, int64_t entry) {
  const int64_t latent = ranked.codes.latents.data[entry] - ranked.first_latent;
  const float scale = ranked.scale.shape[0] == 0 ? 1.0f : ranked.scale.data[latent];
  const float rank = ranked.codes.values.data[entry] * scale;
  // NaN would break every comparison.
  return std::isnan(rank) ? std::numeric_limits<float>::infinity() : rank;
}

void largest_of_row(const RankedCodes& ranked, int64_t row, Vector<float> order, int64_t width, float* into) {
  const int64_t begin = ranked.codes.row_offsets.data[row], end = ranked.codes.row_offsets.data[row + 1];
  require(end - begin <= order.shape[0], "a row has at most k entries");
  for (int64_t e = begin; e < end; ++e) order.data[e - begin] = rank_of(ranked, e);
  const int64_t count = std::min(width, end - begin);
  std::partial_sort(order.data, order.data + count, order.data + (end - begin), std::greater<>());
  std::copy_n(order.data, count, into);
  std::fill(into + count, into + width, kNoRank);
}

// False where an unsent entry may belong to the selection.
bool settle_row(const SentRanks& sent, int64_t k, int64_t shard, Vector<const int64_t> candidates,
                int64_t slot, int64_t row, Vector<float> order, RowCutoffs cutoffs) {
  const auto ranks_of = [&](int64_t s) { return sent.ranks.data + (s * sent.slots + slot) * sent.width; };
  int64_t count = 0;
  for (int64_t s = 0; s < sent.shards; ++s) {
    const float* const ranks = ranks_of(s);
    for (int64_t i = 0; i < sent.width && ranks[i] != kNoRank; ++i) order.data[count++] = ranks[i];
  }
  if (count < k) return false;
  std::nth_element(order.data, order.data + (k - 1), order.data + count, std::greater<>());
  const float cutoff = order.data[k - 1];
  int64_t above = 0, ties_before = 0, ties_here = 0;
  for (int64_t s = 0; s < sent.shards; ++s) {
    const float* const ranks = ranks_of(s);
    const bool has_unsent = std::min(k, candidates.data[s]) > sent.width;
    if (has_unsent && ranks[sent.width - 1] >= cutoff) return false;
    for (int64_t i = 0; i < sent.width && ranks[i] >= cutoff; ++i) {
      if (ranks[i] > cutoff) {
        ++above;
      } else if (s < shard) {
        ++ties_before;
      } else if (s == shard) {
        ++ties_here;
      }
    }
  }
  cutoffs.cutoff.data[row] = cutoff;
  cutoffs.ties.data[row] = std::clamp<int64_t>(k - above - ties_before, 0, ties_here);
  return true;
}

}  // namespace

void largest_ranks(const RankedCodes& ranked, Vector<const int64_t> rows, RowSelectionScratch& scratch,
                   Matrix<float> sent, Stream& stream) {
  require(sent.shape[1] <= ranked.k, "no more than k ranks of a row are sent");
  require(rows.data == nullptr || rows.shape[0] == sent.shape[0], "rows are listed for every slot");
  if (sent.device.kind == DeviceKind::kCuda) return cuda::largest_ranks(ranked, rows, sent, stream);
  for (int64_t i = 0; i < sent.shape[0]; ++i) {
    largest_of_row(ranked, row_at(rows, i), scratch.order(), sent.shape[1], sent.row(i));
  }
}

void find_cutoffs(const SentRanks& sent, int64_t k, int64_t shard, Vector<const int64_t> candidates,
                  Vector<const int64_t> rows, RowSelectionScratch& scratch, RowCutoffs cutoffs,
                  Stream& stream) {
  require(sent.ranks.shape[0] >= sent.shards * sent.slots * sent.width, "sent ranks are of all shards");
  require(candidates.shape[0] == sent.shards, "candidates are counted for every shard");
  require(cutoffs.settled.shape[0] >= sent.slots, "every slot is settled or not");
  if (sent.ranks.device.kind == DeviceKind::kCuda) {
    return cuda::find_cutoffs(sent, k, shard, candidates, rows, cutoffs, stream);
  }
  require(sent.shards * sent.width <= scratch.order().shape[0],
          "the scratch of a selection is for its shards");
  for (int64_t slot = 0; slot < sent.slots; ++slot) {
    const bool is_settled =
        settle_row(sent, k, shard, candidates, slot, row_at(rows, slot), scratch.order(), cutoffs);
    cutoffs.settled.data[slot] = is_settled ? 1 : 0;
  }
}

void keep_ranked(const RankedCodes& ranked, RowCutoffs cutoffs, RowSelectionScratch& scratch,
                 Stream& stream) {
  require(ranked.codes.capacity() <= scratch.entries().entries(),
          "the scratch of a selection is for the capacity of its codes");
  if (ranked.codes.values.device.kind == DeviceKind::kCuda) {
    return cuda::keep_ranked(ranked, cutoffs, scratch.entries().room(), stream);
  }
  int64_t row_now = -1, ties_left = 0;
  cpu::keep_entries(ranked.codes, [&](int64_t row, int64_t e) {
    if (row != row_now) {
      row_now = row;
      ties_left = cutoffs.ties.data[row];
    }
    const float rank = rank_of(ranked, e);
    if (rank != cutoffs.cutoff.data[row]) return rank > cutoffs.cutoff.data[row];
    return ties_left-- > 0;
  });
}

}  // namespace orthant::kernels
