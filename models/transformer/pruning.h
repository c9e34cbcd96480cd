// Pruning of the inputs of a model's projections during a forward pass, and what mends their outputs.
//
// y = mended(pruned(x) W^T) + bias for each projection that is pruned; the others are as ever. All is on the
// device of the weights. A ModelPruning is immutable while forwards use it and may serve several; a
// PruningState serves one forward at a time.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "kernels/dense/gemm.h"
#include "kernels/pruning/mend_products.h"
#include "kernels/pruning/prune_rows.h"
#include "models/formats/model_file.h"

namespace orthant::models {

struct BlockWeights;
struct RunLimits;

// In the order in which a block reaches them.
enum class Projection { kQuery, kKey, kValue, kOutput, kGate, kUp, kDown };
inline constexpr int kProjections = 7;

// "q", "k", "v", "o", "gate", "up", "down".
[[nodiscard]] std::string_view name_of(Projection projection);
// Its tensor in a model file.
[[nodiscard]] std::string weight_name(int64_t layer, Projection projection);
struct ProjectionShape {
  int64_t outputs;
  int64_t inputs;
};
[[nodiscard]] ProjectionShape shape_of(const ModelConfig& config, Projection projection);
// The first projection that reads the same input.
[[nodiscard]] Projection input_of(Projection projection);
[[nodiscard]] const kernels::PackedWeights& weights_of(const BlockWeights& block, Projection projection);
[[nodiscard]] kernels::PackedWeights& weights_of(BlockWeights& block, Projection projection);

// What the score |x| is multiplied with.
enum class InputGain {
  kOne,          // magnitude
  kFixed,        // `gains`: Amber, weight variance
  kColumnNorms,  // norms of the columns over the tokens of a sequence: CLACT
  kColumnPeaks,  // PCS; `gains` are the largest |weight| of each column
};

// Which entries of a projection's input survive. Projections that read the same input share one selection
// where nothing in it is of their own weights: their input is pruned once.
struct InputSelection {
  kernels::PrunePattern pattern;
  // Above 0: this share of all the entries of a sequence survives, in place of the pattern.
  double sequence_share = 0.0;
  bool by_row_norm = false;  // of sequence_share (CLACT)
  InputGain gain = InputGain::kOne;
  Tensor<float, 1> gains;  // [inputs], or empty
  kernels::RowCenter center = kernels::RowCenter::kNone;
  Tensor<float, 1> given_center;  // [inputs], or empty
  bool restores_variance = false;
  // Whether a row's mask depends on other rows, and so on what is computed together.
  [[nodiscard]] bool looks_across_rows() const {
    return sequence_share > 0.0 || gain == InputGain::kColumnNorms || gain == InputGain::kColumnPeaks;
  }
};

// What is done to the outputs (kernels/pruning/mend_products.h), and the low-rank product of what was pruned:
// y += (x - pruned(x)) (A B)^T, without a centre.
struct OutputMending {
  Tensor<float, 1> weight_sums;         // [outputs], or empty
  Tensor<float, 1> column_factors;      // [outputs], or empty
  Tensor<float, 1> column_offsets;      // [outputs], or empty
  kernels::PackedWeights low_rank_in;   // B [rank, inputs], or empty
  kernels::PackedWeights low_rank_out;  // A [outputs, rank], or empty
  [[nodiscard]] bool has_low_rank() const { return low_rank_in.columns() > 0; }
};

struct PrunedProjection {
  std::shared_ptr<const InputSelection> selection;  // null: the projection is not pruned
  OutputMending mending;
};

// A copy of `values` on the device of the memory, for the vectors above.
[[nodiscard]] Tensor<float, 1> uploaded(std::span<const float> values, Memory& memory, Stream& stream);

// Over which rows the statistics of kColumnNorms, kColumnPeaks and sequence_share run.
enum class StatisticScope {
  kSequence,  // each sequence by itself
  kCall,      // all rows of a forward: the batch of the reference program
};

struct ModelPruning {
  std::vector<std::array<PrunedProjection, kProjections>> blocks;  // as many as the model has
  StatisticScope scope = StatisticScope::kSequence;
  [[nodiscard]] bool looks_across_rows() const;
  [[nodiscard]] int64_t rank() const;  // the largest of the low-rank products
};

// Sees the input of projections before it is pruned: `x` [tokens, inputs] of all rows of the batch. Called
// once for those that share it: for kQuery, kOutput, kGate and kDown.
using ProjectionInputs = std::function<void(int64_t layer, Projection projection, Matrix<const float> x)>;

// The buffers of pruned forwards within `limits`, on the device of the memory.
struct PruningState {
  // `whole`: also those for selections that look across rows and for taps on inputs; `rank`: of the low-rank
  // products.
  PruningState(Memory& memory, const ModelConfig& config, const RunLimits& limits, bool whole,
               int64_t rank = 0);
  // As `pruning` needs them.
  PruningState(Memory& memory, const ModelConfig& config, const RunLimits& limits,
               const ModelPruning& pruning);

  bool has_whole = false;
  // Of the rows that the threads have at a time:
  Tensor<float, 2> kept;     // [threads * block rows, widest input]
  Tensor<float, 2> rest;     // [threads * block rows, widest input], with a rank
  Tensor<float, 2> narrow;   // [threads * block rows, rank]
  Tensor<float, 2> widened;  // [threads * block rows, widest output], with a rank
  Tensor<float, 1> centers;  // [limits.tokens]
  Tensor<float, 1> factors;  // [limits.tokens]
  // Of whole batches:
  Tensor<float, 2> normed;       // [limits.tokens, d_model]
  Tensor<float, 2> gate;         // [limits.tokens, d_mlp]
  Tensor<float, 2> up;           // [limits.tokens, d_mlp]
  Tensor<float, 2> kept_whole;   // [limits.tokens, widest input]
  Tensor<float, 2> scores;       // [limits.tokens, widest input]
  Tensor<float, 2> gains;        // [limits.sequences, widest input]
  Tensor<int32_t, 1> gain_sets;  // [limits.tokens]
  Tensor<int64_t, 1> offsets;    // [limits.sequences + 1]
  Tensor<int64_t, 1> keep;       // [limits.sequences]
};

}  // namespace orthant::models
