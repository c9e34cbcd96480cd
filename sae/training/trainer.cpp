#include "sae/training/trainer.h"

#include <algorithm>
#include <cmath>

#include "kernels/codes/code_summary.h"
#include "kernels/codes/decode.h"
#include "kernels/dense/elementwise.h"
#include "runtime/core/error.h"
#include "sae/training/dense_blocks.h"

namespace orthant::sae {
namespace {

// Candidates of BatchTopK that there is room for, over those selected.
constexpr int64_t kCandidateRoom = 4;

bool is_dense(const Conventions& c) {
  return c.architecture == Architecture::kStandard;
}

bool is_batch_topk(const Conventions& c) {
  return c.architecture == Architecture::kBatchTopK;
}

// Main codes of `rows` rows on one shard. A batch selection may fall into one shard altogether.
int64_t main_entries(const Conventions& c, int64_t local_latents, int64_t rows, int64_t batch_rows) {
  if (is_batch_topk(c)) return c.k * batch_rows;
  if (is_dense(c)) return dense_block_rows(c.latents, rows) * local_latents;
  return std::min(c.k, local_latents) * rows;
}

std::vector<Share> slices_of(int64_t latents, int shards, int virtual_shards) {
  std::vector<Share> slices;
  for (int s = 0; s < shards; ++s) slices.push_back(latent_slice(latents, shards, s, virtual_shards));
  return slices;
}

}  // namespace

Trainer::Trainer(TrainerConfig config, int64_t d_model, World& world, Grid& grid, Memory& memory)
    : config_(std::move(config)),
      d_model_(d_model),
      world_(&world),
      grid_(&grid),
      stream_(memory.working_device()),
      schedule_{config_.steps, config_.conventions.lr_warm_up_steps, config_.conventions.lr_decay_start},
      exchange_(config_.batch_tokens, config_.data_parallel, *grid.data),
      own_rows_(exchange_.own_rows()),
      sum_(memory, config_.conventions.latents, d_model, *grid.dictionary, config_.virtual_shards),
      batch_(memory, d_model, exchange_),
      dictionary_(allocate_dictionary(config_.conventions, d_model, sum_.slice(), memory)),
      encoder_(memory, dictionary_, own_rows_.count, config_.conventions.k,
               auxiliary_k(config_.conventions, d_model), *grid.dictionary, config_.virtual_shards,
               config_.exchange_rows),
      batch_topk_(
          memory, own_rows_.count,
          is_batch_topk(config_.conventions) ? kCandidateRoom * config_.conventions.k * own_rows_.count : 0),
      dead_(memory, sum_.slice(), config_.conventions.dead_feature_threshold_tokens),
      auxiliary_(memory, config_.conventions, d_model, error_share(), exchange_, *grid.dictionary, sum_,
                 batch_),
      optimizer_(memory, dictionary_, config_.conventions, config_.data_parallel,
                 is_dense(config_.conventions), config_.updates, *grid.data, sum_),
      penalty_lane_(memory.working_device()),
      feed_(memory, own_rows_.count, d_model, config_.micro_batches, *grid.dictionary),
      scaler_(memory, "batch", dictionary_, own_rows_.count, product_order(config_.virtual_shards)),
      x_(memory, "batch", {own_rows_.count, d_model}),
      centred_(memory, "batch", {exchange_.held_rows().count, d_model}),
      gradient_(memory, "batch", {exchange_.held_rows().count, d_model}),
      reconstruction_(memory, "batch", {own_rows_.count, d_model}),
      path_(memory, exchange_, sum_.slice(),
            main_entries(config_.conventions, sum_.slice().count, own_rows_.count, config_.batch_tokens),
            main_entries(config_.conventions, sum_.slice().count, exchange_.held_rows().count,
                         config_.batch_tokens)),
      latent_sums_(memory, "latent statistics", {sum_.slice().count}),
      decoder_bias_gradient_(memory, "gradients", {d_model}),
      encoder_pull_(memory, "gradients", {d_model}) {
  const Conventions& c = config_.conventions;
  require(!(config_.virtual_shards > 0 && grid.data->size() > 1 && !exchange_.codes_travel()),
          "fixed sums over replicas need codes to travel");
  require(config_.updates || (exchange_.codes_travel() && !is_dense(c)),
          "a step without update keeps no gradients");
  const int64_t local = sum_.slice().count;
  if (!is_batch_topk(c)) {
    row_codes_ = kernels::Codes(memory, own_rows_.count,
                                main_entries(c, local, own_rows_.count, config_.batch_tokens));
  }
  const bool follows_rows = c.threshold_rule == ThresholdRule::kEmaOfRowMeans;
  smallest_ = Tensor<float, 1>(memory, "batch", {follows_rows ? own_rows_.count : 0});
  const int64_t dense_latents = is_dense(c) ? local : 0;
  sparsity_weights_ =
      Tensor<double, 1>(memory, "latent statistics", {c.l1_times_decoder_norm ? dense_latents : 0});
  source_norms_ = Tensor<double, 1>(memory, "latent statistics",
                                    {c.sources > 1 ? c.sources * sparsity_weights_.shape()[0] : 0});
  block_sparsity_ = Tensor<double, 1>(memory, "latent statistics", {dense_latents});
  latent_sparsity_ = Tensor<double, 1>(memory, "latent statistics", {dense_latents});
  prepare_penalty(memory);
}

void Trainer::prepare_penalty(Memory& memory) {
  const Conventions& c = config_.conventions;
  const bool penalized = c.orthogonality_coefficient > 0.0;
  const bool shrinks_rows = is_dense(c) && c.l1_times_decoder_norm && c.l1_coefficient > 0.0;
  penalty_gradient_ = Tensor<float, 2>(memory, "orthogonality",
                                       {penalized || shrinks_rows ? sum_.slice().count : 0, d_model_});
  if (!penalized) return;
  penalty_ = std::make_unique<OrthogonalityPenalty>(
      memory, d_model_, slices_of(c.latents, grid_->dictionary->size(), config_.virtual_shards),
      c.orthogonality_chunk, *world_->data, *grid_->dictionary, product_order(config_.virtual_shards));
}

double Trainer::error_share() const {
  const double rows = static_cast<double>(config_.batch_tokens);
  return config_.conventions.loss_scale == LossScale::kMean ? 1.0 / (rows * static_cast<double>(d_model_))
                                                            : 1.0 / rows;
}

StepReport Trainer::step(ActivationSource& source, bool with_variance) {
  StepReport report{.step = steps_done_};
  encoded_products_ = 0;
  penalty_active_ = false;
  is_decoded_ = false;
  path_count_ = 1;
  read_batch(source);
  if (with_variance) report.variance = batch_.variance(x_.view(), stream_);
  encoder_.pack(dictionary_, stream_);
  if (is_dense(config_.conventions)) {
    step_dense(report);
  } else {
    Stream& beside = world_->data->runs_beside_others() ? penalty_lane_.begin(stream_) : stream_;
    start_penalty(report, beside);
    encode_batch(report);
    finish_penalty(report, beside);
    count_dead(report);
    reconstruct_batch(report);
    if (exchange_.codes_travel()) {
      exchange_.gather_rows(gradient_.view(), stream_);
      exchange_.gather_rows(centred_.view(), stream_);
    }
    evaluate_auxiliary_loss(report);
    penalty_lane_.join(stream_);
    update(report);
  }
  const Conventions& c = config_.conventions;
  report.loss = report.reconstruction + c.auxk_alpha * report.auxiliary +
                c.orthogonality_coefficient * report.orthogonality + c.l1_coefficient * report.sparsity;
  report.finite = std::isfinite(report.loss) && std::isfinite(report.gradient_norm);
  report.threshold = dictionary_.threshold;
  ++steps_done_;
  if (steps_done_ < config_.steps) feed_.read_ahead(source, first_sample());
  return report;
}

// The first row of the step's batch that this replica works on.
int64_t Trainer::first_sample() const {
  return steps_done_ * config_.batch_tokens + own_rows_.first;
}

void Trainer::read_batch(ActivationSource& source) {
  feed_.take(source, first_sample(), x_.view(), stream_);
  scaler_.scale(x_.view(), stream_);
  encoder_.center(dictionary_, x_.view(), exchange_.own(centred_.view()), stream_);
}

void Trainer::encode_batch(StepReport& report) {
  const Conventions& c = config_.conventions;
  encoded_products_ += own_rows_.count * sum_.slice().count;
  if (encoder_.can_watch()) encoder_.watch(dead_.dead_within(config_.batch_tokens));
  if (c.architecture == Architecture::kTopK) {
    codes_ = row_codes_.view();
    encoder_.topk(exchange_.own(centred_.view()), dictionary_, codes_, stream_,
                  [this](Share rows, Stream& stream) { decode_rows(rows, stream); });
    report.second_round_rows = encoder_.second_round_rows();
    report.l0 = static_cast<double>(c.k);
    update_threshold(0.0f, report);
    return;
  }
  const BatchSelected selected =
      batch_topk_.encode(exchange_.own(centred_.view()), own_rows_.first, c.k * config_.batch_tokens,
                         config_.batch_tokens, dictionary_, encoder_, *world_->data, stream_);
  codes_ = batch_topk_.codes(own_rows_.count);
  report.l0 = static_cast<double>(selected.kept) / static_cast<double>(config_.batch_tokens);
  update_threshold(selected.smallest, report);
}

void Trainer::update_threshold(float smallest, StepReport& report) {
  const Conventions& c = config_.conventions;
  const bool of_rows = c.threshold_rule == ThresholdRule::kEmaOfRowMeans;
  if (c.architecture == Architecture::kTopK && !of_rows) return;
  double value = smallest;
  double& threshold = dictionary_.threshold;
  if (c.threshold_rule == ThresholdRule::kEmaFromZero) {
    threshold = c.threshold_beta * threshold + (1.0 - c.threshold_beta) * value;
    return;
  }
  if (report.step <= c.threshold_start_step) return;
  if (of_rows) value = mean_smallest_of_rows();
  threshold = threshold < 0.0 ? value : c.threshold_beta * threshold + (1.0 - c.threshold_beta) * value;
}

double Trainer::mean_smallest_of_rows() {
  kernels::smallest_of_rows(codes_, smallest_.view(), stream_);
  all_reduce(*grid_->dictionary, smallest_.view(), ReduceOp::kMin, stream_);
  kernels::widen(smallest_.view(), batch_.own_values(), stream_);
  return batch_.total(stream_) / static_cast<double>(config_.batch_tokens);
}

// Where the rows are summed over shards this waits for the others, so it is put beside the encoding of later
// rows.
void Trainer::decode_rows(Share rows, Stream& stream) {
  if (sum_.is_local()) return;
  sum_.decode(codes_.row_range(rows.first, rows.count), dictionary_.decoder.view(),
              dictionary_.decoder_bias.view(), reconstruction_.view().rows(rows.first, rows.count), stream);
  is_decoded_ = true;
}

void Trainer::reconstruct_batch(StepReport& report) {
  const auto scale = static_cast<float>(2.0 * error_share());
  const Vector<double> errors = batch_.own_values();
  // The gradient of the values is final here unless an auxiliary loss follows, which reads the reconstruction
  // too.
  value_gradients_known_ = sum_.is_local() && !auxiliary_.applies(report.dead_latents);
  if (value_gradients_known_) {
    kernels::decode_with_gradients(codes_, sum_.slice().first, dictionary_.decoder.view(),
                                   dictionary_.decoder_bias.view(), x_.view(), scale,
                                   exchange_.own(gradient_.view()), errors, path_.value_gradients(), stream_);
  } else {
    if (!is_decoded_) {
      sum_.decode(codes_, dictionary_.decoder.view(), dictionary_.decoder_bias.view(), reconstruction_.view(),
                  stream_);
    }
    kernels::reconstruction_error(x_.view(), reconstruction_.view(), scale, exchange_.own(gradient_.view()),
                                  errors, stream_);
  }
  report.squared_error = batch_.total(stream_);
  report.reconstruction = report.squared_error * error_share();
}

void Trainer::count_dead(StepReport& report) {
  dead_.mark(codes_, config_.conventions.fired_by_selection, stream_);
  if (grid_->data->size() > 1) all_reduce(*grid_->data, dead_.marks(), ReduceOp::kMax, stream_);
  dead_.advance(config_.batch_tokens, stream_);
  wait();
  dead_list_ = dead_.list_dead(stream_);
  report.dead_latents = dead_list_.shape[0];
  grid_->dictionary->all_reduce(&report.dead_latents, 1, Dtype::kI64, ReduceOp::kSum, stream_);
}

void Trainer::evaluate_auxiliary_loss(StepReport& report) {
  if (!auxiliary_.applies(report.dead_latents)) return;
  const MainPass pass{.input = x_.view(),
                      .centred = exchange_.own(centred_.view()),
                      .reconstruction = reconstruction_.view(),
                      .gradient = gradient_.view(),
                      .dead_latents = dead_list_,
                      .dead_of_all_shards = report.dead_latents};
  report.auxiliary = auxiliary_.evaluate(pass, dictionary_, encoder_, stream_);
  if (auxiliary_.multiplied()) encoded_products_ += own_rows_.count * pass.dead_latents.shape[0];
  path_count_ = 2;
}

// Needs the decoder alone, so it runs beside the encoding where the device has room.
void Trainer::start_penalty(StepReport& report, Stream& stream) {
  const Conventions& c = config_.conventions;
  if (!penalty_ || report.step % c.orthogonality_period != 0) return;
  if (config_.partition) {
    partition_ = config_.partition(report.step);
  } else if (partition_) {
    partition_->draw(config_.seed, report.step);
  } else {
    partition_.emplace(c.latents, c.orthogonality_chunk, config_.seed, report.step);
  }
  penalty_->start(dictionary_.decoder.view(), *partition_, stream);
  penalty_active_ = true;
}

void Trainer::finish_penalty(StepReport& report, Stream& stream) {
  if (!penalty_active_) return;
  const Conventions& c = config_.conventions;
  const auto weight = static_cast<float>(c.orthogonality_coefficient * c.orthogonality_period);
  report.orthogonality = penalty_->finish(*partition_, weight, penalty_gradient_.view(), stream);
}

kernels::LatentStepArgs Trainer::step_arguments() const {
  const Conventions& c = config_.conventions;
  kernels::LatentStepArgs args;
  args.input = centred_.view();
  args.paths = paths_;
  args.path_count = path_count_;
  if (penalty_active_) args.decoder_penalty_gradient = penalty_gradient_.view();
  args.decoder_norm = c.decoder_norm;
  args.adam = {.lr = static_cast<float>(c.lr * schedule_.factor(steps_done_)),
               .beta1 = static_cast<float>(c.adam_beta1),
               .beta2 = static_cast<float>(c.adam_beta2),
               .epsilon = static_cast<float>(c.adam_epsilon),
               .weight_decay = static_cast<float>(c.weight_decay),
               .step = steps_done_ + 1,
               .seed = config_.seed};
  return args;
}

void Trainer::update(StepReport& report) {
  if (!value_gradients_known_) {
    path_.find_value_gradients(codes_, dictionary_.decoder.view(), exchange_.own(gradient_.view()), stream_);
  }
  paths_[0] = path_.held(codes_, gradient_.view(), stream_);
  if (path_count_ == 2) paths_[1] = auxiliary_.path(dictionary_, stream_);
  const kernels::LatentStepArgs args = step_arguments();
  decoder_bias_gradient(args, true);
  reduce_decoder_bias_gradient();
  report.lr = args.adam.lr;
  report.gradient_norm = optimizer_.update(args, decoder_bias_gradient_.view(), dictionary_, stream_);
}

void Trainer::decoder_bias_gradient(const kernels::LatentStepArgs& args, bool first) {
  const Vector<float> total = decoder_bias_gradient_.view();
  const Vector<double> sums = batch_.columns(args.paths[0].output_gradient, stream_);
  kernels::add_rounded(sums, !first, total, stream_);
  if (!dictionary_.subtract_decoder_bias) return;
  kernels::latent_bias_gradients(args, latent_sums_.view(), stream_);
  sum_.weighted_rows(latent_sums_.view(), dictionary_.encoder.view(), encoder_pull_.view(), stream_);
  kernels::subtract(total, encoder_pull_.view(), total, stream_);
}

void Trainer::reduce_decoder_bias_gradient() {
  if (exchange_.codes_travel() || grid_->data->size() == 1) return;
  all_reduce(*grid_->data, decoder_bias_gradient_.view(), ReduceOp::kSum, stream_);
}

void Trainer::calibrate_threshold(ActivationSource& source, int batches) {
  const Conventions& c = config_.conventions;
  if (c.architecture != Architecture::kBatchTopK) return;
  const int64_t done = steps_done_;
  encoder_.watch({});
  encoder_.pack(dictionary_, stream_);
  double sum = 0.0;
  for (int b = 0; b < batches; ++b, ++steps_done_) {
    read_batch(source);
    sum += batch_topk_
               .encode(exchange_.own(centred_.view()), own_rows_.first, c.k * config_.batch_tokens,
                       config_.batch_tokens, dictionary_, encoder_, *world_->data, stream_)
               .smallest;
  }
  steps_done_ = done;
  dictionary_.threshold = sum / batches;
}

double Trainer::orthogonality(const LatentPartition& partition) {
  Memory memory(stream_.device());
  OrthogonalityPenalty penalty(
      memory, d_model_, slices_of(dictionary_.latents, grid_->dictionary->size(), config_.virtual_shards),
      config_.conventions.orthogonality_chunk, *world_->data, *grid_->dictionary,
      product_order(config_.virtual_shards));
  Tensor<float, 2> gradient(memory, "orthogonality", {dictionary_.slice.count, d_model_});
  return penalty.evaluate(dictionary_.decoder.view(), partition, 0.0f, gradient.view(), stream_);
}

}  // namespace orthant::sae
