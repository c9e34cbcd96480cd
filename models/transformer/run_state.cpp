#include "models/transformer/run_state.h"

#include <omp.h>

namespace orthant::models {

RunState::RunState(Memory& memory, const ModelConfig& config, RunLimits run_limits)
    : limits(run_limits),
      rope(memory, config, limits.positions),
      residual(memory, "run state", {limits.tokens, config.d_model}),
      delta(memory, "run state", {limits.tokens, config.d_model}),
      query(memory, "run state", {limits.tokens, config.heads * config.head_dim}),
      key(memory, "run state", {limits.tokens, config.kv_heads * config.head_dim}),
      value(memory, "run state", {limits.tokens, config.kv_heads * config.head_dim}),
      threads(omp_get_max_threads()),
      normed(memory, "run state", {threads * kRowBlock, config.d_model}),
      gate(memory, "run state", {threads * kRowBlock, config.d_mlp}),
      up(memory, "run state", {threads * kRowBlock, config.d_mlp}),
      attention_scratch(memory, "run state",
                        {threads * kernels::attention_workspace_floats(attention_shape(config))}),
      one_layer(memory, config, 1, limits.tokens, limits.sequences) {}

}  // namespace orthant::models
