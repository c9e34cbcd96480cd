#include "sae/training/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/decode.h"
#include "runtime/core/error.h"
#include "sae/training/dense_blocks.h"
#include "sae/training/initialization.h"

namespace orthant::sae {
namespace {

// Rows of the presample that fixes the input scale.
constexpr int64_t kPresampleRows = 32768;
// Candidates of BatchTopK that there is room for, over those selected.
constexpr int64_t kCandidateRoom = 4;
enum Scalar { kThreshold, kInputScale, kStep, kScalars };

bool is_dense(const Conventions& c) {
  return c.architecture == Architecture::kStandard;
}

int64_t aux_width(const Conventions& c, int64_t d_model) {
  if (c.auxk_alpha <= 0.0 || is_dense(c)) return 0;
  const int64_t wanted = c.auxk > 0 ? c.auxk : d_model / 2;
  return std::min(wanted, c.latents);
}

int64_t main_entries(const Conventions& c, int64_t local_latents, int64_t rows) {
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
      schedule_{config_.steps, config_.conventions.lr_warm_up_steps, config_.conventions.lr_decay_start},
      exchange_(config_.batch_tokens, *grid.data),
      replica_rows_(exchange_.own_rows()),
      held_rows_(codes_travel() ? Share{0, config_.batch_tokens} : replica_rows_),
      sum_(memory, config_.conventions.latents, d_model, *grid.dictionary, config_.virtual_shards),
      dictionary_(allocate_dictionary(config_.conventions, d_model, sum_.slice(), memory)),
      encoder_(memory, dictionary_, replica_rows_.count,
               std::max(config_.conventions.k, aux_width(config_.conventions, d_model)), *grid.dictionary,
               config_.virtual_shards),
      batch_topk_(memory, replica_rows_.count,
                  config_.conventions.architecture == Architecture::kBatchTopK
                      ? kCandidateRoom * config_.conventions.k * replica_rows_.count
                      : 0),
      dead_(memory, sum_.slice(), config_.conventions.dead_feature_threshold_tokens),
      optimizer_(memory, dictionary_, config_.conventions, config_.data_parallel,
                 is_dense(config_.conventions), *grid.data, sum_) {
  const Conventions& c = config_.conventions;
  require(!(config_.virtual_shards > 0 && grid.data->size() > 1 && !codes_travel()),
          "fixed sums over replicas need codes to travel");
  const int64_t rows = replica_rows_.count;
  const int64_t local = sum_.slice().count;
  const int64_t aux = std::min(aux_width(c, d_model), local);
  x_ = Tensor<float, 2>(memory, "batch", {rows, d_model});
  centred_ = Tensor<float, 2>(memory, "batch", {held_rows_.count, d_model});
  gradient_ = Tensor<float, 2>(memory, "batch", {held_rows_.count, d_model});
  reconstruction_ = Tensor<float, 2>(memory, "batch", {rows, d_model});
  residual_ = Tensor<float, 2>(memory, "batch", {rows, d_model});
  aux_gradient_ = Tensor<float, 2>(memory, "batch", {aux > 0 ? held_rows_.count : 0, d_model});
  row_errors_ = Tensor<double, 1>(memory, "batch", {config_.batch_tokens});
  column_sums_ = Tensor<double, 1>(memory, "batch", {d_model});
  scaling_.mean = Tensor<float, 1>(memory, "batch", {scales_rows(c.input_scaling) ? rows : 0});
  scaling_.deviation = Tensor<float, 1>(memory, "batch", {scales_rows(c.input_scaling) ? rows : 0});

  // A batch selection may fall into one shard altogether.
  const int64_t entries =
      c.architecture == Architecture::kBatchTopK ? c.k * config_.batch_tokens : main_entries(c, local, rows);
  const int64_t all_rows = held_rows_.count;
  const int64_t all_entries =
      c.architecture == Architecture::kBatchTopK ? entries : main_entries(c, local, all_rows);
  if (c.architecture != Architecture::kBatchTopK) row_codes_ = kernels::Codes(memory, rows, entries);
  aux_codes_ = kernels::Codes(memory, rows, aux * rows);
  value_gradients_ = Tensor<float, 1>(memory, "codes", {entries});
  aux_value_gradients_ = Tensor<float, 1>(memory, "codes", {aux * rows});
  order_ = kernels::LatentOrder(memory, local, all_entries);
  aux_order_ = kernels::LatentOrder(memory, local, aux * all_rows);
  if (codes_travel() && grid.data->size() > 1) {
    all_codes_ = kernels::Codes(memory, all_rows, all_entries);
    all_value_gradients_ = Tensor<float, 1>(memory, "codes", {all_entries});
    all_aux_codes_ = kernels::Codes(memory, all_rows, aux * all_rows);
    all_aux_value_gradients_ = Tensor<float, 1>(memory, "codes", {aux * all_rows});
  }
  const bool penalized = c.orthogonality_coefficient > 0.0;
  const bool shrinks_rows = is_dense(c) && c.l1_times_decoder_norm && c.l1_coefficient > 0.0;
  penalty_gradient_ =
      Tensor<float, 2>(memory, "orthogonality", {penalized || shrinks_rows ? local : 0, d_model});
  if (penalized) {
    penalty_ = std::make_unique<OrthogonalityPenalty>(
        memory, d_model, slices_of(c.latents, grid.dictionary->size(), config_.virtual_shards),
        c.orthogonality_chunk, *world.data, *grid.dictionary);
    if (!config_.partition) {
      config_.partition = [latents = c.latents, chunk = c.orthogonality_chunk, seed = config_.seed](
                              int64_t step) { return draw_partition(latents, chunk, seed, step); };
    }
  }
  latent_sums_ = Tensor<float, 1>(memory, "latent statistics", {local});
  latent_sparsity_ = Tensor<double, 1>(memory, "latent statistics", {is_dense(c) ? local : 0});
  decoder_bias_gradient_ = Tensor<float, 1>(memory, "gradients", {d_model});
  encoder_pull_ = Tensor<float, 1>(memory, "gradients", {d_model});
  scalars_.assign(kScalars, 0.0);
}

Matrix<float> Trainer::own(Tensor<float, 2>& held) {
  return held.view().rows(replica_rows_.first - held_rows_.first, replica_rows_.count);
}

double Trainer::error_share() const {
  const double rows = static_cast<double>(config_.batch_tokens);
  return config_.conventions.loss_scale == LossScale::kMean ? 1.0 / (rows * static_cast<double>(d_model_))
                                                            : 1.0 / rows;
}

void Trainer::initialize(ActivationSource& source) {
  const Conventions& c = config_.conventions;
  initialize_dictionary(dictionary_, c.encoder_init, config_.seed);
  if (c.threshold_rule == ThresholdRule::kEmaFromZero) dictionary_.threshold = 0.0;
  if (c.input_scaling == InputScaling::kUnitMeanSquare ||
      c.input_scaling == InputScaling::kExpectedAverageOnlyIn) {
    dictionary_.input_scale =
        input_scale_of(c.input_scaling, presample(source, kPresampleRows, *world_->data), d_model_);
  }
  if (c.decoder_bias_init == DecoderBiasInit::kZero) return;
  // Every rank reads the whole first batch once, so that all get the same bits.
  Memory memory;
  Tensor<float, 2> first(memory, "initialization", {config_.batch_tokens, d_model_});
  source.read(Split::kTrain, 0, first.view(), nullptr);
  RowScaling scaling{Tensor<float, 1>(memory, "initialization", {config_.batch_tokens}),
                     Tensor<float, 1>(memory, "initialization", {config_.batch_tokens})};
  scale_input(dictionary_, first.view(), scaling);
  const std::vector<double> point =
      c.decoder_bias_init == DecoderBiasInit::kMean ? mean_row(first.view()) : geometric_median(first.view());
  for (int64_t i = 0; i < d_model_; ++i) {
    dictionary_.decoder_bias.data()[i] = static_cast<float>(point[static_cast<size_t>(i)]);
  }
}

void Trainer::initialize_from(const Dictionary& start) {
  if (start.latents != dictionary_.latents || start.d_model != d_model_) {
    throw Error(ExitCode::kConfig,
                {.problem = fmt::format("the dictionary of --init has {} latents of width {}", start.latents,
                                        start.d_model),
                 .why = fmt::format("{} of width {} are configured", dictionary_.latents, d_model_),
                 .suggestion = "Set sae.latents to match, or train on activations of that width."});
  }
  const int64_t first = dictionary_.slice.first - start.slice.first;
  const auto take = [&](auto& into, const auto& from) {
    const auto part = from.view().rows(first, dictionary_.slice.count);
    copy_bytes(into.data(), kCpu, part.data, kCpu, part.bytes());
  };
  take(dictionary_.encoder, start.encoder);
  take(dictionary_.decoder, start.decoder);
  take(dictionary_.encoder_bias, start.encoder_bias);
  copy_bytes(dictionary_.decoder_bias.data(), kCpu, start.decoder_bias.data(), kCpu,
             start.decoder_bias.view().bytes());
  dictionary_.threshold = start.threshold;
  dictionary_.input_scale = start.input_scale;
}

StepReport Trainer::step(ActivationSource& source, bool with_variance) {
  StepReport report{.step = steps_done_};
  encoded_products_ = 0;
  penalty_active_ = false;
  path_count_ = 1;
  read_batch(source);
  if (with_variance) report.variance = batch_variance();
  encoder_.pack(dictionary_, stream_);
  if (is_dense(config_.conventions)) {
    step_dense(report);
  } else {
    encode_batch(report);
    count_dead(report);
    reconstruct_batch(report);
    if (codes_travel()) {
      exchange_.gather_rows(gradient_.view(), stream_);
      exchange_.gather_rows(centred_.view(), stream_);
    }
    auxiliary_loss(report);
    evaluate_penalty(report);
    update(report);
  }
  const Conventions& c = config_.conventions;
  report.loss = report.reconstruction + c.auxk_alpha * report.auxiliary +
                c.orthogonality_coefficient * report.orthogonality + c.l1_coefficient * report.sparsity;
  report.finite = std::isfinite(report.loss) && std::isfinite(report.gradient_norm);
  report.threshold = dictionary_.threshold;
  ++steps_done_;
  return report;
}

// Ranks of a dictionary group read disjoint rows of their replica's part, then share them.
void Trainer::read_batch(ActivationSource& source) {
  Communicator& shards = *grid_->dictionary;
  const Share mine = share_of(replica_rows_.count, shards.size(), shards.rank());
  const int64_t batch_first = steps_done_ * config_.batch_tokens + replica_rows_.first;
  for (int part = 0; part < config_.micro_batches; ++part) {
    const Share rows = share_of(mine.count, config_.micro_batches, part);
    if (rows.count == 0) continue;
    source.read(Split::kTrain, batch_first + mine.first + rows.first,
                x_.view().rows(mine.first + rows.first, rows.count), nullptr);
  }
  if (shards.size() > 1) {
    std::vector<int64_t> counts;
    for (int s = 0; s < shards.size(); ++s) {
      counts.push_back(share_of(replica_rows_.count, shards.size(), s).count * d_model_);
    }
    shards.all_gather_uneven(x_.view().row(mine.first), x_.data(), counts, Dtype::kF32, stream_);
  }
  scale_input(dictionary_, x_.view(), scaling_);
  encoder_.center(dictionary_, x_.view(), own(centred_));
}

void Trainer::encode_batch(StepReport& report) {
  const Conventions& c = config_.conventions;
  encoded_products_ += replica_rows_.count * sum_.slice().count;
  if (c.architecture == Architecture::kTopK) {
    codes_ = row_codes_.view();
    encoder_.topk(own(centred_), dictionary_, codes_, stream_);
    report.second_round_rows = encoder_.last_rounds().second_round_rows;
    report.l0 = static_cast<double>(c.k);
    update_threshold(0.0f, report);
    return;
  }
  const BatchSelected selected =
      batch_topk_.encode(own(centred_), replica_rows_.first, c.k * config_.batch_tokens, config_.batch_tokens,
                         dictionary_, encoder_, *world_->data, stream_);
  codes_ = batch_topk_.codes(replica_rows_.count);
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
  if (of_rows) value = mean_smallest_of_rows(codes_);
  threshold = threshold < 0.0 ? value : c.threshold_beta * threshold + (1.0 - c.threshold_beta) * value;
}

double Trainer::mean_smallest_of_rows(kernels::CodesView codes) {
  std::vector<float> smallest(static_cast<size_t>(codes.rows()), std::numeric_limits<float>::infinity());
  for (int64_t r = 0; r < codes.rows(); ++r) {
    for (int64_t e = codes.row_offsets.data[r]; e < codes.row_offsets.data[r + 1]; ++e) {
      if (codes.values.data[e] <= 0.0f) continue;
      smallest[static_cast<size_t>(r)] = std::min(smallest[static_cast<size_t>(r)], codes.values.data[e]);
    }
  }
  grid_->dictionary->all_reduce(smallest.data(), codes.rows(), Dtype::kF32, ReduceOp::kMin, stream_);
  for (int64_t r = 0; r < codes.rows(); ++r) {
    row_errors_.data()[replica_rows_.first + r] = smallest[static_cast<size_t>(r)];
  }
  return row_total() / static_cast<double>(config_.batch_tokens);
}

// The sum over the rows of the whole batch, in their order.
double Trainer::row_total() {
  exchange_.gather_values(row_errors_.view(), stream_);
  double total = 0.0;
  for (const double value : row_errors_.view().span()) total += value;
  return total;
}

double Trainer::batch_variance() {
  std::vector<double> sums(static_cast<size_t>(d_model_));
  kernels::column_sums(x_.view(), {sums.data(), {d_model_}}, stream_);
  grid_->data->all_reduce(sums.data(), d_model_, Dtype::kF64, ReduceOp::kSum, stream_);
  const double rows = static_cast<double>(config_.batch_tokens);
#pragma omp parallel for
  for (int64_t r = 0; r < replica_rows_.count; ++r) {
    double squares = 0.0;
    for (int64_t c = 0; c < d_model_; ++c) {
      const double centred = x_.view().row(r)[c] - sums[static_cast<size_t>(c)] / rows;
      squares += centred * centred;
    }
    row_errors_.data()[replica_rows_.first + r] = squares;
  }
  return row_total();
}

void Trainer::reconstruct_batch(StepReport& report) {
  const auto scale = static_cast<float>(2.0 * error_share());
  const Vector<double> errors = row_errors_.view().rows(replica_rows_.first, replica_rows_.count);
  // The gradient of the values is final here unless an auxiliary loss follows, which reads the reconstruction
  // too.
  value_gradients_known_ = sum_.is_local() && !has_auxiliary_loss(report);
  if (value_gradients_known_) {
    kernels::decode_with_gradients(codes_, sum_.slice().first, dictionary_.decoder.view(),
                                   dictionary_.decoder_bias.view(), x_.view(), scale, own(gradient_), errors,
                                   value_gradients_.view(), stream_);
  } else {
    sum_.decode(codes_, dictionary_.decoder.view(), dictionary_.decoder_bias.view(), reconstruction_.view(),
                stream_);
    kernels::reconstruction_error(x_.view(), reconstruction_.view(), scale, own(gradient_), errors, stream_);
  }
  report.squared_error = row_total();
  report.reconstruction = report.squared_error * error_share();
}

void Trainer::count_dead(StepReport& report) {
  dead_.mark(codes_, config_.conventions.fired_by_selection);
  if (grid_->data->size() > 1) all_reduce(*grid_->data, dead_.marks(), ReduceOp::kMax, stream_);
  dead_.advance(config_.batch_tokens);
  report.dead_latents = dead_.dead().shape[0];
  grid_->dictionary->all_reduce(&report.dead_latents, 1, Dtype::kI64, ReduceOp::kSum, stream_);
}

// 1 over the variance of the residual, where the lineage normalises by it; else the share of the loss.
double Trainer::auxiliary_weight() {
  const Conventions& c = config_.conventions;
  if (!c.auxk_normalized) return error_share();
  std::vector<double> sums(static_cast<size_t>(d_model_));
  if (codes_travel()) {
    // The gradient of the whole batch is at hand everywhere and is the residual up to a factor.
    kernels::column_sums(gradient_.view(), {sums.data(), {d_model_}}, stream_);
    for (double& sum : sums) sum /= -2.0 * error_share();
  } else {
    kernels::column_sums(residual_.view(), {sums.data(), {d_model_}}, stream_);
    grid_->data->all_reduce(sums.data(), d_model_, Dtype::kF64, ReduceOp::kSum, stream_);
  }
  const double rows = static_cast<double>(config_.batch_tokens);
#pragma omp parallel for
  for (int64_t r = 0; r < replica_rows_.count; ++r) {
    double squares = 0.0;
    for (int64_t i = 0; i < d_model_; ++i) {
      const double centred = residual_.view().row(r)[i] - sums[static_cast<size_t>(i)] / rows;
      squares += centred * centred;
    }
    row_errors_.data()[replica_rows_.first + r] = squares;
  }
  const double variance = row_total();
  return variance > 0.0 ? 1.0 / variance : 0.0;
}

bool Trainer::has_auxiliary_loss(const StepReport& report) const {
  return report.dead_latents > 0 && aux_gradient_.shape()[0] > 0;
}

void Trainer::auxiliary_loss(StepReport& report) {
  const Conventions& c = config_.conventions;
  if (!has_auxiliary_loss(report)) return;
  const Vector<const int32_t> dead = dead_.dead();
  std::vector<int64_t> dead_per_shard(static_cast<size_t>(grid_->dictionary->size()));
  const int64_t mine = dead.shape[0];
  grid_->dictionary->all_gather(&mine, dead_per_shard.data(), 1, Dtype::kI64, stream_);
  const int64_t k = std::min(aux_width(c, d_model_), report.dead_latents);
  aux_view_ = aux_codes_.view();
  encoder_.topk_chosen(own(centred_), dictionary_, dead, dead_per_shard, k, aux_view_, stream_);
  encoded_products_ += replica_rows_.count * mine;

#pragma omp parallel for
  for (int64_t i = 0; i < residual_.view().elements(); ++i) {
    residual_.data()[i] = x_.data()[i] - reconstruction_.data()[i];
  }
  sum_.decode(aux_view_, dictionary_.decoder.view(), {}, reconstruction_.view(), stream_);
  const double share = auxiliary_weight();
  kernels::reconstruction_error(residual_.view(), reconstruction_.view(),
                                static_cast<float>(2.0 * c.auxk_alpha * share), own(aux_gradient_),
                                row_errors_.view().rows(replica_rows_.first, replica_rows_.count), stream_);
  report.auxiliary = row_total() * share;
  if (codes_travel()) exchange_.gather_rows(aux_gradient_.view(), stream_);
  path_count_ = 2;
  if (c.auxk_detach) return;
    // The residual is part of the graph: d e / d xhat = -1, so the gradient reaches the main reconstruction
    // too.
#pragma omp parallel for
  for (int64_t i = 0; i < gradient_.view().elements(); ++i) gradient_.data()[i] += aux_gradient_.data()[i];
}

void Trainer::evaluate_penalty(StepReport& report) {
  const Conventions& c = config_.conventions;
  if (!penalty_ || report.step % c.orthogonality_period != 0) return;
  const auto weight = static_cast<float>(c.orthogonality_coefficient * c.orthogonality_period);
  report.orthogonality = penalty_->evaluate(dictionary_.decoder.view(), config_.partition(report.step),
                                            weight, penalty_gradient_.view(), stream_);
  penalty_active_ = true;
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
               .step = steps_done_ + 1};
  return args;
}

void Trainer::update(StepReport& report) {
  const int64_t first = sum_.slice().first;
  const auto prepare = [&](kernels::CodesView codes, Matrix<const float> own_gradient,
                           Tensor<float, 1>& gradients, kernels::Codes& all, Tensor<float, 1>& all_gradients,
                           kernels::LatentOrder& order, Matrix<const float> output_gradient) {
    if (!value_gradients_known_ || &gradients != &value_gradients_) {
      kernels::value_gradients(codes, first, dictionary_.decoder.view(), own_gradient, gradients.view(),
                               stream_);
    }
    kernels::CodePath path{.codes = codes,
                           .order = order.view(),
                           .value_gradients = gradients.view(),
                           .output_gradient = output_gradient};
    if (codes_travel()) {
      const auto gathered =
          exchange_.gather_codes(codes, gradients.view(), all.view(), all_gradients.view(), stream_);
      path.codes = gathered.codes;
      path.value_gradients = gathered.value_gradients;
    }
    kernels::sort_by_latent(path.codes, first, path.order, stream_);
    return path;
  };
  paths_[0] = prepare(codes_, own(gradient_), value_gradients_, all_codes_, all_value_gradients_, order_,
                      gradient_.view());
  if (path_count_ == 2) {
    paths_[1] = prepare(aux_view_, own(aux_gradient_), aux_value_gradients_, all_aux_codes_,
                        all_aux_value_gradients_, aux_order_, aux_gradient_.view());
  }
  const kernels::LatentStepArgs args = step_arguments();
  decoder_bias_gradient(args, true);
  reduce_decoder_bias_gradient();
  report.lr = args.adam.lr;
  report.gradient_norm = optimizer_.update(args, decoder_bias_gradient_.view(), dictionary_, stream_);
}

void Trainer::decoder_bias_gradient(const kernels::LatentStepArgs& args, bool first) {
  Vector<float> total = decoder_bias_gradient_.view();
  if (first) decoder_bias_gradient_.zero();
  kernels::column_sums(args.paths[0].output_gradient, column_sums_.view(), stream_);
  for (int64_t c = 0; c < d_model_; ++c) total.data[c] += static_cast<float>(column_sums_.data()[c]);
  if (!dictionary_.subtract_decoder_bias) return;
  kernels::latent_bias_gradients(args, latent_sums_.view(), stream_);
  sum_.weighted_rows(latent_sums_.view(), dictionary_.encoder.view(), encoder_pull_.view(), stream_);
  for (int64_t c = 0; c < d_model_; ++c) total.data[c] -= encoder_pull_.data()[c];
}

void Trainer::reduce_decoder_bias_gradient() {
  if (codes_travel() || grid_->data->size() == 1) return;
  all_reduce(*grid_->data, decoder_bias_gradient_.view(), ReduceOp::kSum, stream_);
}

void Trainer::calibrate_threshold(ActivationSource& source, int batches) {
  const Conventions& c = config_.conventions;
  if (c.architecture != Architecture::kBatchTopK) return;
  const int64_t done = steps_done_;
  encoder_.pack(dictionary_, stream_);
  double sum = 0.0;
  for (int b = 0; b < batches; ++b, ++steps_done_) {
    read_batch(source);
    sum += batch_topk_
               .encode(own(centred_), replica_rows_.first, c.k * config_.batch_tokens, config_.batch_tokens,
                       dictionary_, encoder_, *world_->data, stream_)
               .smallest;
  }
  steps_done_ = done;
  dictionary_.threshold = sum / batches;
}

double Trainer::orthogonality(const LatentPartition& partition) {
  Memory memory;
  const int64_t local = dictionary_.slice.count;
  OrthogonalityPenalty penalty(
      memory, d_model_, slices_of(dictionary_.latents, grid_->dictionary->size(), config_.virtual_shards),
      config_.conventions.orthogonality_chunk, *world_->data, *grid_->dictionary);
  Tensor<float, 2> gradient(memory, "orthogonality", {local, d_model_});
  return penalty.evaluate(dictionary_.decoder.view(), partition, 0.0f, gradient.view(), stream_);
}

std::vector<TensorSlice> Trainer::state() {
  scalars_[kThreshold] = dictionary_.threshold;
  scalars_[kInputScale] = dictionary_.input_scale;
  scalars_[kStep] = static_cast<double>(steps_done_);
  const bool first_replica = grid_->data->rank() == 0;
  const bool first_rank = world_->rank() == 0;
  const auto latents = [&](const char* name, void* data, Dtype dtype, std::vector<int64_t> shape) {
    return TensorSlice{.name = name,
                       .dtype = dtype,
                       .shape = std::move(shape),
                       .first_row = dictionary_.slice.first,
                       .rows = dictionary_.slice.count,
                       .data = data,
                       .writes = first_replica};
  };
  std::vector<TensorSlice> slices = {
      latents("encoder", dictionary_.encoder.data(), Dtype::kF32, {dictionary_.latents, d_model_}),
      latents("decoder", dictionary_.decoder.data(), Dtype::kF32, {dictionary_.latents, d_model_}),
      latents("encoder_bias", dictionary_.encoder_bias.data(), Dtype::kF32, {dictionary_.latents}),
      latents("tokens_since_fired", dead_.tokens_since_fired().data, Dtype::kI64, {dictionary_.latents}),
      {.name = "decoder_bias",
       .shape = {d_model_},
       .rows = d_model_,
       .data = dictionary_.decoder_bias.data(),
       .writes = first_rank},
      {.name = "scalars",
       .dtype = Dtype::kF64,
       .shape = {kScalars},
       .rows = kScalars,
       .data = scalars_.data(),
       .writes = first_rank}};
  for (TensorSlice& slice : optimizer_.state(dictionary_, first_rank)) slices.push_back(std::move(slice));
  return slices;
}

void Trainer::after_load() {
  dictionary_.threshold = scalars_[kThreshold];
  dictionary_.input_scale = scalars_[kInputScale];
  steps_done_ = static_cast<int64_t>(scalars_[kStep]);
}

}  // namespace orthant::sae
