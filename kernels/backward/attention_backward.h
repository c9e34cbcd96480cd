// Gradient of causal grouped-query attention (kernels/transformer/attention.h) over one whole sequence. CPU.
//
// Scores are computed again, a tile of query rows at a time, so that no matrix of all pairs exists. Every sum
// is one chain over ascending rows, keys or heads of a group: bits do not depend on threads. Thread-safe for
// distinct outputs.
#pragma once

#include "kernels/transformer/attention.h"

namespace orthant::kernels {

struct AttentionOperands {
  Matrix<const float> query;  // [rows, heads * head_dim], row = position
  Matrix<const float> key;    // [rows, kv_heads * head_dim]
  Matrix<const float> value;  // [rows, kv_heads * head_dim]
};

struct AttentionGradients {
  Matrix<float> query;  // as the operands
  Matrix<float> key;
  Matrix<float> value;
};

// Floats of workspace for sequences of `rows` rows on `threads` threads.
[[nodiscard]] int64_t attention_backward_floats(const AttentionShape& shape, int64_t rows, int64_t threads);

// The gradients of the operands, where `gradient` [rows, heads * head_dim] is that of the output. As many
// threads are used as `workspace` has room for, at most OpenMP's.
void attention_backward(const AttentionShape& shape, const AttentionOperands& operands,
                        Matrix<const float> gradient, const AttentionGradients& into, Vector<float> workspace,
                        Stream& stream);

}  // namespace orthant::kernels
