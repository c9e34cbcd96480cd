#include "models/transformer/run_state.h"

#include <omp.h>

#include <algorithm>

namespace orthant::models {
int64_t widest_row(const ModelConfig& config) {
  return std::max({config.d_model, config.heads * config.head_dim, config.d_mlp});
}

RowBlocks::RowBlocks(Device device, int64_t tokens) {
  constexpr int64_t kCpuRows = 128;
  const bool is_cpu = device.kind == DeviceKind::kCpu;
  threads = is_cpu ? omp_get_max_threads() : 1;
  rows = is_cpu ? kCpuRows : tokens;
}

RunState::RunState(Memory& memory, const Weights& weights, RunLimits run_limits)
    : RunState(memory, weights.config, weights.precision, run_limits) {}

RunState::RunState(Memory& memory, const ModelConfig& config, kernels::Precision precision,
                   RunLimits run_limits)
    : limits(run_limits),
      rope(memory, config, limits.positions),
      token_ids_at(memory, "run state", {limits.tokens}),
      positions_at(memory, "run state", {limits.tokens}),
      logit_rows_at(memory, "run state", {limits.tokens}),
      residual(memory, "run state", {limits.tokens, config.d_model}),
      delta(memory, "run state", {limits.tokens, config.d_model}),
      query(memory, "run state", {limits.tokens, config.heads * config.head_dim}),
      key(memory, "run state", {limits.tokens, config.kv_heads * config.head_dim}),
      value(memory, "run state", {limits.tokens, config.kv_heads * config.head_dim}),
      blocks(memory.device(), limits.tokens),
      normed(memory, "run state", {blocks.threads * blocks.rows, config.d_model}),
      gate(memory, "run state", {blocks.threads * blocks.rows, config.d_mlp}),
      up(memory, "run state", {blocks.threads * blocks.rows, config.d_mlp}),
      operands(memory, "run state", limits.tokens * widest_row(config), precision),
      attention_scratch(memory, "run state",
                        {blocks.threads * kernels::attention_workspace_floats(attention_shape(config))}),
      one_layer(memory, config, 1, std::max(limits.tokens, limits.kept), limits.sequences) {}

}  // namespace orthant::models
