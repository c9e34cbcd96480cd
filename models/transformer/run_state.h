// The buffers through which a wave of activations passes, allocated once and used for every forward.
//
// One run state serves one forward at a time; several may share the same Weights. Not thread-safe.
#pragma once

#include <vector>

#include "models/transformer/kv_cache.h"
#include "models/transformer/rope_table.h"

namespace orthant::models {

struct RunLimits {
  int64_t tokens = 0;     // of one forward, over all sequences
  int64_t sequences = 1;  // of one forward
  int64_t positions = 0;  // of the longest sequence, cached ones included
};

struct RunState {
  // Most rows that a thread takes through the projections together: enough to use the weights well, few
  // enough to stay in cache.
  static constexpr int64_t kRowBlock = 128;

  RunState(Memory& memory, const ModelConfig& config, RunLimits limits);

  RunLimits limits;
  RopeTable rope;                  // [limits.positions]
  std::vector<int32_t> positions;  // [tokens] of the batch
  std::vector<int32_t> sequences;  // [tokens] of the batch
  Tensor<float, 2> residual;       // [limits.tokens, d_model]
  // [limits.tokens, d_model] what a half block adds; at the end the final hidden rows
  Tensor<float, 2> delta;
  Tensor<float, 2> query;   // [limits.tokens, heads * head_dim]; attention's output takes its place
  Tensor<float, 2> key;     // [limits.tokens, kv_heads * head_dim]
  Tensor<float, 2> value;   // [limits.tokens, kv_heads * head_dim]
  int threads = 1;          // that the buffers below are for
  Tensor<float, 2> normed;  // [threads * kRowBlock, d_model]
  Tensor<float, 2> gate;    // [threads * kRowBlock, d_mlp]
  Tensor<float, 2> up;      // [threads * kRowBlock, d_mlp]
  Tensor<float, 1> attention_scratch;  // one share a thread
  KvCache one_layer;                   // keys and values where the caller keeps no cache
  int64_t flops = 0;  // floating-point operations of all forwards so far; a multiply-add counts 2
};

}  // namespace orthant::models
