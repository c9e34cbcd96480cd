// What is learned of the projections of a model whose inputs are pruned (activation_sparsity 4), in f32 on
// the host.
//
//   y = (nu (P(x - eta) W^T) + W eta) (1 + scale) + shift + (x - P(x)) (A B)^T
//
// P prunes; nu restores the variance where the pruning asks for it. eta is `input_shift` (L-PTS, the
// reference's shift2), shift is `output_shift` (shift), scale is `output_scale` (LS), A and B are the
// low-rank pair (R-Sparse, without eta). Gradients of the parameters have the same form. Thread-safe for
// reading.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "models/transformer/pruning.h"
#include "models/transformer/weights.h"

namespace orthant::models {

// Which parameters are learned.
struct LearnedKind {
  bool input_shift = false;
  bool output_shift = false;
  bool output_scale = false;
  int64_t rank = 0;  // of the low-rank pair; 0: none
  bool operator==(const LearnedKind&) const = default;
};

// "input_shift", "output_shift+output_scale", "rank_64", ...
[[nodiscard]] std::string text_of(const LearnedKind& kind);

// Of one projection; empty where not learned.
struct LearnedProjection {
  std::vector<float> input_shift;   // [inputs]
  std::vector<float> output_shift;  // [outputs]
  std::vector<float> output_scale;  // [outputs]
  std::vector<float> low_rank_out;  // A [outputs, rank]
  std::vector<float> low_rank_in;   // B [rank, inputs]
};

using LearnedBlock = std::array<LearnedProjection, kProjections>;

// All zero, for the projections of a block that are pruned.
[[nodiscard]] LearnedBlock zero_parameters(const ModelConfig& config, const LearnedKind& kind,
                                           std::span<const PrunedProjection, kProjections> pruned);

// All tensors of a block that are not empty, in one fixed order.
[[nodiscard]] std::vector<std::span<float>> tensors_of(LearnedBlock& block);

// What a projection's parameters other than the low-rank pair do to its outputs:
// factors = 1 + scale, offsets = W eta (1 + scale) + shift (mend_products.h). Each empty where nothing asks
// for it.
struct LearnedMending {
  std::vector<float> factors;
  std::vector<float> offsets;
};
// `shifted` is W eta, or empty.
[[nodiscard]] LearnedMending mending_of(const LearnedProjection& learned, std::span<const float> shifted);

}  // namespace orthant::models
