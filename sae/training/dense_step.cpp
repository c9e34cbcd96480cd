#include <algorithm>

#include "kernels/codes/code_summary.h"
#include "kernels/codes/decode.h"
#include "kernels/codes/l1_penalty.h"
#include "kernels/dense/row_moments.h"
#include "runtime/core/error.h"
#include "sae/training/dense_blocks.h"
#include "sae/training/trainer.h"

namespace orthant::sae {

// ReLU: codes are dense early in training, so rows stream through in blocks whose gradients add up.
void Trainer::step_dense(StepReport& report) {
  const int64_t block = dense_block_rows(dictionary_.latents, own_rows_.count);
  encoded_products_ += own_rows_.count * sum_.slice().count;
  int64_t entries = 0;
  wait();
  latent_sparsity_.zero();
  find_sparsity_weights();
  if (penalty_gradient_.shape()[0] != 0) {
    penalty_gradient_.zero();
    penalty_active_ = true;
  }
  for (int64_t first = 0; first < own_rows_.count; first += block) {
    const int64_t rows = std::min(block, own_rows_.count - first);
    const Matrix<float> x = x_.view().rows(first, rows);
    const Matrix<float> gradient = exchange_.own(gradient_.view()).rows(first, rows);
    codes_ = row_codes_.view(rows);
    wait();
    const int64_t found =
        encoder_.above(exchange_.own(centred_.view()).rows(first, rows), dictionary_, 0.0f, codes_, stream_);
    require(found <= codes_.capacity(), "a dense block has room for every activation");
    entries += found;
    const Matrix<float> reconstruction = reconstruction_.view().rows(first, rows);
    sum_.decode(codes_, dictionary_.decoder.view(), dictionary_.decoder_bias.view(), reconstruction, stream_);
    kernels::reconstruction_error(x, reconstruction, static_cast<float>(2.0 * error_share()), gradient,
                                  batch_.own_values().rows(first, rows), stream_);
    path_.find_value_gradients(codes_, dictionary_.decoder.view(), gradient, stream_);
    paths_[0] = path_.local(codes_, gradient, stream_);
    sparsity_gradients(paths_[0]);
    dead_.mark(codes_, false, stream_);
    kernels::LatentStepArgs args = step_arguments();
    args.input = exchange_.own(centred_.view()).rows(first, rows);
    optimizer_.accumulate(args, first == 0, stream_);
    decoder_bias_gradient(args, first == 0);
  }
  world_->data->all_reduce(&entries, 1, Dtype::kI64, ReduceOp::kSum, stream_);
  report.l0 = static_cast<double>(entries) / static_cast<double>(config_.batch_tokens);
  report.sparsity = sum_.total(latent_sparsity_.view(), stream_) / static_cast<double>(config_.batch_tokens);
  if (grid_->data->size() > 1) {
    grid_->data->all_reduce(&report.sparsity, 1, Dtype::kF64, ReduceOp::kSum, stream_);
  }
  report.squared_error = batch_.total(stream_);
  report.reconstruction = report.squared_error * error_share();
  if (grid_->data->size() > 1) all_reduce(*grid_->data, dead_.marks(), ReduceOp::kMax, stream_);
  dead_.advance(config_.batch_tokens, stream_);
  wait();
  report.dead_latents = dead_.list_dead(stream_).shape[0];
  grid_->dictionary->all_reduce(&report.dead_latents, 1, Dtype::kI64, ReduceOp::kSum, stream_);
  if (penalty_active_ && grid_->data->size() > 1) {
    all_reduce(*grid_->data, penalty_gradient_.view(), ReduceOp::kSum, stream_);
  }
  reduce_decoder_bias_gradient();
  const kernels::LatentStepArgs args = step_arguments();
  report.lr = args.adam.lr;
  report.gradient_norm =
      optimizer_.update_accumulated(args, decoder_bias_gradient_.view(), dictionary_, stream_);
}

// What multiplies an activation in the L1 loss of the step: 1, or the norm of its decoder row, of several
// sources the sum of the norms of their rows.
void Trainer::find_sparsity_weights() {
  if (sparsity_weights_.shape()[0] == 0) return;
  const Matrix<const float> decoder = dictionary_.decoder.view();
  kernels::row_norms(decoder, sparsity_weights_.view(), stream_, dictionary_.sources);
  if (dictionary_.sources == 1) return;
  kernels::row_norms(rows_of_sources(decoder, dictionary_.sources), source_norms_.view(), stream_);
}

// L1, plain or times the decoder norm; the norm receives gradient too (SAELens; of sources: Lindsey et al.
// 2024).
void Trainer::sparsity_gradients(const kernels::CodePath& path) {
  const Conventions& c = config_.conventions;
  if (c.l1_coefficient <= 0.0) return;
  const double weight = c.l1_coefficient / static_cast<double>(config_.batch_tokens);
  const Vector<const double> weights = sparsity_weights_.view();
  kernels::add_l1_gradients(path.codes, sum_.slice().first, weight, weights, path_.value_gradients(),
                            stream_);
  kernels::latent_value_sums(path.codes, path.order, block_sparsity_.view(), stream_);
  kernels::add_l1_penalties(block_sparsity_.view(), weights, latent_sparsity_.view(), stream_);
  if (!c.l1_times_decoder_norm) return;
  const int64_t sources = dictionary_.sources;
  const Vector<const double> norms = sources == 1 ? weights : source_norms_.view();
  kernels::add_norm_gradients(weight, block_sparsity_.view(), norms,
                              rows_of_sources<const float>(dictionary_.decoder.view(), sources),
                              rows_of_sources<float>(penalty_gradient_.view(), sources), stream_);
}

}  // namespace orthant::sae
