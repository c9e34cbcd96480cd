// The buffers through which a wave of activations passes, allocated once and used for every forward.
//
// All are on the device of the weights. One run state serves one forward at a time; several may share the
// same Weights. Not thread-safe.
#pragma once

#include <vector>

#include "kernels/dense/product_rows.h"
#include "models/transformer/kv_cache.h"
#include "models/transformer/rope_table.h"
#include "models/transformer/weights.h"

namespace orthant::models {

struct RunLimits {
  int64_t tokens = 0;     // of one forward, over all sequences
  int64_t sequences = 1;  // of one forward
  int64_t positions = 0;  // of the longest sequence, cached ones and its parent's included
  int64_t kept = 0;  // positions of all sequences without a cache, parents counted again with each child; at
                     // least `tokens`
};

// Columns of the widest rows that go into a block's products.
[[nodiscard]] int64_t widest_row(const ModelConfig& config);

// How rows are dealt out for the projections. On the CPU a thread takes blocks of rows: enough rows to use
// the weights well, few enough to stay in cache. A device takes all rows at once.
struct RowBlocks {
  int threads = 1;   // that have a block at a time
  int64_t rows = 0;  // most rows of a block
  RowBlocks(Device device, int64_t tokens);
};

struct RunState {
  // For forwards of these weights, in memory of their device.
  RunState(Memory& memory, const Weights& weights, RunLimits limits);

  RunLimits limits;
  RopeTable rope;                    // [limits.positions]
  std::vector<int32_t> positions;    // [tokens] of the batch
  std::vector<int32_t> sequences;    // [tokens] of the batch
  Tensor<int32_t, 1> token_ids_at;   // [limits.tokens] token ids of the batch, for kernels
  Tensor<int32_t, 1> positions_at;   // [limits.tokens] `positions`, for kernels
  Tensor<int32_t, 1> logit_rows_at;  // [limits.tokens] rows whose final hidden state is wanted, for kernels
  Tensor<float, 2> residual;         // [limits.tokens, d_model]
  // [limits.tokens, d_model] what a half block adds; at the end the final hidden rows
  Tensor<float, 2> delta;
  Tensor<float, 2> query;         // [limits.tokens, heads * head_dim]; attention's output takes its place
  Tensor<float, 2> key;           // [limits.tokens, kv_heads * head_dim]
  Tensor<float, 2> value;         // [limits.tokens, kv_heads * head_dim]
  RowBlocks blocks;               // that the buffers below are for
  Tensor<float, 2> normed;        // [threads * block rows, d_model]
  Tensor<float, 2> gate;          // [threads * block rows, d_mlp]
  Tensor<float, 2> up;            // [threads * block rows, d_mlp]
  kernels::ProductRows operands;  // of one product at a time, at most all rows
  Tensor<float, 1> attention_scratch;  // one share a thread
  KvCache one_layer;                   // keys and values where the caller keeps no cache
  int64_t flops = 0;  // floating-point operations of all forwards so far; a multiply-add counts 2

 private:
  RunState(Memory& memory, const ModelConfig& config, kernels::Precision precision, RunLimits limits);
};

}  // namespace orthant::models
