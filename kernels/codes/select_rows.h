// The steps of a selection of the k largest of each row over several shards: what a shard sends of its rows,
// where the k-th largest of all that was sent lies, and what the shard keeps.
//
// Entries rank by value * scale; a NaN is the largest number, infinity, so that it is selected and stays
// visible. All operands are on one device. Not Collective; not thread-safe.
#pragma once

#include <limits>

#include "kernels/codes/codes.h"
#include "kernels/codes/selection_scratch.h"
#include "runtime/device/stream.h"

namespace orthant::kernels {

// Fills rows that have fewer ranks than are sent.
inline constexpr float kNoRank = -std::numeric_limits<float>::infinity();

struct RankedCodes {
  CodesView codes;  // at most k entries a row
  int64_t k = 0;
  int64_t first_latent = 0;
  Vector<const float> scale = {};  // [local_latents] by local latent, or empty
};

// What all shards sent of some rows: [shards, slots, width], each row's ranks descending.
struct SentRanks {
  Vector<const float> ranks;
  int64_t shards = 0;
  int64_t slots = 0;
  int64_t width = 0;
};

// By row.
struct RowCutoffs {
  Vector<float> cutoff;     // the k-th largest rank of all shards
  Vector<int64_t> ties;     // entries equal to it that this shard keeps
  Vector<int32_t> settled;  // 0: unsent entries may belong to the selection, the other two are not known
};

class RowSelectionScratch {
 public:
  RowSelectionScratch() = default;
  // For codes of at most `entries` of capacity and `shards` rows of at most k.
  RowSelectionScratch(Memory& memory, int64_t entries, int64_t k, int64_t shards)
      : entries_(memory, entries) {
    if (memory.device().kind == DeviceKind::kCpu)
      order_ = Tensor<float, 1>(memory, "selection", {shards * k});
  }
  [[nodiscard]] SelectionScratch& entries() { return entries_; }
  // For the bodies on the CPU.
  [[nodiscard]] Vector<float> order() { return order_.view(); }

 private:
  SelectionScratch entries_;
  Tensor<float, 1> order_;
};

// sent[i] = the ranks of row rows[i], or of row i where `rows` has no data: the sent.shape[1] <= k largest,
// descending, and kNoRank for what is missing.
void largest_ranks(const RankedCodes& ranked, Vector<const int64_t> rows, RowSelectionScratch& scratch,
                   Matrix<float> sent, Stream& stream);

// The cutoff of row rows[slot], or of row `slot` where `rows` has no data, for every slot. `shard` is this
// one. candidates[s] = entries a row that shard s has.
void find_cutoffs(const SentRanks& sent, int64_t k, int64_t shard, Vector<const int64_t> candidates,
                  Vector<const int64_t> rows, RowSelectionScratch& scratch, RowCutoffs cutoffs,
                  Stream& stream);

// Leaves the entries above their row's cutoff and the first `ties` of those equal to it, in order.
void keep_ranked(const RankedCodes& ranked, RowCutoffs cutoffs, RowSelectionScratch& scratch, Stream& stream);

}  // namespace orthant::kernels
