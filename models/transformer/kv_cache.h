// Keys and values of a batch of sequences, one slot a sequence, in the layout of
// kernels/transformer/attention.h.
//
// A cache of all layers serves generation; a run state keeps one of a single layer that every layer uses in
// turn when nothing is to be remembered. They are on the device of the memory; lengths and places are on the
// host. Not thread-safe.
#pragma once

#include <span>
#include <vector>

#include "kernels/transformer/attention.h"
#include "models/formats/model_file.h"
#include "runtime/device/tensor.h"

namespace orthant::models {

[[nodiscard]] kernels::AttentionShape attention_shape(const ModelConfig& config);

class KvCache {
 public:
  KvCache() = default;
  // Room for `positions` positions over all slots of each of `layers` layers; every slot takes up to 15 more.
  KvCache(Memory& memory, const ModelConfig& config, int64_t layers, int64_t positions, int64_t slots);

  // Forgets everything and gives slot s room for capacities[s] positions. Their sum and number are at most
  // those of the construction.
  void assign(std::span<const int64_t> capacities);
  [[nodiscard]] int64_t slots() const { return static_cast<int64_t>(lengths_.size()); }
  [[nodiscard]] int64_t layers() const { return layers_; }
  // Positions stored in a slot so far.
  [[nodiscard]] int64_t length(int64_t slot) const { return lengths_[static_cast<size_t>(slot)]; }
  [[nodiscard]] int64_t capacity(int64_t slot) const { return capacities_[static_cast<size_t>(slot)]; }
  // The slot is empty and takes another sequence.
  void forget(int64_t slot) { lengths_[static_cast<size_t>(slot)] = 0; }
  void advance(int64_t slot, int64_t positions) { lengths_[static_cast<size_t>(slot)] += positions; }
  // Where `rows` new rows of a slot go in one layer; the rows of the batch begin at first_row.
  [[nodiscard]] kernels::AttentionSequence sequence(int64_t layer, int64_t slot, int64_t first_row,
                                                    int64_t rows);

 private:
  kernels::AttentionShape shape_;
  int64_t layers_ = 0;
  int64_t room_ = 0;  // positions of a layer, slots padded to whole panels
  std::vector<int64_t> lengths_;
  std::vector<int64_t> capacities_;
  std::vector<int64_t> begins_;  // first position of each slot in a layer's room
  Tensor<float, 2> keys_;        // [layers, floats of the room]
  Tensor<float, 2> values_;      // [layers, floats of the room]
};

}  // namespace orthant::models
