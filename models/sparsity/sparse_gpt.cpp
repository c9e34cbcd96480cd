#include "models/sparsity/sparse_gpt.h"

#include <Eigen/Core>
#include <algorithm>
#include <limits>
#include <vector>

#include "runtime/core/error.h"

namespace orthant::models {
namespace {

constexpr int64_t kBlockInputs = 128;
// Outputs that a thread has at a time: enough for the product of their errors, whatever the threads.
constexpr int64_t kChunkOutputs = 64;

using Rows = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Inputs that are pruned before those after them are told: whole groups.
int64_t block_inputs(const WeightPattern& pattern) {
  if (pattern.is_unstructured()) return kBlockInputs;
  return std::max<int64_t>(kBlockInputs / pattern.groups.group, 1) * pattern.groups.group;
}

bool removes_nothing(const WeightPattern& pattern) {
  return pattern.is_unstructured() ? pattern.removed_share == 0.0
                                   : pattern.groups.keep == pattern.groups.group;
}

struct Block {
  int64_t first;
  int64_t inputs;
  [[nodiscard]] int64_t end() const { return first + inputs; }
};

class Pruning {
 public:
  Pruning(Matrix<const float> weights, const HessianFactor& factor, const WeightPattern& pattern)
      : pattern_(pattern),
        upper_(factor.upper.data(), factor.inputs, factor.inputs),
        weights_(Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>(
                     weights.data, weights.shape[0], weights.shape[1])
                     .cast<double>()) {
    for (int64_t i = 0; i < factor.inputs; ++i) {
      if (factor.dead[static_cast<size_t>(i)] != 0) weights_.col(i).setZero();
    }
  }

  void prune(const Block& block) {
    const double threshold = pattern_.is_unstructured() ? threshold_of(block) : 0.0;
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t first = 0; first < weights_.rows(); first += kChunkOutputs)
      prune_chunk(block, first, std::min(kChunkOutputs, weights_.rows() - first), threshold);
  }

  void round_into(Matrix<float> weights) const {
    const double* value = weights_.data();
    for (float& weight : weights.span()) weight = static_cast<float>(*value++);
  }

 private:
  [[nodiscard]] double score(int64_t output, int64_t input) const {
    const double ratio = weights_(output, input) / upper_(input, input);
    return ratio * ratio;
  }

  [[nodiscard]] double threshold_of(const Block& block) const {
    std::vector<double> scores;
    scores.reserve(static_cast<size_t>(weights_.rows() * block.inputs));
    for (int64_t o = 0; o < weights_.rows(); ++o) {
      for (int64_t i = block.first; i < block.end(); ++i) scores.push_back(score(o, i));
    }
    const auto count = static_cast<int64_t>(scores.size());
    const int64_t removed = share_of_weights(count, pattern_.removed_share);
    if (removed == count) return std::numeric_limits<double>::infinity();
    const auto at = scores.begin() + removed;
    std::nth_element(scores.begin(), at, scores.end());
    return *at;
  }

  // Errors of all outputs of the chunk, then what they mean to the inputs after the block.
  void prune_chunk(const Block& block, int64_t first, int64_t outputs, double threshold) {
    Rows errors(outputs, block.inputs);  // w / U_ii where removed, else 0
    std::vector<char> removed(static_cast<size_t>(block.inputs));
    std::vector<double> scores;
    for (int64_t o = 0; o < outputs; ++o) {
      if (pattern_.is_unstructured()) {
        for (int64_t i = 0; i < block.inputs; ++i)
          removed[static_cast<size_t>(i)] = score(first + o, block.first + i) < threshold;
      }
      prune_output(block, first + o, removed, scores, errors.row(o).data());
    }
    const int64_t after = weights_.cols() - block.end();
    weights_.block(first, block.end(), outputs, after).noalias() -=
        errors * upper_.block(block.first, block.end(), block.inputs, after);
  }

  void prune_output(const Block& block, int64_t output, std::vector<char>& removed,
                    std::vector<double>& scores, double* errors) {
    double* const weights = weights_.row(output).data();
    for (int64_t i = 0; i < block.inputs; ++i) {
      const int64_t input = block.first + i;
      if (!pattern_.is_unstructured() && i % pattern_.groups.group == 0)
        choose_group(output, input, scores, removed.data() + i);
      errors[i] = removed[static_cast<size_t>(i)] != 0 ? weights[input] / upper_(input, input) : 0.0;
      if (removed[static_cast<size_t>(i)] == 0) continue;
      weights[input] = 0.0;
      const double* const factors = upper_.row(input).data();
      for (int64_t j = input + 1; j < block.end(); ++j) weights[j] -= errors[i] * factors[j];
    }
  }

  // Marks all but the largest scores of the group that begins at `input`.
  void choose_group(int64_t output, int64_t input, std::vector<double>& scores, char* removed) const {
    const auto [keep, group] = pattern_.groups;
    scores.clear();
    for (int64_t i = 0; i < group; ++i) scores.push_back(score(output, input + i));
    for (size_t i = 0; i < scores.size(); ++i) {
      int64_t larger = 0;
      for (size_t other = 0; other < scores.size(); ++other)
        larger += scores[other] > scores[i] || (scores[other] == scores[i] && other < i) ? 1 : 0;
      removed[i] = larger >= keep;
    }
  }

  const WeightPattern& pattern_;
  Eigen::Map<const Rows> upper_;
  Rows weights_;
};

}  // namespace

void sparse_gpt(Matrix<float> weights, const HessianFactor& factor, const WeightPattern& pattern) {
  const int64_t inputs = weights.shape[1];
  require(factor.inputs == inputs, "the factor has the inputs of the weights");
  require(pattern.is_unstructured() || inputs % pattern.groups.group == 0, "the group divides the inputs");
  if (removes_nothing(pattern) || weights.elements() == 0) return;
  Pruning pruning(weights, factor, pattern);
  const int64_t together = block_inputs(pattern);
  for (int64_t first = 0; first < inputs; first += together)
    pruning.prune({first, std::min(together, inputs - first)});
  pruning.round_into(weights);
}

}  // namespace orthant::models
