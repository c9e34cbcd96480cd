#include "models/transformer/row_projections.h"

#include "kernels/dense/elementwise.h"
#include "models/transformer/decode_weights.h"

namespace orthant::models {
namespace {

void require_plain(const PrunedProjection& projection) {
  const InputSelection& selection = *projection.selection;
  const OutputMending& mending = projection.mending;
  require(selection.gain == InputGain::kOne && selection.center == kernels::RowCenter::kNone &&
              selection.sequence_share == 0.0 && !selection.restores_variance,
          "decode weights are for pruning by magnitude");
  require(mending.weight_sums.shape()[0] == 0 && mending.column_factors.shape()[0] == 0 &&
              mending.column_offsets.shape()[0] == 0 && !mending.has_low_rank(),
          "decode weights are for outputs without mending");
}

// The entries of the input that survive; all of them without a selection.
kernels::KeptInputs list_kept(const Pass& pass, const InputSelection* selection,
                              const ProjectionInput& shared) {
  // Of a whole row's largest a device compares all pairs: what is compared is in its memory then.
  const bool is_whole_row = selection != nullptr && selection->pattern.group == 0;
  const ProjectionInput input = is_whole_row ? stored(pass, shared) : shared;
  const int64_t width = input.x.shape[1];
  int64_t keep = 1, group = 1;
  if (selection != nullptr) {
    keep = selection->pattern.keep;
    group = selection->pattern.group == 0 ? width : selection->pattern.group;
  }
  DecodeState& state = *pass.args.decode_state;
  const int64_t count = kernels::kept_count(width, keep, group);
  const kernels::KeptInputs kept = {state.inputs.view().rows(0, count), state.values.view().rows(0, count)};
  kernels::kept_inputs({input.x.data, {width}, input.x.device}, keep, group, kept, pass.stream,
                       input.producer);
  return kept;
}

}  // namespace

bool has_decoded_row(const Pass& pass) {
  return pass.args.decode_weights != nullptr && pass.tokens() == 1;
}

void project_row(const Pass& pass, int64_t layer, const ProjectionInput& input,
                 std::span<const Target> targets) {
  require(pass.args.decode_state != nullptr, "forwards with decode weights have a state");
  const auto& weights = pass.args.decode_weights->blocks[static_cast<size_t>(layer)];
  kernels::KeptInputs kept;
  const InputSelection* listed = nullptr;
  for (const Target& target : targets) {
    const InputSelection* selection = nullptr;
    if (pass.args.pruning != nullptr) {
      const PrunedProjection& projection = pass.pruned(layer, target.projection);
      selection = projection.selection.get();
      if (selection != nullptr) require_plain(projection);
    }
    if (kept.inputs.data == nullptr || selection != listed) kept = list_kept(pass, selection, input);
    listed = selection;
    const Matrix<float> out = target.out.rows(0, 1);
    kernels::skipping_gemv(kept, weights[static_cast<size_t>(target.projection)],
                           {out.data, {out.shape[1]}, out.device}, pass.stream);
    if (target.bias != nullptr && target.bias->shape()[0] > 0)
      kernels::add_row(out, target.bias->view(), out, pass.stream);
  }
}

}  // namespace orthant::models
