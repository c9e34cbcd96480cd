// What one pass over activations keeps for scoring: sums of every latent over the windows of a vocabulary.
//
// Ranks of a data group add the blocks of rows that they were dealt; merge() brings all into the first of
// them, so that a checkpoint holds sums and the number of finished blocks and nothing else, and any number of
// ranks continues it. Latents may be sliced over a dictionary group. Memory is allocated at construction. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/codes/group_sums.h"
#include "runtime/comm/world.h"
#include "runtime/job/checkpointable.h"
#include "sae/dictionary/dictionary.h"
#include "sae/scoring/reason_score.h"

namespace orthant::sae {

// Of all latents, folded: activations times the norm of the decoder row.
struct LatentTotals {
  int64_t groups = 0;  // beside them near and far
  int64_t latents = 0;
  std::vector<double> sums = {};          // [groups + 2, latents]
  std::vector<int64_t> counts = {};       // [groups + 2] tokens
  std::vector<int64_t> fired = {};        // [latents] tokens
  std::vector<double> max = {};           // [latents]
  std::vector<int64_t> max_row = {};      // [latents] the first row that has it; -1: never fired
  std::vector<double> decoder_norm = {};  // [latents]
  [[nodiscard]] WindowSums windows() const { return {groups, latents, sums, counts}; }
  [[nodiscard]] int64_t tokens() const {
    return counts[static_cast<size_t>(groups)] + counts[static_cast<size_t>(groups) + 1];
  }
};

class ScoreSums : public Checkpointable {
 public:
  // `slice` of `latents`; `bits` of a mask; `replica`: this rank's place in the data group.
  ScoreSums(Memory& memory, int64_t bits, int64_t latents, Share slice, int replica);

  // Local. Rows numbered first_row, ...; ascending from call to call.
  void add(kernels::CodesView codes, Vector<const uint64_t> masks, int64_t first_row);
  // Collective over the data group. The first rank has what all had, the others nothing. `blocks_done`: of
  // the whole job.
  void merge(Communicator& replicas, int64_t blocks_done);
  [[nodiscard]] int64_t blocks_done() const { return blocks_done_; }

  // Local. After a load.
  void after_load();
  [[nodiscard]] std::vector<TensorSlice> state() override;

  // Collective over the grid. After merge(): on every rank. `dictionary` is this rank's slice.
  [[nodiscard]] LatentTotals totals(const Dictionary& dictionary, Grid& grid, int virtual_shards);

 private:
  [[nodiscard]] kernels::GroupSums view();
  void clear();
  int64_t latents_;
  Share slice_;
  int replica_;
  int64_t blocks_done_ = 0;
  Tensor<double, 2> values_;    // [local_latents, bits]
  Tensor<int64_t, 1> rows_;     // [bits]
  Tensor<int64_t, 1> fired_;    // [local_latents]
  Tensor<float, 1> max_;        // [local_latents]
  Tensor<int64_t, 1> max_row_;  // [local_latents]
};

}  // namespace orthant::sae
