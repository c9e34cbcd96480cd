// Exact selection across shards: the same set of latents as one process would select, with bounded
// communication.
//
// Values travel, never pre-activations. A NaN ranks above every number, so that it is selected and the loss
// shows it. Scratch is allocated at construction. Every select() is Collective; not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/codes/select_batch.h"
#include "kernels/codes/select_rows.h"
#include "runtime/comm/communicator.h"
#include "runtime/device/host_copy.h"

namespace orthant::sae {

// Values a shard sends of each row in the first round: its fair share of k and a margin of about three
// standard deviations, so that second rounds are rare. Never more than k.
[[nodiscard]] int64_t first_round_values(int64_t k, int shards);

// What the last select() of a RowSelection did.
struct RowSelectionRounds {
  int64_t rows = 0;
  int64_t second_round_rows = 0;
  // Bytes that one rank receives: (shards - 1) * 4 * (rows * first + second_round_rows * k).
  int64_t bytes_received = 0;
};

// Of each row, the k largest over all shards by value * scale, ties to the lowest latent.
class RowSelection {
 public:
  // One call has at most `rows` rows and selects at most `k` of each.
  RowSelection(Memory& memory, int64_t rows, int64_t k, int shards);
  // Collective over the shards. `candidates` holds each row's min(k, latents_per_shard[rank]) largest of this
  // shard and is reduced in place to those selected. `scale` [local_latents] by local latent, or empty.
  void select(kernels::CodesView candidates, int64_t k, std::span<const int64_t> latents_per_shard,
              int64_t first_latent, Vector<const float> scale, Communicator& shards, Stream& stream);
  [[nodiscard]] const RowSelectionRounds& rounds() const { return rounds_; }

 private:
  [[nodiscard]] int64_t list_unsettled(int64_t rows, Stream& stream);
  Memory* memory_;
  int64_t k_capacity_;
  int shard_count_;
  kernels::RowSelectionScratch scratch_;
  Tensor<float, 1> sent_;          // [rows * k]
  Tensor<float, 1> received_;      // [shards * rows * k]
  Tensor<float, 1> cutoff_;        // [rows]
  Tensor<int64_t, 1> ties_;        // [rows]
  Tensor<int32_t, 1> settled_;     // [rows] of the first round, then of the second
  Tensor<int64_t, 1> candidates_;  // [shards] entries of a row
  Tensor<int64_t, 1> unsettled_;   // [rows] those of a second round
  HostCopy settled_on_host_;
  std::vector<int64_t> host_unsettled_;
  RowSelectionRounds rounds_;
};

struct BatchSelected {
  float smallest = 0.0f;  // the smallest value kept; 0 when none is
  int64_t kept = 0;       // over all ranks
};

// What BatchSelection sums over the ranks: a histogram of so many bins in each of so many rounds.
inline constexpr int64_t kSelectionBins = 2048;
inline constexpr int kSelectionRounds = 3;

// Of a whole batch, the `keep` largest positive values over all ranks, ties by row, then latent (BatchTopK).
class BatchSelection {
 public:
  // For candidates of at most `capacity`; grows where there are more.
  BatchSelection(Memory& memory, int64_t capacity);
  // Collective over the world. `candidates` hold positive values; rows are numbered from first_row in the
  // batch. Reduced in place. Exactly `keep` entries remain over all ranks, or all where there are fewer.
  BatchSelected select(kernels::CodesView candidates, int64_t first_row, int64_t keep, Communicator& world,
                       Stream& stream);

 private:
  [[nodiscard]] const int64_t* read_histogram(Communicator& world, Stream& stream);
  [[nodiscard]] int64_t key_of_tie(kernels::CodesView candidates, uint32_t bits, int64_t first_row,
                                   int64_t ties, int64_t wanted, Communicator& world, Stream& stream);
  Memory* memory_;
  kernels::SelectionScratch scratch_;
  Tensor<int64_t, 1> histogram_;
  HostCopy histogram_on_host_;
  // Keys (row, latent) of the entries equal to the cutoff: of this rank, their number on each rank, of all.
  // They grow with the most ties that a batch had, which are few unless activations are degenerate.
  std::vector<int64_t> tied_keys_;
  std::vector<int64_t> tied_counts_;
  std::vector<int64_t> all_tied_keys_;
};

}  // namespace orthant::sae
