#include "sae/training/auxiliary_loss.h"

#include <algorithm>

#include "kernels/codes/decode.h"
#include "kernels/dense/elementwise.h"

namespace orthant::sae {
namespace {

// Codes of one row on a shard: no more than it has latents.
int64_t row_entries(const Conventions& conventions, int64_t d_model, const ShardSum& sum) {
  return std::min(auxiliary_k(conventions, d_model), sum.slice().count);
}

int64_t rows_where(bool used, Share rows) {
  return used ? rows.count : 0;
}

}  // namespace

int64_t auxiliary_k(const Conventions& c, int64_t d_model) {
  if (c.auxk_alpha <= 0.0 || c.architecture == Architecture::kStandard) return 0;
  const int64_t wanted = c.auxk > 0 ? c.auxk : d_model / 2;
  return std::min(wanted, c.latents);
}

AuxiliaryLoss::AuxiliaryLoss(Memory& memory, const Conventions& c, int64_t d_model, double error_share,
                             ReplicaExchange& exchange, Communicator& shards, ShardSum& sum, BatchSums& batch)
    : k_(auxiliary_k(c, d_model)),
      alpha_(c.auxk_alpha),
      normalized_(c.auxk_normalized),
      detached_(c.auxk_detach),
      error_share_(error_share),
      exchange_(&exchange),
      shards_(&shards),
      sum_(&sum),
      batch_(&batch),
      dead_per_shard_(static_cast<size_t>(shards.size())),
      residual_(memory, "batch", {rows_where(k_ > 0, exchange.own_rows()), d_model}),
      gradient_(memory, "batch", {rows_where(k_ > 0, exchange.held_rows()), d_model}),
      codes_(memory, exchange.own_rows().count, row_entries(c, d_model, sum) * exchange.own_rows().count),
      path_(memory, exchange, sum.slice(), row_entries(c, d_model, sum) * exchange.own_rows().count,
            row_entries(c, d_model, sum) * exchange.held_rows().count) {}

double AuxiliaryLoss::evaluate(const MainPass& pass, const Dictionary& dictionary, ShardEncoder& encoder,
                               Stream& stream) {
  select_dead(pass, dictionary, encoder, stream);
  kernels::subtract(kernels::flat(pass.input), kernels::flat(pass.reconstruction),
                    kernels::flat(residual_.view()), stream);
  sum_->decode(codes_.view(), dictionary.decoder.view(), {}, pass.reconstruction, stream);
  const double share = weight(pass.gradient, stream);
  kernels::reconstruction_error(residual_.view(), pass.reconstruction,
                                static_cast<float>(2.0 * alpha_ * share), exchange_->own(gradient_.view()),
                                batch_->own_values(), stream);
  const double loss = batch_->total(stream) * share;
  if (exchange_->codes_travel()) exchange_->gather_rows(gradient_.view(), stream);
  if (detached_) return loss;
  // The residual is part of the graph: its derivative by the main reconstruction is -1.
  kernels::add(kernels::flat(gradient_.view()), kernels::flat(pass.gradient), stream);
  return loss;
}

void AuxiliaryLoss::select_dead(const MainPass& pass, const Dictionary& dictionary, ShardEncoder& encoder,
                                Stream& stream) {
  const int64_t mine = pass.dead_latents.shape[0];
  shards_->all_gather(&mine, dead_per_shard_.data(), 1, Dtype::kI64, stream);
  multiplied_ = encoder.topk_chosen(pass.centred, dictionary, pass.dead_latents, dead_per_shard_,
                                    std::min(k_, pass.dead_of_all_shards), codes_.view(), stream);
}

// 1 over the variance of the residual, where the lineage normalises by it; else the share of the loss.
double AuxiliaryLoss::weight(Matrix<const float> gradient, Stream& stream) {
  if (!normalized_) return error_share_;
  double variance = 0.0;
  if (exchange_->codes_travel()) {
    // The gradient of the whole batch is at hand everywhere and is the residual up to a factor.
    const Vector<double> sums = batch_->columns(gradient, stream);
    kernels::divide(-2.0 * error_share_, sums, stream);
    variance = batch_->variance(residual_.view(), sums, stream);
  } else {
    variance = batch_->variance(residual_.view(), stream);
  }
  return variance > 0.0 ? 1.0 / variance : 0.0;
}

kernels::CodePath AuxiliaryLoss::path(const Dictionary& dictionary, Stream& stream) {
  path_.find_value_gradients(codes_.view(), dictionary.decoder.view(), exchange_->own(gradient_.view()),
                             stream);
  return path_.held(codes_.view(), gradient_.view(), stream);
}

}  // namespace orthant::sae
