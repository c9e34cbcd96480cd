#include "models/adapt/block_backward.h"

#include <omp.h>

#include <utility>

#include "kernels/backward/attention_backward.h"
#include "kernels/backward/rms_norm_backward.h"
#include "kernels/backward/swiglu_backward.h"
#include "kernels/dense/elementwise.h"
#include "kernels/transformer/attention.h"
#include "kernels/transformer/rms_norm.h"
#include "kernels/transformer/rope.h"
#include "kernels/transformer/swiglu.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

template <size_t... kIndex>
std::array<PrunedProduct, kProjections> make_products(Memory& memory, const ModelConfig& config,
                                                      const LearnedKind& kind, int64_t tokens,
                                                      std::index_sequence<kIndex...>) {
  return {PrunedProduct(memory, shape_of(config, static_cast<Projection>(kIndex)), kind, tokens)...};
}

Vector<const float> bias_of(const BlockWeights& block, Projection projection) {
  if (projection == Projection::kQuery) return block.query_bias.view();
  if (projection == Projection::kKey) return block.key_bias.view();
  if (projection == Projection::kValue) return block.value_bias.view();
  return {};
}

Vector<const float> flat_of(Matrix<const float> matrix) {
  return kernels::flat(matrix);
}

void zero(Matrix<float> matrix) {
  std::fill_n(matrix.data, matrix.elements(), 0.0f);
}

}  // namespace

BlockBackward::BlockBackward(Memory& memory, const ModelConfig& config, const LearnedKind& kind,
                             int64_t tokens)
    : config_(config),
      shape_(attention_shape(config)),
      products_(make_products(memory, config, kind, tokens, std::make_index_sequence<kProjections>())),
      scratch_(memory, config, kind, tokens),
      rope_(memory, config, tokens),
      back_sines_(memory, "backward", {tokens, config.head_dim / 2}),
      positions_(memory, "backward", {tokens}),
      cache_(memory, config, 1, tokens, 1),
      attention_scratch_(memory, "backward",
                         {omp_get_max_threads() * kernels::attention_workspace_floats(shape_)}),
      backward_scratch_(memory, "backward",
                        {kernels::attention_backward_floats(shape_, tokens, omp_get_max_threads())}) {
  const auto matrix = [&](int64_t columns) {
    return Tensor<float, 2>(memory, "backward", {tokens, columns});
  };
  for (Tensor<float, 2>* const buffer : {&normed_, &mid_normed_, &mid_, &mid_gradient_, &delta_})
    *buffer = matrix(config.d_model);
  for (Tensor<float, 2>* const buffer : {&query_, &mixed_, &query_gradient_, &mixed_gradient_}) {
    *buffer = matrix(config.heads * config.head_dim);
  }
  for (Tensor<float, 2>* const buffer : {&key_, &value_, &key_gradient_, &value_gradient_}) {
    *buffer = matrix(config.kv_heads * config.head_dim);
  }
  for (Tensor<float, 2>* const buffer : {&gate_, &up_, &hidden_, &hidden_gradient_})
    *buffer = matrix(config.d_mlp);
  if (memory.counts_only()) return;
  const Matrix<const float> sines = rope_.sines();
  for (int64_t i = 0; i < sines.elements(); ++i) back_sines_.data()[i] = -sines.data[i];
  for (int64_t i = 0; i < tokens; ++i) positions_.data()[i] = static_cast<int32_t>(i);
}

void BlockBackward::load(const Weights& weights, const ModelPruning& pruning, int64_t layer, Stream& stream) {
  require(weights.precision == kernels::Precision::kF32 && weights.embedding.view().device == kCpu,
          "a block is trained in f32 on the CPU");
  const auto index = static_cast<size_t>(layer);
  weights_ = &weights.blocks[index];
  for (size_t p = 0; p < products_.size(); ++p) {
    const auto projection = static_cast<Projection>(p);
    products_[p].load(weights_of(*weights_, projection), bias_of(*weights_, projection),
                      pruning.blocks[index][p], scratch_, stream);
  }
}

// mixed = attention of query, key and value.
void BlockBackward::attend(int64_t rows, Stream& stream) {
  const int64_t capacity[1] = {rows};
  cache_.assign(capacity);
  const kernels::AttentionSequence sequence = cache_.sequence(0, 0, 0, rows);
  kernels::store_keys_values(shape_, {&sequence, 1}, key_.view().rows(0, rows), value_.view().rows(0, rows),
                             stream);
  kernels::attention(shape_, {&sequence, 1}, query_.view().rows(0, rows), mixed_.view().rows(0, rows),
                     attention_scratch_.view(), stream);
}

template <typename Project>
void BlockBackward::run_with(Matrix<const float> residual, Matrix<float> into, Stream& stream,
                             const Project& project) {
  const int64_t rows = residual.shape[0];
  const auto of = [&](Tensor<float, 2>& buffer) { return buffer.view().rows(0, rows); };
  kernels::rms_norm(residual, weights_->attention_norm.view(), config_.rms_epsilon, of(normed_), stream);
  project(Projection::kQuery, of(normed_), of(query_));
  project(Projection::kKey, of(normed_), of(key_));
  project(Projection::kValue, of(normed_), of(value_));
  kernels::rotate_heads(of(query_), positions(rows), rope_.cosines(), rope_.sines(), stream);
  kernels::rotate_heads(of(key_), positions(rows), rope_.cosines(), rope_.sines(), stream);
  attend(rows, stream);
  project(Projection::kOutput, of(mixed_), of(delta_));
  kernels::copy(flat_of(residual), kernels::flat(of(mid_)), stream);
  kernels::add(flat_of(of(delta_)), kernels::flat(of(mid_)), stream);
  kernels::rms_norm(of(mid_), weights_->mlp_norm.view(), config_.rms_epsilon, of(mid_normed_), stream);
  project(Projection::kGate, of(mid_normed_), of(gate_));
  project(Projection::kUp, of(mid_normed_), of(up_));
  kernels::swiglu(of(gate_), of(up_), of(hidden_), stream);
  project(Projection::kDown, of(hidden_), of(delta_));
  kernels::copy(flat_of(of(mid_)), kernels::flat(into), stream);
  kernels::add(flat_of(of(delta_)), kernels::flat(into), stream);
}

void BlockBackward::run_dense(Matrix<const float> residual, Matrix<float> into, Stream& stream) {
  run_with(residual, into, stream, [&](Projection projection, Matrix<const float> x, Matrix<float> y) {
    product(projection).run_dense(x, y, stream);
  });
}

void BlockBackward::run(Matrix<const float> residual, const LearnedBlock& learned, Matrix<float> into,
                        Stream& stream) {
  residual_ = residual;
  run_with(residual, into, stream, [&](Projection projection, Matrix<const float> x, Matrix<float> y) {
    product(projection).run(x, learned[static_cast<size_t>(projection)], y, scratch_, stream);
  });
}

// into_mid += what the MLP passes back of `gradient`.
void BlockBackward::mlp_backward(Matrix<const float> gradient, LearnedBlock& into, Matrix<float> into_mid,
                                 Stream& stream) {
  const int64_t rows = gradient.shape[0];
  const auto of = [&](Tensor<float, 2>& buffer) { return buffer.view().rows(0, rows); };
  const auto back = [&](Projection projection, Matrix<const float> of_y, Matrix<float> into_x) {
    product(projection).backward(of_y, into[static_cast<size_t>(projection)], into_x, scratch_, stream);
  };
  zero(of(hidden_gradient_));
  back(Projection::kDown, gradient, of(hidden_gradient_));
  kernels::swiglu_backward(of(gate_), of(up_), of(hidden_gradient_), of(gate_), of(up_), stream);
  const Matrix<float> normed_gradient = of(delta_);
  zero(normed_gradient);
  back(Projection::kGate, of(gate_), normed_gradient);
  back(Projection::kUp, of(up_), normed_gradient);
  kernels::rms_norm_backward(of(mid_), weights_->mlp_norm.view(), config_.rms_epsilon, normed_gradient,
                             into_mid, stream);
}

// into_residual, the gradient of what follows attention, += what attention passes back of it.
void BlockBackward::attention_half_backward(LearnedBlock& into, Matrix<float> into_residual, Stream& stream) {
  const int64_t rows = into_residual.shape[0];
  const auto of = [&](Tensor<float, 2>& buffer) { return buffer.view().rows(0, rows); };
  const auto back = [&](Projection projection, Matrix<const float> of_y, Matrix<float> into_x) {
    product(projection).backward(of_y, into[static_cast<size_t>(projection)], into_x, scratch_, stream);
  };
  zero(of(mixed_gradient_));
  back(Projection::kOutput, into_residual, of(mixed_gradient_));
  kernels::attention_backward(shape_, {of(query_), of(key_), of(value_)}, of(mixed_gradient_),
                              {of(query_gradient_), of(key_gradient_), of(value_gradient_)},
                              backward_scratch_.view(), stream);
  kernels::rotate_heads(of(query_gradient_), positions(rows), rope_.cosines(), back_sines_.view(), stream);
  kernels::rotate_heads(of(key_gradient_), positions(rows), rope_.cosines(), back_sines_.view(), stream);
  const Matrix<float> normed_gradient = of(delta_);
  zero(normed_gradient);
  back(Projection::kQuery, of(query_gradient_), normed_gradient);
  back(Projection::kKey, of(key_gradient_), normed_gradient);
  back(Projection::kValue, of(value_gradient_), normed_gradient);
  kernels::rms_norm_backward(residual_, weights_->attention_norm.view(), config_.rms_epsilon, normed_gradient,
                             into_residual, stream);
}

void BlockBackward::backward(Matrix<const float> gradient, LearnedBlock& into, Matrix<float> into_residual,
                             Stream& stream) {
  require(gradient.shape == residual_.shape && into_residual.shape == residual_.shape,
          "the backward is of what ran last");
  // The MLP reads `gradient` to its end before anything is added to the residual's.
  const Matrix<float> mid_gradient = mid_gradient_.view().rows(0, gradient.shape[0]);
  kernels::copy(flat_of(gradient), kernels::flat(mid_gradient), stream);
  mlp_backward(gradient, into, mid_gradient, stream);
  attention_half_backward(into, mid_gradient, stream);
  kernels::copy(flat_of(mid_gradient), kernels::flat(into_residual), stream);
}

}  // namespace orthant::models
