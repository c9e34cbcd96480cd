#include "models/transformer/pruning.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "models/transformer/run_state.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

constexpr std::array<std::string_view, kProjections> kNames = {"q", "k", "v", "o", "gate", "up", "down"};

}  // namespace

std::string_view name_of(Projection projection) {
  return kNames[static_cast<size_t>(projection)];
}

std::string weight_name(int64_t layer, Projection projection) {
  const bool is_attention = projection <= Projection::kOutput;
  return fmt::format("model.layers.{}.{}.{}_proj.weight", layer, is_attention ? "self_attn" : "mlp",
                     name_of(projection));
}

ProjectionShape shape_of(const ModelConfig& config, Projection projection) {
  const int64_t width = config.heads * config.head_dim, kv_width = config.kv_heads * config.head_dim;
  switch (projection) {
    case Projection::kQuery:
      return {width, config.d_model};
    case Projection::kKey:
    case Projection::kValue:
      return {kv_width, config.d_model};
    case Projection::kOutput:
      return {config.d_model, width};
    case Projection::kGate:
    case Projection::kUp:
      return {config.d_mlp, config.d_model};
    case Projection::kDown:
      return {config.d_model, config.d_mlp};
  }
  return {};
}

Projection input_of(Projection projection) {
  if (projection == Projection::kKey || projection == Projection::kValue) return Projection::kQuery;
  return projection == Projection::kUp ? Projection::kGate : projection;
}

const kernels::PackedWeights& weights_of(const BlockWeights& block, Projection projection) {
  switch (projection) {
    case Projection::kQuery:
      return block.query;
    case Projection::kKey:
      return block.key;
    case Projection::kValue:
      return block.value;
    case Projection::kOutput:
      return block.output;
    case Projection::kGate:
      return block.gate;
    case Projection::kUp:
      return block.up;
    case Projection::kDown:
      break;
  }
  return block.down;
}

kernels::PackedWeights& weights_of(BlockWeights& block, Projection projection) {
  return const_cast<kernels::PackedWeights&>(weights_of(std::as_const(block), projection));
}

Tensor<float, 1> uploaded(std::span<const float> values, Memory& memory, Stream& stream) {
  if (values.empty()) return {};
  Tensor<float, 1> tensor(memory, "pruning", {static_cast<int64_t>(values.size())});
  copy_in_order(tensor.data(), values.data(), tensor.view().bytes(), stream);
  return tensor;
}

bool ModelPruning::looks_across_rows() const {
  return std::any_of(blocks.begin(), blocks.end(), [](const auto& block) {
    return std::any_of(block.begin(), block.end(), [](const PrunedProjection& projection) {
      return projection.selection != nullptr && projection.selection->looks_across_rows();
    });
  });
}

int64_t ModelPruning::rank() const {
  int64_t rank = 0;
  for (const auto& block : blocks) {
    for (const PrunedProjection& projection : block)
      rank = std::max(rank, projection.mending.low_rank_in.columns());
  }
  return rank;
}

PruningState::PruningState(Memory& memory, const ModelConfig& config, const RunLimits& limits, bool whole,
                           int64_t rank)
    : has_whole(whole) {
  const RowBlocks blocks(memory.device(), limits.tokens);
  const int64_t block_rows = blocks.threads * blocks.rows, widest = widest_row(config);
  const auto matrix = [&](int64_t rows, int64_t columns) {
    return Tensor<float, 2>(memory, "pruning", {rows, columns});
  };
  kept = matrix(block_rows, widest);
  if (rank > 0) {
    rest = matrix(block_rows, widest);
    narrow = matrix(block_rows, rank);
    widened = matrix(block_rows, widest);
  }
  centers = {memory, "pruning", {limits.tokens}};
  factors = {memory, "pruning", {limits.tokens}};
  if (!whole) return;
  normed = matrix(limits.tokens, config.d_model);
  gate = matrix(limits.tokens, config.d_mlp);
  up = matrix(limits.tokens, config.d_mlp);
  kept_whole = matrix(limits.tokens, widest);
  scores = matrix(limits.tokens, widest);
  gains = matrix(limits.sequences, widest);
  gain_sets = {memory, "pruning", {limits.tokens}};
  offsets = {memory, "pruning", {limits.sequences + 1}};
  keep = {memory, "pruning", {limits.sequences}};
}

PruningState::PruningState(Memory& memory, const ModelConfig& config, const RunLimits& limits,
                           const ModelPruning& pruning)
    : PruningState(memory, config, limits, pruning.looks_across_rows(), pruning.rank()) {}

}  // namespace orthant::models
