// One decoder block with frozen weights and pruned projections: its output for the residual rows of a
// sequence, and the gradients of those rows and of the learned parameters (learned_parameters.h).
//
// What is pruned is a constant of the gradient; the factor that restores the variance is not. Columns' norms
// and peaks of criteria that look across rows are constants too. CPU, f32. Bits do not depend on threads. Not
// thread-safe.
#pragma once

#include <array>
#include <vector>

#include "models/adapt/pruned_product.h"
#include "models/transformer/kv_cache.h"
#include "models/transformer/rope_table.h"

namespace orthant::models {

class BlockBackward {
 public:
  // For sequences of at most `tokens` tokens.
  BlockBackward(Memory& memory, const ModelConfig& config, const LearnedKind& kind, int64_t tokens);

  // The block that the next calls are of. `weights` are f32 on the CPU; both outlive them. Throws
  // Error(kConfig) for a pruning that cannot be trained (pruned_product.h).
  void load(const Weights& weights, const ModelPruning& pruning, int64_t layer, Stream& stream);

  // into [tokens, d_model] = the output of the block for `residual`, as if nothing were pruned.
  void run_dense(Matrix<const float> residual, Matrix<float> into, Stream& stream);
  // The output with pruned and mended projections. `residual` and `learned` stay as they are until
  // backward().
  void run(Matrix<const float> residual, const LearnedBlock& learned, Matrix<float> into, Stream& stream);
  // Of what run() gave last, once: adds to `into` the gradients of the learned parameters and sets
  // `into_residual` [tokens, d_model]; `gradient` is that of the output. They may be the same.
  void backward(Matrix<const float> gradient, LearnedBlock& into, Matrix<float> into_residual,
                Stream& stream);

 private:
  using Products = std::array<PrunedProduct, kProjections>;
  // The block with project(projection, x, y) for its products.
  template <typename Project>
  void run_with(Matrix<const float> residual, Matrix<float> into, Stream& stream, const Project& project);
  void attend(int64_t rows, Stream& stream);
  void mlp_backward(Matrix<const float> gradient, LearnedBlock& into, Matrix<float> into_mid, Stream& stream);
  void attention_half_backward(LearnedBlock& into, Matrix<float> into_residual, Stream& stream);
  PrunedProduct& product(Projection projection) { return products_[static_cast<size_t>(projection)]; }
  [[nodiscard]] Vector<const int32_t> positions(int64_t rows) const {
    return positions_.view().rows(0, rows);
  }

  const ModelConfig config_;
  kernels::AttentionShape shape_;
  const BlockWeights* weights_ = nullptr;
  Matrix<const float> residual_;
  std::array<PrunedProduct, kProjections> products_;
  ProductScratch scratch_;
  RopeTable rope_;
  Tensor<float, 2> back_sines_;  // [positions, head_dim / 2] of the opposite rotation
  Tensor<int32_t, 1> positions_;
  KvCache cache_;
  Tensor<float, 1> attention_scratch_, backward_scratch_;
  Tensor<float, 2> normed_, mid_normed_, mid_, mid_gradient_, delta_;  // [tokens, d_model]
  Tensor<float, 2> query_, mixed_, query_gradient_, mixed_gradient_;   // [tokens, heads * head_dim]
  Tensor<float, 2> key_, value_, key_gradient_, value_gradient_;       // [tokens, kv_heads * head_dim]
  Tensor<float, 2> gate_, up_, hidden_, hidden_gradient_;              // [tokens, d_mlp]
};

}  // namespace orthant::models
