#include "models/adapt/pruned_product.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "kernels/backward/outer_sums.h"
#include "kernels/backward/prune_backward.h"
#include "kernels/backward/transpose.h"
#include "kernels/dense/elementwise.h"
#include "kernels/pruning/column_norms.h"
#include "kernels/pruning/prune_sequences.h"
#include "kernels/pruning/variance_factors.h"
#include "models/adapt/unpack_weights.h"
#include "models/transformer/run_state.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

Vector<const float> view_of(const std::vector<float>& values) {
  return {values.data(), {static_cast<int64_t>(values.size())}};
}
Vector<float> view_of(std::vector<float>& values) {
  return {values.data(), {static_cast<int64_t>(values.size())}};
}
template <typename Values>
auto matrix_of(Values& values, int64_t rows, int64_t columns) {
  return View<std::remove_pointer_t<decltype(values.data())>, 2>{values.data(), {rows, columns}};
}

// `rows` rows of a buffer for more and wider ones.
Matrix<float> part_of(Tensor<float, 2>& buffer, int64_t rows, int64_t columns) {
  require(rows * columns <= buffer.view().elements(), "a buffer holds the rows of a sequence");
  return {buffer.data(), {rows, columns}, buffer.view().device};
}

Matrix<float> room_of(Tensor<float, 1>& buffer, int64_t rows, int64_t columns) {
  require(rows * columns <= buffer.shape()[0], "a buffer holds the largest weights");
  return {buffer.data(), {rows, columns}, buffer.view().device};
}

void check_trainable(const PrunedProjection& pruned, const LearnedKind& kind) {
  const auto refuse = [](const char* why) {
    throw Error(ExitCode::kConfig,
                {.problem = "transforms cannot be learned for this pruning",
                 .why = why,
                 .suggestion = "learn them for inputs that are pruned without another transform"});
  };
  if (pruned.selection->center != kernels::RowCenter::kNone) refuse("its inputs have a centre already");
  const OutputMending& mending = pruned.mending;
  if (mending.weight_sums.shape()[0] + mending.column_factors.shape()[0] + mending.column_offsets.shape()[0] >
          0 ||
      mending.has_low_rank()) {
    refuse("its outputs are mended already");
  }
  if (kind.rank > 0 && kind.input_shift) refuse("the low-rank product is of inputs without a centre");
}

}  // namespace

ProductScratch::ProductScratch(Memory& memory, const ModelConfig& config, const LearnedKind& kind,
                               int64_t tokens) {
  const int64_t widest = widest_row(config);
  weights = {memory, "backward", {std::max(config.d_model, config.heads * config.head_dim) * widest}};
  outputs = {memory, "backward", {tokens, widest}};
  inputs = {memory, "backward", {tokens, widest}};
  if (kind.rank == 0) return;
  turned = {memory, "backward", {std::max(widest, kind.rank), tokens}};
  narrow = {memory, "backward", {tokens, kind.rank}};
}

PrunedProduct::PrunedProduct(Memory& memory, ProjectionShape shape, const LearnedKind& kind, int64_t tokens)
    : shape_(shape),
      kind_(kind),
      transposed_(memory, "backward", shape.inputs, shape.outputs),
      kept_(memory, "backward", {tokens, shape.inputs}),
      factors_(memory, "backward", {tokens}),
      gains_(memory, "backward", {1, shape.inputs}) {
  if (kind.output_scale) products_ = {memory, "backward", {tokens, shape.outputs}};
  if (kind.rank == 0) return;
  rest_ = {memory, "backward", {tokens, shape.inputs}};
  narrow_ = {memory, "backward", {tokens, kind.rank}};
  in_ = {memory, "backward", kind.rank, shape.inputs};
  out_ = {memory, "backward", shape.outputs, kind.rank};
  in_turned_ = {memory, "backward", shape.inputs, kind.rank};
  out_turned_ = {memory, "backward", kind.rank, shape.outputs};
}

void PrunedProduct::load(const kernels::PackedWeights& weights, Vector<const float> bias,
                         const PrunedProjection& pruning, ProductScratch& scratch, Stream& stream) {
  require(weights.columns() == shape_.outputs && weights.depth() == shape_.inputs,
          "the weights have the shape of the projection");
  weights_ = &weights;
  bias_ = bias;
  pruned_ = &pruning;
  if (is_pruned()) check_trainable(pruning, kind_);
  const Matrix<float> turned = room_of(scratch.weights, shape_.inputs, shape_.outputs);
  unpack_transposed(weights, turned);
  transposed_.pack(turned, stream);
}

void PrunedProduct::add_bias(Matrix<float> y, Stream& stream) const {
  if (bias_.shape[0] > 0) kernels::add_row(y, bias_, y, stream);
}

void PrunedProduct::run_dense(Matrix<const float> x, Matrix<float> y, Stream& stream) const {
  kernels::matmul_nt(x, *weights_, y, stream);
  add_bias(y, stream);
}

void PrunedProduct::prune(Matrix<const float> x, ProductScratch& scratch, Stream& stream) {
  const InputSelection& selection = *pruned_->selection;
  const int64_t rows = x.shape[0];
  const int64_t ends[2] = {0, rows};
  const Vector<const int64_t> sequence{ends, {2}};
  Matrix<const float> gains;
  if (selection.gain == InputGain::kFixed) {
    gains = {selection.gains.data(), {1, shape_.inputs}};
  } else if (selection.gain == InputGain::kColumnNorms) {
    kernels::column_norms(x, sequence, gains_.view(), stream);
    gains = gains_.view();
  } else if (selection.gain == InputGain::kColumnPeaks) {
    kernels::column_peak_gains(x, sequence, selection.gains.view(), gains_.view(), stream);
    gains = gains_.view();
  }
  const Matrix<float> kept = kept_.view().rows(0, rows);
  kernels::PruneRows pruned{.x = x, .pattern = selection.pattern, .gains = gains};
  if (kind_.input_shift) {
    pruned.center = kernels::RowCenter::kGiven;
    pruned.given_center = view_of(learned_->input_shift);
  }
  if (selection.sequence_share > 0.0) return prune_sequence(pruned, scratch, stream);
  kernels::prune_rows(
      pruned,
      {.kept = kept,
       .factors = selection.restores_variance ? factors_.view().rows(0, rows) : Vector<float>{},
       .rest = kind_.rank > 0 ? rest_.view().rows(0, rows) : Matrix<float>{}},
      stream);
}

// The largest entries of all the rows, less their centre where there is one.
void PrunedProduct::prune_sequence(kernels::PruneRows pruned, ProductScratch& scratch, Stream& stream) {
  const InputSelection& selection = *pruned_->selection;
  const int64_t rows = pruned.x.shape[0];
  const int64_t ends[2] = {0, rows};
  const auto keep = static_cast<int64_t>(static_cast<double>(pruned.x.elements()) * selection.sequence_share);
  const Matrix<float> kept = kept_.view().rows(0, rows);
  const Matrix<const float> gains = pruned.gains;
  pruned.gains = {};
  pruned.pattern = {shape_.inputs, 0};
  kernels::prune_rows(pruned, {.kept = kept}, stream);
  kernels::prune_sequences({.x = kept,
                            .offsets = {ends, {2}},
                            .keep = {&keep, {1}},
                            .gains = gains,
                            .by_row_norm = selection.by_row_norm},
                           part_of(scratch.inputs, rows, shape_.inputs), kept, stream);
  if (selection.restores_variance)
    kernels::variance_factors(pruned.x, kept, factors_.view().rows(0, rows), stream);
  if (kind_.rank > 0) {
    kernels::subtract(kernels::flat(pruned.x), kernels::flat(Matrix<const float>(kept)),
                      kernels::flat(rest_.view().rows(0, rows)), stream);
  }
}

void PrunedProduct::add_low_rank(Matrix<float> y, ProductScratch& scratch, Stream& stream) {
  const int64_t rows = y.shape[0];
  in_.pack(matrix_of(learned_->low_rank_in, kind_.rank, shape_.inputs), stream);
  out_.pack(matrix_of(learned_->low_rank_out, shape_.outputs, kind_.rank), stream);
  const Matrix<float> narrow = narrow_.view().rows(0, rows);
  const Matrix<float> wide = part_of(scratch.outputs, rows, shape_.outputs);
  kernels::matmul_nt(rest_.view().rows(0, rows), in_, narrow, stream);
  kernels::matmul_nt(narrow, out_, wide, stream);
  kernels::add(kernels::flat(Matrix<const float>(wide)), kernels::flat(y), stream);
}

void PrunedProduct::run(Matrix<const float> x, const LearnedProjection& learned, Matrix<float> y,
                        ProductScratch& scratch, Stream& stream) {
  x_ = x;
  learned_ = &learned;
  if (!is_pruned()) return run_dense(x, y, stream);
  const int64_t rows = x.shape[0];
  prune(x, scratch, stream);
  kernels::matmul_nt(kept_.view().rows(0, rows), *weights_, y, stream);
  if (kind_.output_scale) {
    kernels::copy(kernels::flat(Matrix<const float>(y)), kernels::flat(products_.view().rows(0, rows)),
                  stream);
  }
  if (kind_.input_shift) {
    shifted_.resize(static_cast<size_t>(shape_.outputs));
    kernels::matmul_nt(matrix_of(learned.input_shift, 1, shape_.inputs), *weights_,
                       matrix_of(shifted_, 1, shape_.outputs), stream);
  }
  mending_ = mending_of(learned, shifted_);
  const bool varies = pruned_->selection->restores_variance;
  kernels::mend_products({.row_factors = varies ? factors_.view().rows(0, rows) : Vector<float>{},
                          .column_factors = view_of(std::as_const(mending_.factors)),
                          .column_offsets = view_of(std::as_const(mending_.offsets))},
                         y, stream);
  if (kind_.rank > 0) add_low_rank(y, scratch, stream);
  add_bias(y, stream);
}

void PrunedProduct::output_gradients(Matrix<const float> gradient, LearnedProjection& into,
                                     Stream& stream) const {
  if (kind_.output_shift) kernels::add_column_sums(gradient, 1.0f, view_of(into.output_shift), stream);
  if (!kind_.output_scale) return;
  const int64_t rows = gradient.shape[0];
  const bool varies = pruned_->selection->restores_variance;
  kernels::add_column_products(gradient, products_.view().rows(0, rows),
                               varies ? factors_.view().rows(0, rows) : Vector<const float>{},
                               view_of(into.output_scale), stream);
  if (shifted_.empty()) return;
  std::vector<float> sums(into.output_scale.size(), 0.0f);
  kernels::add_column_sums(gradient, 1.0f, view_of(sums), stream);
  for (size_t o = 0; o < sums.size(); ++o) into.output_scale[o] += shifted_[o] * sums[o];
}

void PrunedProduct::low_rank_backward(Matrix<const float> gradient, LearnedProjection& into,
                                      Matrix<float> into_x, ProductScratch& scratch, Stream& stream) {
  const int64_t rows = gradient.shape[0], rank = kind_.rank;
  const Matrix<float> narrow = part_of(scratch.narrow, rows, rank);
  const Matrix<float> inputs = part_of(scratch.inputs, rows, shape_.inputs);
  const Matrix<float> out_turned = room_of(scratch.weights, rank, shape_.outputs);
  kernels::transpose(matrix_of(learned_->low_rank_out, shape_.outputs, rank), out_turned, stream);
  out_turned_.pack(out_turned, stream);
  const Matrix<float> in_turned = room_of(scratch.weights, shape_.inputs, rank);
  kernels::transpose(matrix_of(learned_->low_rank_in, rank, shape_.inputs), in_turned, stream);
  in_turned_.pack(in_turned, stream);
  kernels::matmul_nt(gradient, out_turned_, narrow, stream);
  kernels::add_outer_sums(gradient, narrow_.view().rows(0, rows),
                          part_of(scratch.turned, shape_.outputs, rows),
                          matrix_of(into.low_rank_out, shape_.outputs, rank), stream);
  kernels::add_outer_sums(narrow, rest_.view().rows(0, rows), part_of(scratch.turned, rank, rows),
                          matrix_of(into.low_rank_in, rank, shape_.inputs), stream);
  kernels::matmul_nt(narrow, in_turned_, inputs, stream);
  kernels::rest_backward(kept_.view().rows(0, rows), inputs, into_x, stream);
}

void PrunedProduct::backward(Matrix<const float> gradient, LearnedProjection& into, Matrix<float> into_x,
                             ProductScratch& scratch, Stream& stream) {
  const int64_t rows = gradient.shape[0];
  require(x_.shape[0] == rows && into_x.shape == x_.shape, "the backward is of what ran last");
  const Matrix<float> inputs = part_of(scratch.inputs, rows, shape_.inputs);
  if (!is_pruned()) {
    kernels::matmul_nt(gradient, transposed_, inputs, stream);
    return kernels::add(kernels::flat(Matrix<const float>(inputs)), kernels::flat(into_x), stream);
  }
  output_gradients(gradient, into, stream);
  if (kind_.rank > 0) low_rank_backward(gradient, into, into_x, scratch, stream);
  if (kind_.output_scale) {
    const Matrix<float> scaled = part_of(scratch.outputs, rows, shape_.outputs);
    kernels::copy(kernels::flat(gradient), kernels::flat(scaled), stream);
    kernels::mend_products({.column_factors = view_of(std::as_const(mending_.factors))}, scaled, stream);
    gradient = scaled;
  }
  kernels::matmul_nt(gradient, transposed_, inputs, stream);
  // W eta reaches every row, what is subtracted from the inputs only where they survive.
  if (kind_.input_shift) kernels::add_column_sums(inputs, 1.0f, view_of(into.input_shift), stream);
  const bool varies = pruned_->selection->restores_variance;
  kernels::prune_backward({.x = x_,
                           .kept = kept_.view().rows(0, rows),
                           .factors = varies ? factors_.view().rows(0, rows) : Vector<const float>{},
                           .gradient = inputs},
                          inputs, into_x, stream);
  if (kind_.input_shift) kernels::add_column_sums(inputs, -1.0f, view_of(into.input_shift), stream);
}

}  // namespace orthant::models
