// One projection whose inputs are pruned and whose learned parameters are trained: y and what the backward
// needs of it, then the gradients (learned_parameters.h gives the formula). The weights are frozen.
//
// CPU, f32, one sequence at a time. Sums have one order: bits do not depend on threads. Not thread-safe.
#pragma once

#include "models/adapt/learned_parameters.h"

namespace orthant::models {

// Buffers that the projections of a block share.
struct ProductScratch {
  ProductScratch(Memory& memory, const ModelConfig& config, const LearnedKind& kind, int64_t tokens);
  Tensor<float, 1> weights;  // elements of the largest weights
  Tensor<float, 2> outputs;  // [tokens, widest output]
  Tensor<float, 2> inputs;   // [tokens, widest input]
  Tensor<float, 2> turned;   // [widest output or rank, tokens]
  Tensor<float, 2> narrow;   // [tokens, rank]
};

class PrunedProduct {
 public:
  // For sequences of at most `tokens` tokens.
  PrunedProduct(Memory& memory, ProjectionShape shape, const LearnedKind& kind, int64_t tokens);

  // What the next calls are of. Everything is borrowed; `bias` may be empty. Throws Error(kConfig) for a
  // pruning that cannot be trained: with a measured centre, or with mending of its own.
  void load(const kernels::PackedWeights& weights, Vector<const float> bias, const PrunedProjection& pruned,
            ProductScratch& scratch, Stream& stream);

  // y [rows, outputs] of x [rows, inputs] as if nothing were pruned.
  void run_dense(Matrix<const float> x, Matrix<float> y, Stream& stream) const;
  // y, pruned and mended by `learned`. Both, and x, stay as they are until backward().
  void run(Matrix<const float> x, const LearnedProjection& learned, Matrix<float> y, ProductScratch& scratch,
           Stream& stream);
  // Adds to `into` and `into_x` [rows, inputs] the gradients of what run() read; `gradient` [rows, outputs]
  // is that of its y.
  void backward(Matrix<const float> gradient, LearnedProjection& into, Matrix<float> into_x,
                ProductScratch& scratch, Stream& stream);

 private:
  [[nodiscard]] bool is_pruned() const { return pruned_->selection != nullptr; }
  void add_bias(Matrix<float> y, Stream& stream) const;
  void prune(Matrix<const float> x, ProductScratch& scratch, Stream& stream);
  void prune_sequence(kernels::PruneRows pruned, ProductScratch& scratch, Stream& stream);
  void add_low_rank(Matrix<float> y, ProductScratch& scratch, Stream& stream);
  void output_gradients(Matrix<const float> gradient, LearnedProjection& into, Stream& stream) const;
  void low_rank_backward(Matrix<const float> gradient, LearnedProjection& into, Matrix<float> into_x,
                         ProductScratch& scratch, Stream& stream);

  ProjectionShape shape_;
  LearnedKind kind_;
  const kernels::PackedWeights* weights_ = nullptr;
  Vector<const float> bias_;
  const PrunedProjection* pruned_ = nullptr;
  const LearnedProjection* learned_ = nullptr;
  LearnedMending mending_;
  std::vector<float> shifted_;  // [outputs] W eta, or empty
  Matrix<const float> x_;
  kernels::PackedWeights transposed_;  // [inputs, outputs]
  Tensor<float, 2> kept_;              // [tokens, inputs]
  Tensor<float, 2> rest_;              // [tokens, inputs], of a low-rank pair
  Tensor<float, 2> products_;          // [tokens, outputs], of a scale
  Tensor<float, 2> narrow_;            // [tokens, rank] rest B^T
  Tensor<float, 1> factors_;           // [tokens] nu
  Tensor<float, 2> gains_;             // [1, inputs] of a sequence
  kernels::PackedWeights in_;          // B [rank, inputs]
  kernels::PackedWeights out_;         // A [outputs, rank]
  kernels::PackedWeights in_turned_;   // [inputs, rank]
  kernels::PackedWeights out_turned_;  // [rank, outputs]
};

}  // namespace orthant::models
