#include "models/transformer/forward.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "kernels/dense/elementwise.h"
#include "kernels/transformer/chosen_rows.h"
#include "kernels/transformer/rms_norm.h"
#include "kernels/transformer/rope.h"
#include "kernels/transformer/swiglu.h"
#include "models/transformer/pass.h"
#include "models/transformer/projections.h"
#include "runtime/core/error.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

// The list where the kernels read it.
Vector<const int32_t> copied(std::span<const int32_t> list, Tensor<int32_t, 1>& into, Stream& stream) {
  const Vector<int32_t> view = into.view().rows(0, static_cast<int64_t>(list.size()));
  copy_in_order(view.data, list.data(), view.bytes(), stream);
  return view;
}

ProjectionInput normed_block(const Pass& pass, const Tensor<float, 1>& weight, const RowBlock& block) {
  return {.x = pass.residual().rows(block.first, block.rows),
          .producer = {.norm_weight = weight.view(), .norm_epsilon = pass.weights.config.rms_epsilon},
          .room = block.of(pass.state.normed)};
}

std::vector<kernels::AttentionSequence> attention_sequences(const Pass& pass, int64_t layer) {
  std::vector<kernels::AttentionSequence> sequences;
  for (int64_t s = 0; s < pass.args.batch.sequences(); ++s) {
    const int64_t first = pass.args.batch.offsets[static_cast<size_t>(s)];
    const int64_t rows = pass.args.batch.rows_of(s);
    sequences.push_back(pass.cache.sequence(pass.cache.layers() == 1 ? 0 : layer, s, first, rows));
  }
  return sequences;
}

// The parents' rows, to be kept once more before each child's own.
std::vector<kernels::AttentionSequence> inherited_rows(
    const TokenBatch& batch, std::span<const kernels::AttentionSequence> sequences) {
  std::vector<kernels::AttentionSequence> inherited;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    if (batch.parent_of(s) < 0) continue;
    inherited.push_back(sequences[static_cast<size_t>(s)]);
    const kernels::AttentionSequence& parent = sequences[static_cast<size_t>(batch.parent_of(s))];
    inherited.back().first_row = parent.first_row;
    inherited.back().rows = parent.rows;
    inherited.back().first_position = 0;
  }
  return inherited;
}

void count_attention_flops(const Pass& pass, std::span<const kernels::AttentionSequence> sequences) {
  const ModelConfig& config = pass.weights.config;
  int64_t pairs = 0;  // (query, visible key)
  for (const auto& s : sequences) pairs += s.rows * s.first_position + s.rows * (s.rows + 1) / 2;
  pass.state.flops += 4 * pairs * config.heads * config.head_dim;
}

// The rows of a half's input, normed as a whole and shown to who asked for them.
Matrix<float> norm_whole(const Pass& pass, int64_t layer, Projection first, const Tensor<float, 1>& weight) {
  const Matrix<float> normed = pass.args.pruning_state->normed.view().rows(0, pass.tokens());
  kernels::rms_norm(pass.residual(), weight.view(), pass.weights.config.rms_epsilon, normed, pass.stream);
  show_inputs(pass, layer, first, normed);
  return normed;
}

void rotate_block(const Pass& pass, const RowBlock& block) {
  RunState& state = pass.state;
  const Vector<const int32_t> at = pass.positions().rows(block.first, block.rows);
  for (Tensor<float, 2>* heads : {&state.query, &state.key}) {
    kernels::rotate_heads(heads->view().rows(block.first, block.rows), at, state.rope.cosines(),
                          state.rope.sines(), pass.stream);
  }
}

// Queries, keys and values of the normed residual stream, rotated.
void project_heads(const Pass& pass, int64_t layer, const BlockWeights& weights) {
  RunState& state = pass.state;
  const auto target = [&](Projection projection, const kernels::PackedWeights& packed, Tensor<float, 2>& out,
                          const Tensor<float, 1>& bias) {
    return Target{projection, packed, out.view().rows(0, pass.tokens()), &bias};
  };
  const Target targets[] = {target(Projection::kQuery, weights.query, state.query, weights.query_bias),
                            target(Projection::kKey, weights.key, state.key, weights.key_bias),
                            target(Projection::kValue, weights.value, state.value, weights.value_bias)};
  if (pass.needs_whole(layer, {Projection::kQuery, Projection::kKey, Projection::kValue})) {
    project_whole(pass, layer, norm_whole(pass, layer, Projection::kQuery, weights.attention_norm), targets);
    for_row_blocks(pass, [&](const RowBlock& block) { rotate_block(pass, block); });
  } else {
    for_row_blocks(pass, [&](const RowBlock& block) {
      project_block(pass, layer, block, normed_block(pass, weights.attention_norm, block), targets);
      rotate_block(pass, block);
    });
  }
  for (const Target& each : targets) count_product(pass, each.weights);
}

// delta = attention of the normed residual stream.
void attention_half(const Pass& pass, int64_t layer) {
  const BlockWeights& weights = pass.weights.blocks[static_cast<size_t>(layer)];
  RunState& state = pass.state;
  project_heads(pass, layer, weights);
  const auto sequences = attention_sequences(pass, layer);
  const kernels::AttentionShape shape = attention_shape(pass.weights.config);
  const Matrix<float> query = state.query.view().rows(0, pass.tokens());
  kernels::store_keys_values(shape, sequences, state.key.view(), state.value.view(), pass.stream);
  kernels::store_keys_values(shape, inherited_rows(pass.args.batch, sequences), state.key.view(),
                             state.value.view(), pass.stream);
  kernels::attention(shape, sequences, query, query, state.attention_scratch.view(), pass.stream);
  count_attention_flops(pass, sequences);
  const Target output{Projection::kOutput, weights.output, pass.delta()};
  if (pass.needs_whole(layer, {Projection::kOutput})) {
    show_inputs(pass, layer, Projection::kOutput, query);
    project_whole(pass, layer, query, {&output, 1});
  } else {
    for_row_blocks(pass, [&](const RowBlock& block) {
      project_block(pass, layer, block, {query.rows(block.first, block.rows)}, {&output, 1});
    });
  }
  count_product(pass, weights.output);
}

// delta = MLP of the normed residual stream, in buffers for all rows.
void mlp_whole(const Pass& pass, int64_t layer, const BlockWeights& weights) {
  PruningState& state = *pass.args.pruning_state;
  const Matrix<float> gate = state.gate.view().rows(0, pass.tokens()),
                      up = state.up.view().rows(0, pass.tokens());
  const Target gated[] = {{Projection::kGate, weights.gate, gate}, {Projection::kUp, weights.up, up}};
  project_whole(pass, layer, norm_whole(pass, layer, Projection::kGate, weights.mlp_norm), gated);
  kernels::swiglu(gate, up, gate, pass.stream);
  show_inputs(pass, layer, Projection::kDown, gate);
  const Target down{Projection::kDown, weights.down, pass.delta()};
  project_whole(pass, layer, gate, {&down, 1});
}

// The same block of rows by block of rows.
void mlp_blocks(const Pass& pass, int64_t layer, const BlockWeights& weights) {
  for_row_blocks(pass, [&](const RowBlock& block) {
    const Matrix<float> gate = block.of(pass.state.gate), up = block.of(pass.state.up);
    const Target gated[] = {{Projection::kGate, weights.gate, gate, nullptr, true},
                            {Projection::kUp, weights.up, up, nullptr, true}};
    project_block(pass, layer, block, normed_block(pass, weights.mlp_norm, block), gated);
    const Target down{Projection::kDown, weights.down, pass.delta()};
    project_block(pass, layer, block, {.x = gate, .producer = {.up = up}, .room = gate}, {&down, 1});
  });
}

// delta = MLP of the normed residual stream.
void mlp_half(const Pass& pass, int64_t layer) {
  const BlockWeights& weights = pass.weights.blocks[static_cast<size_t>(layer)];
  if (pass.needs_whole(layer, {Projection::kGate, Projection::kUp, Projection::kDown})) {
    mlp_whole(pass, layer, weights);
  } else {
    mlp_blocks(pass, layer, weights);
  }
  count_product(pass, weights.gate);
  count_product(pass, weights.up);
  count_product(pass, weights.down);
}

void visit(const Pass& pass, HookPoint hook, Matrix<float> values) {
  for (const EditAt& at : pass.args.edits) {
    if (at.hook != hook) continue;
    pass.stream.synchronize();
    at.edit->apply(values, pass.args.batch.token_ids, pass.state.positions, pass.state.sequences);
  }
  for (const Tap& tap : pass.args.taps) {
    if (tap.hook != hook) continue;
    require(tap.into.shape == values.shape, "a tap has one row a token");
    require(tap.into.device == values.device, "a tap is on the device of the weights");
    copy_in_order(tap.into.data, values.data, values.bytes(), pass.stream);
  }
}

void run_block(const Pass& pass, int64_t layer) {
  visit(pass, {layer, HookSite::kResidPre}, pass.residual());
  if (!pass.wants_after({layer, HookSite::kResidPre})) return;
  attention_half(pass, layer);
  visit(pass, {layer, HookSite::kAttnOut}, pass.delta());
  if (!pass.wants_after({layer, HookSite::kAttnOut})) return;
  kernels::add(kernels::flat(pass.delta()), kernels::flat(pass.residual()), pass.stream);
  visit(pass, {layer, HookSite::kResidMid}, pass.residual());
  if (!pass.wants_after({layer, HookSite::kResidMid})) return;
  mlp_half(pass, layer);
  visit(pass, {layer, HookSite::kMlpOut}, pass.delta());
  if (!pass.wants_after({layer, HookSite::kMlpOut})) return;
  kernels::add(kernels::flat(pass.delta()), kernels::flat(pass.residual()), pass.stream);
  visit(pass, {layer, HookSite::kResidPost}, pass.residual());
}

Matrix<const float> final_rows(const Pass& pass) {
  const std::span<const int64_t> wanted = pass.args.logit_rows;
  const auto count = static_cast<int64_t>(wanted.size());
  require(count <= pass.state.limits.tokens, "the logit rows fit the run state");
  for (const int64_t row : wanted)
    require(row >= 0 && row < pass.tokens(), "logit rows lie inside the batch");
  const Vector<const int32_t> rows =
      copied(std::vector<int32_t>(wanted.begin(), wanted.end()), pass.state.logit_rows_at, pass.stream);
  const Matrix<float> hidden = pass.state.delta.view().rows(0, count);
  kernels::gather_rows(pass.residual(), rows, hidden, pass.stream);
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

void check_parents(const ForwardArgs& args) {
  const TokenBatch& batch = args.batch;
  if (batch.parents.empty()) return;
  require(args.cache == nullptr, "parents go without a cache");
  require(static_cast<int64_t>(batch.parents.size()) == batch.sequences(), "every sequence tells its parent");
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t parent = batch.parent_of(s);
    require(parent < s && (parent < 0 || batch.parent_of(parent) < 0),
            "parents come before their children and have no parents");
  }
}

// Positions that come before the first row of a sequence.
int64_t rows_before(const ForwardArgs& args, int64_t sequence) {
  if (args.cache != nullptr) return args.cache->length(sequence);
  const int64_t parent = args.batch.parent_of(sequence);
  return parent < 0 ? 0 : args.batch.rows_of(parent);
}

// Positions and sequence numbers of the batch's tokens; gives the one-layer cache its slots.
void lay_out_batch(const ForwardArgs& args, RunState& state) {
  const TokenBatch& batch = args.batch;
  require(batch.tokens() <= state.limits.tokens, "the batch fits the run state");
  require(batch.sequences() <= state.limits.sequences || args.cache != nullptr,
          "the sequences fit the run state");
  check_parents(args);
  state.positions.clear();
  state.sequences.clear();
  std::vector<int64_t> lengths;
  for (int64_t s = 0; s < batch.sequences(); ++s) {
    const int64_t length = batch.rows_of(s);
    const int64_t begin = rows_before(args, s);
    require(begin + length <= state.limits.positions, "a sequence fits the run state");
    for (int64_t i = 0; i < length; ++i) {
      state.positions.push_back(static_cast<int32_t>(begin + i));
      state.sequences.push_back(static_cast<int32_t>(s));
    }
    lengths.push_back(begin + length);
  }
  require(static_cast<int64_t>(state.positions.size()) == batch.tokens(), "offsets cover the batch");
  if (args.cache != nullptr) return;
  state.one_layer.assign(lengths);
  for (int64_t s = 0; s < batch.sequences(); ++s) state.one_layer.advance(s, rows_before(args, s));
}

void advance_cache(const ForwardArgs& args) {
  for (int64_t s = 0; args.cache != nullptr && s < args.batch.sequences(); ++s) {
    args.cache->advance(s, args.batch.rows_of(s));
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
  const Vector<const int32_t> ids = copied(args.batch.token_ids, state.token_ids_at, stream);
  (void)copied(state.positions, state.positions_at, stream);
  if (args.residual.data == nullptr) {
    kernels::gather_rows(weights.embedding.view(), ids, pass.residual(), stream);
  } else {
    require(args.residual.shape == pass.residual().shape, "the residual rows are those of the batch");
    copy_in_order(pass.residual().data, args.residual.data, pass.residual().bytes(), stream);
  }
  begin_pruning(pass);
  for (int64_t layer = args.first_block; layer <= pass.last.layer; ++layer) run_block(pass, layer);
  advance_cache(args);
  if (args.logit_rows.empty()) return {};
  return final_rows(pass);
}

void project_logits(const Weights& weights, Matrix<const float> hidden, Matrix<float> logits, RunState& state,
                    Stream& stream) {
  require(weights.has_head(), "the head was loaded");
  kernels::matmul_nt(state.operands.of(hidden, stream), weights.head, logits, stream);
  state.flops += 2 * hidden.shape[0] * weights.head.columns() * weights.head.depth();
}

double forward_flops_per_token(const ModelConfig& config, int64_t blocks, int64_t positions) {
  const int64_t width = config.heads * config.head_dim;
  const int64_t kv_width = config.kv_heads * config.head_dim;
  const int64_t weights = config.d_model * (2 * width + 2 * kv_width + 3 * config.d_mlp);
  const double pairs = static_cast<double>(positions + 1) / 2.0;  // of a token, the mean over the sequence
  return static_cast<double>(blocks) *
         (2.0 * static_cast<double>(weights) + 4.0 * pairs * static_cast<double>(width));
}

}  // namespace orthant::models
