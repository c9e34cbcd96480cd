#include "sae/training/step_traffic.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "runtime/comm/planned_world.h"
#include "sae/dictionary/ordered_sum.h"
#include "sae/dictionary/reconstruction.h"
#include "sae/dictionary/selection.h"
#include "sae/training/dense_blocks.h"

namespace orthant::sae {
namespace {

class StepCalls {
 public:
  StepCalls(const TrainerConfig& config, int64_t d_model, MeshShape mesh, int rank, const StepKind& kind)
      : config_(config),
        c_(config.conventions),
        kind_(kind),
        d_model_(d_model),
        shards_(mesh.dictionary, rank % mesh.dictionary),
        replicas_(mesh.data, rank / mesh.dictionary),
        world_(mesh.data * mesh.dictionary, rank),
        exchange_(config.batch_tokens, config.data_parallel, replicas_),
        rows_(exchange_.own_rows().count),
        local_(slice_of(shards_.rank()).count) {}

  StepTraffic run() {
    read_batch();
    if (kind_.measures_variance) {
      replicas_.all_reduce(nullptr, d_model_, Dtype::kF64, ReduceOp::kSum, stream_);
      sum_rows();
    }
    c_.architecture == Architecture::kStandard ? dense_step() : sparse_step();
    return {.dictionary = {shards_.traffic(), shards_.calls()},
            .data = {replicas_.traffic(), replicas_.calls()},
            .world = {world_.traffic(), world_.calls()}};
  }

 private:
  [[nodiscard]] Share slice_of(int shard) const {
    return latent_slice(c_.latents, shards_.size(), shard, config_.virtual_shards);
  }
  [[nodiscard]] bool ordered() const { return config_.virtual_shards > 0; }

  void read_batch() {
    std::vector<int64_t> counts;
    for (int s = 0; s < shards_.size(); ++s)
      counts.push_back(share_of(rows_, shards_.size(), s).count * d_model_);
    shards_.all_gather_uneven(nullptr, nullptr, counts, Dtype::kF32, stream_);
  }

  void sparse_step() {
    encode();
    if (replicas_.size() > 1) replicas_.all_reduce(nullptr, local_, Dtype::kI32, ReduceOp::kMax, stream_);
    shards_.all_reduce(nullptr, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    decode(rows_);
    sum_rows();
    if (exchange_.codes_travel()) {
      gather_rows();
      gather_rows();
    }
    const int64_t auxiliary = std::min(auxiliary_k(c_, d_model_), kind_.dead_latents);
    if (auxiliary > 0) auxiliary_loss(auxiliary);
    if (kind_.evaluates_penalty && c_.orthogonality_coefficient > 0.0) penalty();
    gather_codes(c_.k);
    if (auxiliary > 0) gather_codes(auxiliary);
    decoder_bias_gradient();
    reduce_decoder_bias_gradient();
    update();
  }

  void encode() {
    c_.architecture == Architecture::kTopK ? select_rows(c_.k, kind_.second_round_rows) : select_of_batch();
    if (c_.threshold_rule != ThresholdRule::kEmaOfRowMeans || !kind_.updates_row_threshold) return;
    shards_.all_reduce(nullptr, rows_, Dtype::kF32, ReduceOp::kMin, stream_);
    sum_rows();
  }

  // One try of the prefilter, then BatchSelection::select().
  void select_of_batch() {
    world_.all_reduce(nullptr, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    world_.all_reduce(nullptr, 1, Dtype::kI64, ReduceOp::kMax, stream_);
    for (int round = 0; round < kSelectionRounds; ++round) {
      world_.all_reduce(nullptr, kSelectionBins, Dtype::kI64, ReduceOp::kSum, stream_);
    }
  }

  void select_rows(int64_t k, int64_t second_round_rows) {
    shards_.all_gather(nullptr, nullptr, rows_ * first_round_values(k, shards_.size()), Dtype::kF32, stream_);
    if (second_round_rows > 0) {
      shards_.all_gather(nullptr, nullptr, second_round_rows * k, Dtype::kF32, stream_);
    }
  }

  // ShardSum::decode().
  void decode(int64_t rows) {
    if (!ordered()) return shards_.all_reduce(nullptr, rows * d_model_, Dtype::kF32, ReduceOp::kSum, stream_);
    for (int64_t first = 0; first < rows; first += kOrderedRowBlock) {
      ordered_sum_of(std::min(kOrderedRowBlock, rows - first) * d_model_);
    }
  }

  // OrderedSum::all_reduce().
  void ordered_sum_of(int64_t elements) {
    if (shards_.size() == 1) return;
    const int64_t parts = config_.virtual_shards / shards_.size();
    for (int64_t first = 0; first < elements; first += kOrderedSumPiece) {
      std::vector<int64_t> send_counts, shares;
      for (int s = 0; s < shards_.size(); ++s) {
        shares.push_back(share_of(std::min(kOrderedSumPiece, elements - first), shards_.size(), s).count);
        send_counts.push_back(parts * shares.back());
      }
      shards_.all_to_all(nullptr, send_counts, nullptr, send_counts, Dtype::kF32, stream_);
      shards_.all_gather_uneven(nullptr, nullptr, shares, Dtype::kF32, stream_);
    }
  }

  // ShardSum::total().
  void total_of_shards() {
    if (!ordered()) return shards_.all_reduce(nullptr, 1, Dtype::kF64, ReduceOp::kSum, stream_);
    shards_.all_gather(nullptr, nullptr, config_.virtual_shards / shards_.size(), Dtype::kF64, stream_);
  }

  [[nodiscard]] std::vector<int64_t> replica_counts(int64_t width) const {
    std::vector<int64_t> counts;
    for (int q = 0; q < replicas_.size(); ++q) {
      counts.push_back(share_of(config_.batch_tokens, replicas_.size(), q).count * width);
    }
    return counts;
  }
  // BatchSums::total().
  void sum_rows() { replicas_.all_gather_uneven(nullptr, nullptr, replica_counts(1), Dtype::kF64, stream_); }
  void gather_rows() {
    replicas_.all_gather_uneven(nullptr, nullptr, replica_counts(d_model_), Dtype::kF32, stream_);
  }
  // ReplicaExchange::gather_codes() of `k` codes a row over all shards.
  void gather_codes(int64_t k) {
    if (!exchange_.codes_travel()) return;
    std::vector<int64_t> entries = replica_counts(k);
    for (int64_t& count : entries) count /= shards_.size();
    replicas_.all_gather_uneven(nullptr, nullptr, replica_counts(1), Dtype::kI64, stream_);
    for (int i = 0; i < 3; ++i) {  // latents, values, their gradients
      replicas_.all_gather_uneven(nullptr, nullptr, entries, Dtype::kF32, stream_);
    }
  }

  void auxiliary_loss(int64_t k) {
    shards_.all_gather(nullptr, nullptr, 1, Dtype::kI64, stream_);
    select_rows(k, 0);
    decode(rows_);
    if (c_.auxk_normalized) {
      if (!exchange_.codes_travel()) {
        replicas_.all_reduce(nullptr, d_model_, Dtype::kF64, ReduceOp::kSum, stream_);
      }
      sum_rows();
    }
    sum_rows();
    if (exchange_.codes_travel()) gather_rows();
  }

  void penalty() {
    std::vector<int32_t> order(static_cast<size_t>(c_.latents));
    std::iota(order.begin(), order.end(), 0);
    const LatentPartition partition(std::move(order), c_.orthogonality_chunk);
    if (shards_.size() > 1) gather_bands(partition);
    if (world_.size() > 1) world_.all_reduce(nullptr, c_.latents, Dtype::kI64, ReduceOp::kMax, stream_);
    if (shards_.size() > 1) gather_partners(partition);
  }

  // A shard holds its share of the rows that a peer's band asks for.
  void gather_bands(const LatentPartition& partition) {
    const double held = static_cast<double>(local_) / static_cast<double>(c_.latents);
    const int group_start = world_.rank() - shards_.rank();
    size_t rounds = 0;
    std::vector<std::vector<int64_t>> asked(static_cast<size_t>(shards_.size()));
    std::vector<OrthogonalityPenalty::Band> bands;
    for (int r = 0; r < world_.size(); ++r) {
      OrthogonalityPenalty::find_bands(partition, world_.size(), r, bands);
      rounds = std::max(rounds, bands.size());
      const int peer = r - group_start;
      if (peer < 0 || peer >= shards_.size()) continue;
      for (const auto& band : bands) {
        asked[static_cast<size_t>(peer)].push_back(partition.place(band.chunk).count - band.rows.first);
      }
    }
    for (size_t round = 0; round < rounds; ++round) {
      std::vector<int64_t> send_counts;
      for (const std::vector<int64_t>& rows : asked) {
        const double sent = round < rows.size() ? held * static_cast<double>(rows[round]) : 0.0;
        send_counts.push_back(std::llround(sent) * d_model_);
      }
      shards_.all_to_all(nullptr, send_counts, nullptr, send_counts, Dtype::kF32, stream_);
    }
  }

  // A row goes to a peer that holds its nearest neighbour or one of those whose nearest neighbour it is.
  void gather_partners(const LatentPartition& partition) {
    const double share = 1.0 / shards_.size();
    const double sent_share = 1.0 - (1.0 - share) * std::exp(-share);
    for (int64_t chunk = 0; chunk < partition.chunks(); ++chunk) {
      const double own = share * static_cast<double>(partition.place(chunk).count);
      const std::vector<int64_t> send_counts(static_cast<size_t>(shards_.size()),
                                             std::llround(own * sent_share) * d_model_);
      shards_.all_to_all(nullptr, send_counts, nullptr, send_counts, Dtype::kF32, stream_);
    }
  }

  void decoder_bias_gradient() {
    if (!c_.subtract_decoder_bias) return;
    ordered() ? ordered_sum_of(d_model_)
              : shards_.all_reduce(nullptr, d_model_, Dtype::kF32, ReduceOp::kSum, stream_);
  }

  void reduce_decoder_bias_gradient() {
    if (exchange_.codes_travel() || replicas_.size() == 1) return;
    replicas_.all_reduce(nullptr, d_model_, Dtype::kF32, ReduceOp::kSum, stream_);
  }

  void update() {
    if (config_.data_parallel == DataParallel::kGradients) return update_owned();
    if (c_.max_grad_norm > 0.0) total_of_shards();
  }

  // LatentOptimizer::update_accumulated() where each replica owns a part of the latents.
  void update_owned() {
    if (replicas_.size() == 1) {
      if (c_.max_grad_norm > 0.0) total_of_shards();
      return;
    }
    const int64_t padded = (local_ + replicas_.size() - 1) / replicas_.size();
    std::vector<int64_t> owned, elements;
    for (int q = 0; q < replicas_.size(); ++q) {
      const int64_t first = std::min(local_, q * padded);
      owned.push_back(std::min(padded, local_ - first));
      elements.push_back(owned.back() * d_model_);
    }
    for (int i = 0; i < 2; ++i) {  // encoder, decoder
      replicas_.reduce_scatter(nullptr, nullptr, padded * d_model_, Dtype::kF32, ReduceOp::kSum, stream_);
      replicas_.all_gather_uneven(nullptr, nullptr, elements, Dtype::kF32, stream_);
    }
    if (c_.encoder_bias) {
      replicas_.reduce_scatter(nullptr, nullptr, padded, Dtype::kF32, ReduceOp::kSum, stream_);
      replicas_.all_gather_uneven(nullptr, nullptr, owned, Dtype::kF32, stream_);
    }
    if (c_.max_grad_norm <= 0.0) return;
    total_of_shards();
    replicas_.all_reduce(nullptr, 1, Dtype::kF64, ReduceOp::kSum, stream_);
  }

  // Trainer::step_dense().
  void dense_step() {
    const int64_t block = dense_block_rows(c_.latents, rows_);
    for (int64_t first = 0; first < rows_; first += block) {
      decode(std::min(block, rows_ - first));
      decoder_bias_gradient();
    }
    world_.all_reduce(nullptr, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    total_of_shards();
    replicas_.all_reduce(nullptr, 1, Dtype::kF64, ReduceOp::kSum, stream_);
    sum_rows();
    if (replicas_.size() > 1) replicas_.all_reduce(nullptr, local_, Dtype::kI32, ReduceOp::kMax, stream_);
    shards_.all_reduce(nullptr, 1, Dtype::kI64, ReduceOp::kSum, stream_);
    const bool shrinks_rows = c_.l1_times_decoder_norm && c_.l1_coefficient > 0.0;
    if (replicas_.size() > 1 && (shrinks_rows || c_.orthogonality_coefficient > 0.0)) {
      replicas_.all_reduce(nullptr, local_ * d_model_, Dtype::kF32, ReduceOp::kSum, stream_);
    }
    reduce_decoder_bias_gradient();
    update_owned();
  }

  const TrainerConfig& config_;
  const Conventions& c_;
  StepKind kind_;
  int64_t d_model_;
  Stream stream_;
  PlannedCommunicator shards_;
  PlannedCommunicator replicas_;
  PlannedCommunicator world_;
  ReplicaExchange exchange_;
  int64_t rows_;   // of this replica
  int64_t local_;  // latents of this shard
};

}  // namespace

StepTraffic predict_step_traffic(const TrainerConfig& config, int64_t d_model, MeshShape mesh, int rank,
                                 const StepKind& kind) {
  return StepCalls(config, d_model, mesh, rank, kind).run();
}

}  // namespace orthant::sae
