// Products of rows with the projections of a block, their inputs pruned where that is asked for (pruning.h):
// what forward.cpp calls. Rows depend on themselves alone unless a selection looks across them. Not
// Collective.
#pragma once

#include <span>

#include "models/transformer/pass.h"

namespace orthant::models {

// A projection of rows, and where its products go.
struct Target {
  Projection projection;
  const kernels::PackedWeights& weights;
  Matrix<float> out;                       // [tokens, outputs], or [block rows, outputs]
  const Tensor<float, 1>* bias = nullptr;  // null or empty: none
  bool is_of_block = false;                // `out` has the rows of a block alone
};

// What projections read: `x` itself, or what the producer makes of it. Where it is pruned the same for all of
// them, it is pruned as it is made; else it is made in `room`.
struct ProjectionInput {
  Matrix<const float> x;  // [rows, inputs]
  kernels::RowProducer producer = {};
  Matrix<float> room = {};  // [rows, inputs], for a producer; may be x
};

// The input in memory, made there where a producer makes it.
[[nodiscard]] ProjectionInput stored(const Pass& pass, const ProjectionInput& input);

// What a batch needs before its first product.
void begin_pruning(const Pass& pass);

// Of the rows of a block, which share `input`; no selection of the targets looks across rows.
void project_block(const Pass& pass, int64_t layer, const RowBlock& block, const ProjectionInput& input,
                   std::span<const Target> targets);

// Of all rows of the batch: `x` [tokens, inputs].
void project_whole(const Pass& pass, int64_t layer, Matrix<const float> x, std::span<const Target> targets);

// Shows `x` [tokens, inputs] to who asked for the inputs of projections.
void show_inputs(const Pass& pass, int64_t layer, Projection projection, Matrix<const float> x);

}  // namespace orthant::models
