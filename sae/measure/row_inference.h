// A dictionary at work on rows of the host, whatever its device: codes and reconstructions come back to the
// host, where they are counted.
//
// Collective over the shards; not thread-safe.
#pragma once

#include <vector>

#include "sae/dictionary/inference.h"

namespace orthant::sae {

class RowInference {
 public:
  // Batches of at most `rows` rows. Arguments as for Inference, in memory of the dictionary's device.
  RowInference(const Dictionary& dictionary, int64_t rows, Communicator& shards, int virtual_shards);

  // Codes of `x` [rows, d_model]: this slice's latents, global numbers. Valid until the next call.
  kernels::CodesView encode(Matrix<const float> x);
  // What the codes of the last encode() stand for: `out` [rows, d_model].
  void decode(Matrix<float> out);

 private:
  [[nodiscard]] bool is_on_host() const { return memory_.device() == kCpu; }

  Memory memory_;
  Communicator* shards_;
  Inference inference_;
  Tensor<float, 2> rows_;  // [rows, d_model] where the dictionary is; empty on the host
  std::vector<int64_t> row_offsets_;
  std::vector<int32_t> latents_;
  std::vector<float> values_;
};

}  // namespace orthant::sae
