// Sums over blocks of rows in f64 that do not depend on how many ranks share the blocks.
//
// A rank sums its block by itself, from zero; the sums of a round's blocks are then added to the total in the
// order of the blocks, on every rank alike. So the total has the same bits at any number of ranks, and a
// checkpoint of it goes on at any other. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/comm/communicator.h"
#include "runtime/job/checkpointable.h"

namespace orthant {

class BlockSums : public Checkpointable {
 public:
  // `name`: of the tensor in checkpoints. `rank`: the one that writes is 0.
  BlockSums(std::string name, int64_t sums, int rank);

  // Of this rank's block in the round; zeros before anything is added to them.
  [[nodiscard]] std::span<double> own() { return own_; }
  // Collective. Ends the round: rank r had the r-th of its blocks, or none.
  void add(Communicator& ranks);
  // Of all rounds, on every rank.
  [[nodiscard]] std::span<const double> total() const { return total_; }

  [[nodiscard]] std::vector<TensorSlice> state() override;

 private:
  std::string name_;
  bool writes_;
  std::vector<double> own_;
  std::vector<double> total_;
  std::vector<double> of_ranks_;  // [ranks, sums]
};

}  // namespace orthant
