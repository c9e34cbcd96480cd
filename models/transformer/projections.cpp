#include "models/transformer/projections.h"

#include <algorithm>
#include <vector>

#include "kernels/dense/elementwise.h"
#include "kernels/pruning/column_norms.h"
#include "kernels/pruning/prune_sequences.h"
#include "kernels/pruning/variance_factors.h"
#include "models/transformer/row_projections.h"
#include "runtime/device/pinned_buffer.h"

namespace orthant::models {
namespace {

void add_bias(const Pass& pass, const Target& target, Matrix<float> out) {
  if (target.bias != nullptr && target.bias->shape()[0] > 0)
    kernels::add_row(out, target.bias->view(), out, pass.stream);
}

Matrix<float> rows_of(const Target& target, const RowBlock& block) {
  return target.is_of_block ? target.out : target.out.rows(block.first, block.rows);
}

Matrix<float> part(Tensor<float, 2>& buffer, int64_t rows, int64_t columns) {
  Matrix<float> view = buffer.view();
  view.shape = {rows, columns};
  return view;
}

// The rows of a thread's block in a buffer of at least as many columns.
Matrix<float> block_part(Tensor<float, 2>& buffer, const RowBlock& block, int64_t columns) {
  Matrix<float> view = block.of(buffer);
  view.shape[1] = columns;
  return view;
}

template <typename T>
Vector<const T> view_of(const Tensor<T, 1>& tensor) {
  return tensor.view();
}

void project_dense(const Pass& pass, const RowBlock& block, Matrix<const float> x,
                   std::span<const Target> targets) {
  const auto operand = pass.state.operands.of(x, pass.stream);
  for (const Target& target : targets) {
    const Matrix<float> out = rows_of(target, block);
    kernels::matmul_nt(operand, target.weights, out, pass.stream);
    add_bias(pass, target, out);
  }
}

bool measures_center(const InputSelection& selection) {
  return selection.center == kernels::RowCenter::kMedian || selection.center == kernels::RowCenter::kMean;
}

// What prune_rows measures of the rows of a block.
struct BlockVectors {
  Vector<float> centers, factors;
};

BlockVectors vectors_of(const Pass& pass, const InputSelection& selection, const RowBlock& block) {
  const auto of = [&](Tensor<float, 1>& vector, bool wanted) {
    return wanted ? vector.view().rows(block.first, block.rows)
                  : Vector<float>{nullptr, {0}, vector.view().device};
  };
  PruningState& state = *pass.args.pruning_state;
  return {of(state.centers, measures_center(selection)), of(state.factors, selection.restores_variance)};
}

Matrix<const float> matrix_of(const Tensor<float, 1>& row) {
  return {row.data(), {row.shape()[0] > 0 ? 1 : 0, row.shape()[0]}, row.view().device};
}

// What survives of the rows of a block, where the selection finds it row by row.
Matrix<const float> pruned_block(const Pass& pass, const InputSelection& selection, const RowBlock& block,
                                 const ProjectionInput& input, bool wants_rest) {
  PruningState& state = *pass.args.pruning_state;
  const BlockVectors vectors = vectors_of(pass, selection, block);
  const int64_t width = input.x.shape[1];
  const Matrix<float> kept = block_part(state.kept, block, width);
  kernels::PruneRows rows{.x = input.x,
                          .pattern = selection.pattern,
                          .gains = matrix_of(selection.gains),
                          .center = selection.center,
                          .given_center = view_of(selection.given_center),
                          .producer = input.producer};
  if (selection.looks_across_rows()) {
    rows.gains = part(state.gains, pass.state.limits.sequences, width);
    rows.gain_sets = view_of(state.gain_sets).rows(block.first, block.rows);
  }
  kernels::PrunedRows into{.kept = kept, .centers = vectors.centers, .factors = vectors.factors};
  if (wants_rest) into.rest = block_part(state.rest, block, width);
  kernels::prune_rows(rows, into, pass.stream);
  return kept;
}

// y += rest (A B)^T.
void add_low_rank(const Pass& pass, const OutputMending& mending, const RowBlock& block, int64_t inputs,
                  Matrix<float> y) {
  PruningState& state = *pass.args.pruning_state;
  const Matrix<float> narrow = block_part(state.narrow, block, mending.low_rank_in.columns());
  const Matrix<float> widened = block_part(state.widened, block, y.shape[1]);
  kernels::matmul_nt(pass.state.operands.of(block_part(state.rest, block, inputs), pass.stream),
                     mending.low_rank_in, narrow, pass.stream);
  kernels::matmul_nt(pass.state.operands.of(narrow, pass.stream), mending.low_rank_out, widened, pass.stream);
  kernels::add(kernels::flat(Matrix<const float>(widened)), kernels::flat(y), pass.stream);
}

void mend(const Pass& pass, const PrunedProjection& projection, const RowBlock& block, int64_t inputs,
          Matrix<float> y) {
  const OutputMending& mending = projection.mending;
  const BlockVectors vectors = vectors_of(pass, *projection.selection, block);
  kernels::mend_products({.row_factors = vectors.factors,
                          .centers = vectors.centers,
                          .weight_sums = view_of(mending.weight_sums),
                          .column_factors = view_of(mending.column_factors),
                          .column_offsets = view_of(mending.column_offsets)},
                         y, pass.stream);
  if (mending.has_low_rank()) add_low_rank(pass, mending, block, inputs, y);
}

// Sequences of the statistics, where the kernels read them.
int64_t statistic_sets(const Pass& pass) {
  return pass.args.pruning->scope == StatisticScope::kCall ? 1 : pass.args.batch.sequences();
}

void measure_gains(const Pass& pass, const InputSelection& selection, Matrix<const float> x) {
  PruningState& state = *pass.args.pruning_state;
  const Matrix<float> gains = part(state.gains, statistic_sets(pass), x.shape[1]);
  const Vector<const int64_t> offsets = view_of(state.offsets).rows(0, statistic_sets(pass) + 1);
  if (selection.gain == InputGain::kColumnNorms) {
    kernels::column_norms(x, offsets, gains, pass.stream);
  } else if (selection.gain == InputGain::kColumnPeaks) {
    kernels::column_peak_gains(x, offsets, view_of(selection.gains), gains, pass.stream);
  }
}

// Entries of each statistic set that survive: the share of all, rounded down (activation_sparsity 2).
void count_kept(const Pass& pass, const InputSelection& selection, int64_t width) {
  PruningState& state = *pass.args.pruning_state;
  std::vector<int64_t> keep;
  for (int64_t s = 0; s < statistic_sets(pass); ++s) {
    const int64_t rows = pass.args.pruning->scope == StatisticScope::kCall
                             ? pass.tokens()
                             : pass.args.batch.offsets[static_cast<size_t>(s) + 1] -
                                   pass.args.batch.offsets[static_cast<size_t>(s)];
    keep.push_back(static_cast<int64_t>(static_cast<double>(rows * width) * selection.sequence_share));
  }
  copy_in_order(state.keep.data(), keep.data(), static_cast<int64_t>(keep.size() * sizeof(int64_t)),
                pass.stream);
}

// What survives of all rows, where entries of a whole sequence compete.
Matrix<const float> pruned_sequences(const Pass& pass, const InputSelection& selection,
                                     Matrix<const float> x) {
  PruningState& state = *pass.args.pruning_state;
  const int64_t width = x.shape[1], sets = statistic_sets(pass);
  const Matrix<float> kept = part(state.kept_whole, pass.tokens(), width);
  const bool centres = selection.center != kernels::RowCenter::kNone;
  if (centres) {
    const BlockVectors vectors = vectors_of(pass, selection, {0, pass.tokens(), 0});
    kernels::prune_rows({.x = x,
                         .pattern = {width, 0},
                         .center = selection.center,
                         .given_center = view_of(selection.given_center)},
                        {.kept = kept, .centers = vectors.centers}, pass.stream);
  }
  count_kept(pass, selection, width);
  kernels::prune_sequences({.x = centres ? Matrix<const float>(kept) : x,
                            .offsets = view_of(state.offsets).rows(0, sets + 1),
                            .keep = view_of(state.keep).rows(0, sets),
                            .gains = selection.gain == InputGain::kFixed ? matrix_of(selection.gains)
                                     : selection.gain == InputGain::kOne ? Matrix<const float>{}
                                                                         : part(state.gains, sets, width),
                            .by_row_norm = selection.by_row_norm},
                           part(state.scores, pass.tokens(), width), kept, pass.stream);
  if (selection.restores_variance) {
    kernels::variance_factors(x, kept, vectors_of(pass, selection, {0, pass.tokens(), 0}).factors,
                              pass.stream);
  }
  return kept;
}

// What does not survive of the rows of a block, without a centre.
void subtract_kept(const Pass& pass, const RowBlock& block, Matrix<const float> x, Matrix<const float> kept) {
  const Matrix<float> rest = block_part(pass.args.pruning_state->rest, block, x.shape[1]);
  kernels::subtract(kernels::flat(x), kernels::flat(kept), kernels::flat(rest), pass.stream);
}

void project_pruned(const Pass& pass, const PrunedProjection& projection, const Target& target,
                    const RowBlock& block, Matrix<const float> kept) {
  const Matrix<float> out = rows_of(target, block);
  kernels::matmul_nt(pass.state.operands.of(kept, pass.stream), target.weights, out, pass.stream);
  mend(pass, projection, block, kept.shape[1], out);
  add_bias(pass, target, out);
}

// The one selection of all the targets; null where they differ, or where some are not pruned.
const InputSelection* shared_selection(const Pass& pass, int64_t layer, std::span<const Target> targets) {
  const InputSelection* const first = pass.pruned(layer, targets[0].projection).selection.get();
  const bool is_shared = std::all_of(targets.begin(), targets.end(), [&](const Target& target) {
    return pass.pruned(layer, target.projection).selection.get() == first;
  });
  return is_shared ? first : nullptr;
}

bool any_low_rank(const Pass& pass, int64_t layer, std::span<const Target> targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const Target& target) {
    return pass.pruned(layer, target.projection).mending.has_low_rank();
  });
}

// By projections each of which prunes in its own way, or not at all.
void project_each(const Pass& pass, int64_t layer, const RowBlock& block, const ProjectionInput& input,
                  std::span<const Target> targets) {
  const bool wants_rest = any_low_rank(pass, layer, targets);
  const InputSelection* in_kept = nullptr;
  Matrix<const float> kept;
  for (const Target& target : targets) {
    const PrunedProjection& projection = pass.pruned(layer, target.projection);
    if (projection.selection == nullptr) {
      project_dense(pass, block, input.x, {&target, 1});
      continue;
    }
    if (projection.selection.get() != in_kept) {
      in_kept = projection.selection.get();
      kept = pruned_block(pass, *in_kept, block, input, wants_rest);
    }
    project_pruned(pass, projection, target, block, kept);
  }
}

// Of all rows, by projections that share a selection (null: they are not pruned).
void project_selected(const Pass& pass, int64_t layer, Matrix<const float> x, const InputSelection* selection,
                      std::span<const Target> targets) {
  if (selection != nullptr && selection->looks_across_rows()) measure_gains(pass, *selection, x);
  const bool by_sequence = selection != nullptr && selection->sequence_share > 0.0;
  const Matrix<const float> kept =
      by_sequence ? pruned_sequences(pass, *selection, x) : Matrix<const float>{};
  for_row_blocks(pass, [&](const RowBlock& block) {
    const Matrix<const float> rows = x.rows(block.first, block.rows);
    if (!by_sequence) return project_block(pass, layer, block, {rows}, targets);
    const Matrix<const float> kept_rows = kept.rows(block.first, block.rows);
    if (any_low_rank(pass, layer, targets)) subtract_kept(pass, block, rows, kept_rows);
    for (const Target& target : targets)
      project_pruned(pass, pass.pruned(layer, target.projection), target, block, kept_rows);
  });
}

}  // namespace

ProjectionInput stored(const Pass& pass, const ProjectionInput& input) {
  if (!input.producer.makes_rows()) return input;
  kernels::produce_rows(input.producer, input.x, input.room, pass.stream);
  return {input.room};
}

void begin_pruning(const Pass& pass) {
  if (pass.args.pruning == nullptr) return;
  require(pass.args.pruning_state != nullptr, "pruned forwards have a state");
  require(pass.args.pruning->blocks.size() >= pass.weights.blocks.size(), "the pruning is of all blocks");
  if (!pass.args.pruning->looks_across_rows()) return;
  PruningState& state = *pass.args.pruning_state;
  require(state.has_whole, "the state has room for selections that look across rows");
  const bool is_call = pass.args.pruning->scope == StatisticScope::kCall;
  const std::vector<int64_t> offsets =
      is_call ? std::vector<int64_t>{0, pass.tokens()}
              : std::vector<int64_t>(pass.args.batch.offsets.begin(), pass.args.batch.offsets.end());
  const std::vector<int32_t> sets =
      is_call ? std::vector<int32_t>(static_cast<size_t>(pass.tokens()), 0) : pass.state.sequences;
  copy_in_order(state.offsets.data(), offsets.data(), static_cast<int64_t>(offsets.size() * sizeof(int64_t)),
                pass.stream);
  copy_in_order(state.gain_sets.data(), sets.data(), static_cast<int64_t>(sets.size() * sizeof(int32_t)),
                pass.stream);
}

void project_block(const Pass& pass, int64_t layer, const RowBlock& block, const ProjectionInput& input,
                   std::span<const Target> targets) {
  if (has_decoded_row(pass)) return project_row(pass, layer, input, targets);
  if (pass.args.pruning == nullptr) return project_dense(pass, block, stored(pass, input).x, targets);
  const InputSelection* const shared = shared_selection(pass, layer, targets);
  if (shared == nullptr) return project_each(pass, layer, block, stored(pass, input), targets);
  const Matrix<const float> kept =
      pruned_block(pass, *shared, block, input, any_low_rank(pass, layer, targets));
  for (const Target& target : targets)
    project_pruned(pass, pass.pruned(layer, target.projection), target, block, kept);
}

void project_whole(const Pass& pass, int64_t layer, Matrix<const float> x, std::span<const Target> targets) {
  const auto selection_of = [&](const Target& target) {
    return pass.args.pruning == nullptr ? nullptr : pass.pruned(layer, target.projection).selection.get();
  };
  for (size_t first = 0; first < targets.size();) {
    const InputSelection* const selection = selection_of(targets[first]);
    size_t end = first + 1;
    while (end < targets.size() && selection_of(targets[end]) == selection) ++end;
    project_selected(pass, layer, x, selection, targets.subspan(first, end - first));
    first = end;
  }
}

void show_inputs(const Pass& pass, int64_t layer, Projection projection, Matrix<const float> x) {
  if (pass.args.inputs == nullptr) return;
  pass.stream.synchronize();
  (*pass.args.inputs)(layer, projection, x);
}

}  // namespace orthant::models
