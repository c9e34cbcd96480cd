// The trainer of one sharded dictionary: one call a step, from activations to updated weights.
//
// World = data x dictionary. A step reads this rank's rows, gathers the replica's batch over its dictionary
// group, encodes with the local latents, selects exactly over all shards (and, for BatchTopK, over the whole
// batch), sums the reconstruction, and updates each latent in one pass. Everything is a pure function of
// (config, seed, step), so a checkpoint holds parameters, moments, counters and thresholds and nothing else.
// All of it happens on the device of the memory that it is constructed on; the host waits for a few numbers a
// step. Memory is allocated at construction. Every public call is Collective over the world unless it says
// "local"; main thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/comm/world.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/checkpointable.h"
#include "sae/dictionary/dictionary.h"
#include "sae/dictionary/input_scaling.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/dictionary/shard_encoder.h"
#include "sae/training/auxiliary_loss.h"
#include "sae/training/batch_sums.h"
#include "sae/training/batch_topk.h"
#include "sae/training/data_parallel.h"
#include "sae/training/dead_latents.h"
#include "sae/training/gradient_path.h"
#include "sae/training/latent_optimizer.h"
#include "sae/training/orthogonality.h"
#include "sae/training/replica_exchange.h"
#include "sae/training/row_feed.h"
#include "sae/training/schedule.h"

namespace orthant::sae {

struct TrainerConfig {
  Conventions conventions;
  uint64_t seed = 0;
  int64_t batch_tokens = 0;
  int64_t steps = 0;
  int micro_batches = 1;
  // 0: fast sums; else sums over this many fixed parts, the same bits at every mesh.
  int virtual_shards = 0;
  // False: steps go forward and backward and report the norm of the gradient; the weights stay as they are
  // and no moments are held.
  bool updates = true;
  DataParallel data_parallel = DataParallel::kCodes;
  // Rows of a block whose exchange between shards runs beside the encoding of the next one, on a device.
  int64_t exchange_rows = ShardEncoder::kExchangeRows;
  // Sets the partition of the penalty at a step in place of the one drawn from (seed, step).
  std::function<LatentPartition(int64_t step)> partition = {};
};

// Losses are in the units of the preset's loss scale; all values are over the whole batch, equal on every
// rank.
struct StepReport {
  int64_t step = 0;
  double loss = 0.0;
  double reconstruction = 0.0;
  double auxiliary = 0.0;      // before its weight
  double orthogonality = 0.0;  // before its coefficient; 0 on steps that skip it
  double sparsity = 0.0;       // before its coefficient
  double l0 = 0.0;
  double squared_error = 0.0;  // sum over rows and coordinates, in scaled activations
  double variance = 0.0;       // sum over rows of |x - mean x|^2; 0 unless asked for
  int64_t dead_latents = 0;
  double gradient_norm = 0.0;  // 0 where nothing is clipped
  double lr = 0.0;
  double threshold = -1.0;
  int64_t second_round_rows = 0;
  bool finite = true;
};

class Trainer : public Checkpointable {
 public:
  Trainer(TrainerConfig config, int64_t d_model, World& world, Grid& grid, Memory& memory);

  // Draws the weights, estimates the input scale and sets the decoder bias, from the source's first rows.
  void initialize(ActivationSource& source);
  // Takes all parameters from `start` (whole or the same slice) instead of drawing them; the scale comes with
  // them.
  void initialize_from(const Dictionary& start);

  // Trains on rows [step * batch_tokens, (step + 1) * batch_tokens) of the source.
  StepReport step(ActivationSource& source, bool with_variance = false);

  // Sets the inference threshold of BatchTopK to the mean of the smallest selected value over `batches`
  // batches from the next step on, without training.
  void calibrate_threshold(ActivationSource& source, int batches);

  // The penalty of the present decoder over `partition`, also where the preset has no penalty.
  [[nodiscard]] double orthogonality(const LatentPartition& partition);

  // Local. Returns when the device has come to the end of the last step: until then nobody may read the
  // dictionary in another stream. What was read ahead has arrived too, so that no copy waits for other ranks.
  void wait() {
    feed_.wait();
    world_->data->wait(stream_);
  }

  [[nodiscard]] int64_t steps_done() const { return steps_done_; }
  [[nodiscard]] const Dictionary& dictionary() const { return dictionary_; }
  [[nodiscard]] Dictionary& dictionary() { return dictionary_; }
  [[nodiscard]] const TrainerConfig& config() const { return config_; }
  // Local. After loading, call after_load().
  [[nodiscard]] std::vector<TensorSlice> state() override;
  void after_load();

  // Local. What this rank did in the last step: rows times latents encoded, and pairs of latents
  // compared by the penalty.
  [[nodiscard]] int64_t encoded_products() const { return encoded_products_; }
  [[nodiscard]] int64_t compared_pairs() const { return penalty_ ? penalty_->pairs_compared() : 0; }
  // Local. Bytes that this rank has sent to other ranks so far, over all groups of the training. On a device
  // the rows of the next step travel during this one.
  [[nodiscard]] int64_t sent_bytes() const {
    return world_->data->traffic().total() + grid_->data->traffic().total() +
           grid_->dictionary->traffic().total();
  }
  // Local. Seconds spent in reading rows of the source so far.
  [[nodiscard]] double source_seconds() const { return feed_.seconds(); }

 private:
  void prepare_penalty(Memory& memory);
  // This rank's part of the batch of a step, among the replica's rows; and where it begins in the samples.
  [[nodiscard]] int64_t first_sample() const;
  void read_batch(ActivationSource& source);
  // Of the next step, while the device works on this one.
  void encode_batch(StepReport& report);
  void decode_rows(Share rows, Stream& stream);
  void reconstruct_batch(StepReport& report);
  void count_dead(StepReport& report);
  void evaluate_auxiliary_loss(StepReport& report);
  void start_penalty(StepReport& report, Stream& stream);
  void finish_penalty(StepReport& report, Stream& stream);
  void update(StepReport& report);
  void step_dense(StepReport& report);
  void find_sparsity_weights();
  void sparsity_gradients(const kernels::CodePath& path);
  [[nodiscard]] kernels::LatentStepArgs step_arguments() const;
  // Sums the gradient of b_dec over the batch from that of the reconstruction and from the encoder's input.
  void decoder_bias_gradient(const kernels::LatentStepArgs& args, bool first);
  void reduce_decoder_bias_gradient();
  void update_threshold(float smallest, StepReport& report);
  [[nodiscard]] double mean_smallest_of_rows();
  [[nodiscard]] double error_share() const;  // rho of the loss: 1 / (batch d_model) or 1 / batch

  TrainerConfig config_;
  int64_t d_model_;
  World* world_;
  Grid* grid_;
  Stream stream_;
  LearningRateSchedule schedule_;
  int64_t steps_done_ = 0;

  ReplicaExchange exchange_;
  Share own_rows_;  // rows of the batch that this replica works on
  ShardSum sum_;
  BatchSums batch_;
  Dictionary dictionary_;
  ShardEncoder encoder_;
  BatchTopKEncoder batch_topk_;
  DeadLatents dead_;
  Vector<const int32_t> dead_list_;  // of this step
  AuxiliaryLoss auxiliary_;
  LatentOptimizer optimizer_;
  std::unique_ptr<OrthogonalityPenalty> penalty_;
  std::optional<LatentPartition> partition_;  // of the penalty
  Lane penalty_lane_;

  RowFeed feed_;
  InputScaler scaler_;
  Tensor<float, 2> x_;               // [own rows, d_model] scaled
  Tensor<float, 2> centred_;         // [held rows, d_model]
  Tensor<float, 2> gradient_;        // [held rows, d_model] of the reconstruction
  Tensor<float, 2> reconstruction_;  // [own rows, d_model], the auxiliary one after the main one

  kernels::Codes row_codes_;   // of TopK and of dense blocks
  kernels::CodesView codes_;   // main codes of this replica's rows
  Tensor<float, 1> smallest_;  // [own rows] smallest positive value of a row, where the threshold follows it
  GradientPath path_;          // of the main codes
  bool is_decoded_ = false;    // reconstruction_, this step
  bool value_gradients_known_ = false;  // this step, computed beside the reconstruction
  kernels::CodePath paths_[2];
  int path_count_ = 1;

  Tensor<float, 2> penalty_gradient_;       // [local_latents, d_model], or [0, d_model]
  bool penalty_active_ = false;             // this step
  Tensor<float, 1> latent_sums_;            // [local_latents]
  Tensor<double, 1> sparsity_weights_;      // [local_latents] of the dense step, where they are not 1
  Tensor<double, 1> source_norms_;          // [local_latents * sources] the norms that make them up
  Tensor<double, 1> block_sparsity_;        // [local_latents] of a block of it
  Tensor<double, 1> latent_sparsity_;       // [local_latents] of the dense step
  Tensor<float, 1> decoder_bias_gradient_;  // [d_model]
  Tensor<float, 1> encoder_pull_;           // [d_model] what b_dec receives through the encoder
  std::vector<double> scalars_;  // threshold, input scale, steps, scales of sources: kept by checkpoints
  int64_t encoded_products_ = 0;
};

}  // namespace orthant::sae
