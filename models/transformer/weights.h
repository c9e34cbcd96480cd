// The weights of a Llama-family model (llama, mistral, qwen2), f32, packed once for kernels/dense/gemm.h.
// With bf16 those of the products are rounded to it; norms, biases and the embedding stay as they are.
//
// Config, Weights and RunState are all there is to a model: forward() (forward.h) joins them. Weights are on
// the device of the memory into which they are loaded. Immutable after loading; one copy may serve several
// run states. Thread-safe for reading.
#pragma once

#include <limits>
#include <vector>

#include "kernels/dense/gemm.h"
#include "models/formats/model_file.h"

namespace orthant::models {

struct BlockWeights {
  Tensor<float, 1> attention_norm;  // [d_model]
  kernels::PackedWeights query;     // [heads * head_dim, d_model]
  kernels::PackedWeights key;       // [kv_heads * head_dim, d_model]
  kernels::PackedWeights value;     // [kv_heads * head_dim, d_model]
  Tensor<float, 1> query_bias;      // [heads * head_dim], or empty
  Tensor<float, 1> key_bias;        // [kv_heads * head_dim], or empty
  Tensor<float, 1> value_bias;      // [kv_heads * head_dim], or empty
  kernels::PackedWeights output;    // [d_model, heads * head_dim]
  Tensor<float, 1> mlp_norm;        // [d_model]
  kernels::PackedWeights gate;      // [d_mlp, d_model]
  kernels::PackedWeights up;        // [d_mlp, d_model]
  kernels::PackedWeights down;      // [d_model, d_mlp]
};

struct Weights {
  ModelConfig config;
  kernels::Precision precision = kernels::Precision::kF32;  // of all products
  Tensor<float, 2> embedding;                               // [vocabulary, d_model]
  std::vector<BlockWeights> blocks;                         // the first ones, as many as were loaded
  Tensor<float, 1> final_norm;                              // [d_model]
  kernels::PackedWeights head;  // [vocabulary, d_model]; empty where no logits are wanted
  [[nodiscard]] bool has_head() const { return head.columns() > 0; }
};

// What of a model is needed: a harvest that stops at block L needs neither the blocks after it nor the head.
struct LoadRange {
  int64_t blocks = std::numeric_limits<int64_t>::max();
  bool head = true;
};

// All is there when it returns, for work on any stream. On a Memory that counts only the file's header is
// looked at. Throws Error(kConfig) where the configuration is impossible, Error(kData) where a tensor is
// absent or misshapen.
[[nodiscard]] Weights load_weights(const ModelFile& file, LoadRange range, Memory& memory, Stream& stream,
                                   kernels::Precision precision = kernels::Precision::kF32);

}  // namespace orthant::models
