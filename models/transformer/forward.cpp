#include "models/transformer/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kernels/embedding.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "kernels/swiglu.h"
#include "kernels/vector.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

void add_rows(Matrix<const float> from, Matrix<float> into) {
#pragma omp parallel for schedule(static) if (into.elements() > 65536)
  for (int64_t row = 0; row < into.shape[0]; ++row) {
    kernels::vector_ops().add(from.row(row), into.row(row), into.shape[1]);
  }
}

void add_bias(const Tensor<float, 1>& bias, Matrix<float> rows) {
  if (bias.shape()[0] == 0) return;
#pragma omp parallel for schedule(static) if (rows.elements() > 65536)
  for (int64_t row = 0; row < rows.shape[0]; ++row) {
    kernels::vector_ops().add(bias.data(), rows.row(row), rows.shape[1]);
  }
}

// One forward in progress.
struct Pass {
  const Weights& weights;
  const ForwardArgs& args;
  RunState& state;
  Stream& stream;
  KvCache& cache;
  HookPoint last;  // nothing after this hook is wanted

  [[nodiscard]] int64_t tokens() const { return args.batch.tokens(); }
  [[nodiscard]] Matrix<float> residual() const { return state.residual.view().rows(0, tokens()); }
  [[nodiscard]] Matrix<float> delta() const { return state.delta.view().rows(0, tokens()); }
  [[nodiscard]] bool wants_after(HookPoint hook) const { return hook < last; }
};

void project(const Pass& pass, Matrix<const float> x, const kernels::PackedWeights& weights,
             Matrix<float> out) {
  kernels::matmul_nt(x, weights, out, pass.stream);
  pass.state.flops += 2 * x.shape[0] * weights.columns() * weights.depth();
}

// Calls work(first, rows) for blocks of rows of the batch.
template <typename Work>
void for_row_blocks(const Pass& pass, Work work) {
  for (int64_t first = 0; first < pass.tokens(); first += RunState::kRowBlock) {
    work(first, std::min(RunState::kRowBlock, pass.tokens() - first));
  }
}

Matrix<float> norm_block(const Pass& pass, const Tensor<float, 1>& weight, int64_t first, int64_t rows) {
  const Matrix<float> normed = pass.state.normed.view().rows(0, rows);
  kernels::rms_norm(pass.residual().rows(first, rows), weight.view(), pass.weights.config.rms_epsilon, normed,
                    pass.stream);
  return normed;
}

std::vector<kernels::AttentionSequence> attention_sequences(const Pass& pass, int64_t layer) {
  std::vector<kernels::AttentionSequence> sequences;
  for (int64_t s = 0; s < pass.args.batch.sequences(); ++s) {
    const int64_t first = pass.args.batch.offsets[static_cast<size_t>(s)];
    const int64_t rows = pass.args.batch.offsets[static_cast<size_t>(s) + 1] - first;
    sequences.push_back(pass.cache.sequence(pass.cache.layers() == 1 ? 0 : layer, s, first, rows));
  }
  return sequences;
}

void count_attention_flops(const Pass& pass, std::span<const kernels::AttentionSequence> sequences) {
  const ModelConfig& config = pass.weights.config;
  int64_t pairs = 0;  // (query, visible key)
  for (const auto& s : sequences) pairs += s.rows * s.first_position + s.rows * (s.rows + 1) / 2;
  pass.state.flops += 4 * pairs * config.heads * config.head_dim;
}

// delta = attention of the normed residual stream.
void attention_half(const Pass& pass, int64_t layer) {
  const BlockWeights& block = pass.weights.blocks[static_cast<size_t>(layer)];
  RunState& state = pass.state;
  const Vector<const int32_t> positions{state.positions.data(), {pass.tokens()}};
  for_row_blocks(pass, [&](int64_t first, int64_t rows) {
    const Matrix<float> normed = norm_block(pass, block.attention_norm, first, rows);
    const Matrix<float> query = state.query.view().rows(first, rows);
    const Matrix<float> key = state.key.view().rows(first, rows);
    const Matrix<float> value = state.value.view().rows(first, rows);
    project(pass, normed, block.query, query);
    project(pass, normed, block.key, key);
    project(pass, normed, block.value, value);
    add_bias(block.query_bias, query);
    add_bias(block.key_bias, key);
    add_bias(block.value_bias, value);
    const Vector<const int32_t> at = positions.rows(first, rows);
    kernels::rotate_heads(query, at, state.rope.cosines(), state.rope.sines(), pass.stream);
    kernels::rotate_heads(key, at, state.rope.cosines(), state.rope.sines(), pass.stream);
  });
  const auto sequences = attention_sequences(pass, layer);
  const kernels::AttentionShape shape = attention_shape(pass.weights.config);
  const Matrix<float> query = state.query.view().rows(0, pass.tokens());
  kernels::store_keys_values(shape, sequences, state.key.view(), state.value.view(), pass.stream);
  kernels::attention(shape, sequences, query, query, state.attention_scratch.view(), pass.stream);
  count_attention_flops(pass, sequences);
  for_row_blocks(pass, [&](int64_t first, int64_t rows) {
    project(pass, query.rows(first, rows), block.output, pass.delta().rows(first, rows));
  });
}

// delta = MLP of the normed residual stream.
void mlp_half(const Pass& pass, int64_t layer) {
  const BlockWeights& block = pass.weights.blocks[static_cast<size_t>(layer)];
  for_row_blocks(pass, [&](int64_t first, int64_t rows) {
    const Matrix<float> normed = norm_block(pass, block.mlp_norm, first, rows);
    const Matrix<float> gate = pass.state.gate.view().rows(0, rows);
    const Matrix<float> up = pass.state.up.view().rows(0, rows);
    project(pass, normed, block.gate, gate);
    project(pass, normed, block.up, up);
    kernels::swiglu(gate, up, gate, pass.stream);
    project(pass, gate, block.down, pass.delta().rows(first, rows));
  });
}

void visit(const Pass& pass, HookPoint hook, Matrix<float> values) {
  for (const EditAt& at : pass.args.edits) {
    if (at.hook != hook) continue;
    at.edit->apply(values, pass.args.batch.token_ids, pass.state.positions, pass.state.sequences);
  }
  for (const Tap& tap : pass.args.taps) {
    if (tap.hook != hook) continue;
    require(tap.into.shape == values.shape, "a tap has one row a token");
    std::copy_n(values.data, values.elements(), tap.into.data);
  }
}

void run_block(const Pass& pass, int64_t layer) {
  visit(pass, {layer, HookSite::kResidPre}, pass.residual());
  if (!pass.wants_after({layer, HookSite::kResidPre})) return;
  attention_half(pass, layer);
  visit(pass, {layer, HookSite::kAttnOut}, pass.delta());
  if (!pass.wants_after({layer, HookSite::kAttnOut})) return;
  add_rows(pass.delta(), pass.residual());
  visit(pass, {layer, HookSite::kResidMid}, pass.residual());
  if (!pass.wants_after({layer, HookSite::kResidMid})) return;
  mlp_half(pass, layer);
  visit(pass, {layer, HookSite::kMlpOut}, pass.delta());
  if (!pass.wants_after({layer, HookSite::kMlpOut})) return;
  add_rows(pass.delta(), pass.residual());
  visit(pass, {layer, HookSite::kResidPost}, pass.residual());
}

Matrix<const float> final_rows(const Pass& pass) {
  const auto count = static_cast<int64_t>(pass.args.logit_rows.size());
  const Matrix<float> hidden = pass.state.delta.view().rows(0, count);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t row = pass.args.logit_rows[static_cast<size_t>(i)];
    require(row >= 0 && row < pass.tokens(), "logit rows lie inside the batch");
    std::copy_n(pass.residual().row(row), hidden.shape[1], hidden.row(i));
  }
  kernels::rms_norm(hidden, pass.weights.final_norm.view(), pass.weights.config.rms_epsilon, hidden,
                    pass.stream);
  return hidden;
}

HookPoint last_wanted(const Weights& weights, const ForwardArgs& args) {
  if (!args.logit_rows.empty() || args.cache != nullptr) {
    return {weights.config.layers - 1, HookSite::kResidPost};
  }
  HookPoint last{0, HookSite::kResidPre};
  for (const Tap& tap : args.taps) last = std::max(last, tap.hook);
  return last;
}

void check_tokens(const Weights& weights, const TokenBatch& batch) {
  for (const int32_t token : batch.token_ids) {
    if (token >= 0 && token < weights.config.vocabulary) continue;
    throw Error(ExitCode::kData, {.problem = fmt::format("token id {} is outside the vocabulary", token),
                                  .why = fmt::format("the model has {} tokens", weights.config.vocabulary),
                                  .suggestion = "use the tokenizer that belongs to the model"});
  }
}

// Positions and sequence numbers of the batch's tokens; gives the one-layer cache its slots.
void lay_out_batch(const ForwardArgs& args, RunState& state) {
  const TokenBatch& batch = args.batch;
  require(batch.tokens() <= state.limits.tokens, "the batch fits the run state");
  require(batch.sequences() <= state.limits.sequences || args.cache != nullptr,
          "the sequences fit the run state");
  state.positions.clear();
  state.sequences.clear();
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t length = batch.offsets[static_cast<size_t>(s) + 1] - batch.offsets[static_cast<size_t>(s)];
    const int64_t begin = args.cache == nullptr ? 0 : args.cache->length(s);
    require(begin + length <= state.limits.positions, "a sequence fits the run state");
    for (int64_t i = 0; i < length; ++i) {
      state.positions.push_back(static_cast<int32_t>(begin + i));
      state.sequences.push_back(static_cast<int32_t>(s));
    }
    lengths.push_back(length);
  }
  require(static_cast<int64_t>(state.positions.size()) == batch.tokens(), "offsets cover the batch");
  if (args.cache == nullptr) state.one_layer.assign(lengths);
}

void advance_cache(const ForwardArgs& args) {
  for (int64_t s = 0; args.cache != nullptr && s < args.batch.sequences(); ++s) {
    const auto slot = static_cast<size_t>(s);
    args.cache->advance(s, args.batch.offsets[slot + 1] - args.batch.offsets[slot]);
  }
}

}  // namespace

Matrix<const float> forward(const Weights& weights, const ForwardArgs& args, RunState& state,
                            Stream& stream) {
  require(args.cache == nullptr || args.cache->layers() == weights.config.layers, "a cache holds all layers");
  check_tokens(weights, args.batch);
  lay_out_batch(args, state);
  KvCache& cache = args.cache == nullptr ? state.one_layer : *args.cache;
  const Pass pass{weights, args, state, stream, cache, last_wanted(weights, args)};
  require(pass.last.layer < static_cast<int64_t>(weights.blocks.size()) ||
              pass.last == HookPoint{0, HookSite::kResidPre},
          "the blocks that are wanted were loaded");
  const Vector<const int32_t> ids{args.batch.token_ids.data(), {pass.tokens()}};
  kernels::embed(weights.embedding.view(), ids, pass.residual(), stream);
  for (int64_t layer = 0; layer <= pass.last.layer; ++layer) run_block(pass, layer);
  advance_cache(args);
  if (args.logit_rows.empty()) return {};
  return final_rows(pass);
}

void project_logits(const Weights& weights, Matrix<const float> hidden, Matrix<float> logits, RunState& state,
                    Stream& stream) {
  require(weights.has_head(), "the head was loaded");
  kernels::matmul_nt(hidden, weights.head, logits, stream);
  state.flops += 2 * hidden.shape[0] * weights.head.columns() * weights.head.depth();
}

}  // namespace orthant::models
