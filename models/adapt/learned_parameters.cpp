#include "models/adapt/learned_parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace orthant::models {
namespace {

std::vector<float> zeros(bool wanted, int64_t count) {
  return std::vector<float>(wanted ? static_cast<size_t>(count) : 0, 0.0f);
}

}  // namespace

std::string text_of(const LearnedKind& kind) {
  std::vector<std::string> parts;
  if (kind.input_shift) parts.emplace_back("input_shift");
  if (kind.output_shift) parts.emplace_back("output_shift");
  if (kind.output_scale) parts.emplace_back("output_scale");
  if (kind.rank > 0) parts.push_back(fmt::format("rank_{}", kind.rank));
  return fmt::format("{}", fmt::join(parts, "+"));
}

LearnedBlock zero_parameters(const ModelConfig& config, const LearnedKind& kind,
                             std::span<const PrunedProjection, kProjections> pruned) {
  LearnedBlock block;
  for (size_t p = 0; p < block.size(); ++p) {
    if (pruned[p].selection == nullptr) continue;
    const auto [outputs, inputs] = shape_of(config, static_cast<Projection>(p));
    block[p] = {.input_shift = zeros(kind.input_shift, inputs),
                .output_shift = zeros(kind.output_shift, outputs),
                .output_scale = zeros(kind.output_scale, outputs),
                .low_rank_out = zeros(kind.rank > 0, outputs * kind.rank),
                .low_rank_in = zeros(kind.rank > 0, kind.rank * inputs)};
  }
  return block;
}

std::vector<std::span<float>> tensors_of(LearnedBlock& block) {
  std::vector<std::span<float>> tensors;
  for (LearnedProjection& projection : block) {
    for (std::vector<float>* const values :
         {&projection.input_shift, &projection.output_shift, &projection.output_scale,
          &projection.low_rank_out, &projection.low_rank_in}) {
      if (!values->empty()) tensors.emplace_back(*values);
    }
  }
  return tensors;
}

LearnedMending mending_of(const LearnedProjection& learned, std::span<const float> shifted) {
  LearnedMending mending;
  for (const float scale : learned.output_scale) mending.factors.push_back(1.0f + scale);
  const size_t outputs = std::max(shifted.size(), learned.output_shift.size());
  for (size_t o = 0; o < outputs; ++o) {
    float offset = shifted.empty() ? 0.0f : shifted[o];
    if (!mending.factors.empty()) offset *= mending.factors[o];
    mending.offsets.push_back(learned.output_shift.empty() ? offset : offset + learned.output_shift[o]);
  }
  return mending;
}

}  // namespace orthant::models
