// What a pruning is: a criterion, by which inputs (or weights) are chosen, and what mends the outputs.
// Values; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace orthant::models {

enum class Criterion {
  // Of inputs: the largest |x| * gain survive (activation_sparsity 3).
  kMagnitude,
  kClact,
  kAmber,
  kWeightVariance,
  // Of weights (activation_sparsity 6); inputs stay as they are.
  kWeightMagnitude,
  kWanda,
  kSparseGpt,
};

[[nodiscard]] bool prunes_weights(Criterion criterion);

// Mitigations that go together (activation_sparsity 4).
struct Transform {
  enum class Center { kNone, kMedian, kMean, kCalibrated, kLearned };
  Center center = Center::kNone;   // dpts, dpts_mean, spts, lpts
  bool scales_channels = false;    // pcs
  bool restores_variance = false;  // var
  bool learns_scale = false;       // ls: the outputs' scale
  bool learns_offset = false;      // offset: the outputs' shift
  int rank = 0;                    // rsparse64, rsparse128: of the low-rank product; 0: none
  [[nodiscard]] bool is_learned() const {
    return center == Center::kLearned || learns_scale || learns_offset || rank > 0;
  }
};

struct PruningMethod {
  Criterion criterion = Criterion::kMagnitude;
  Transform transform = {};
};

// Throws Error(kConfig) with the nearest name for an unknown one.
[[nodiscard]] Criterion parse_criterion(std::string_view name);
[[nodiscard]] std::string_view name_of(Criterion criterion);
[[nodiscard]] const std::vector<std::string>& criterion_names();

// "none", or parts joined by '+': "dpts+var". Throws Error(kConfig) for an unknown part (nearest name) and
// for parts that exclude each other.
[[nodiscard]] Transform parse_transform(std::string_view name);
[[nodiscard]] std::string to_string(const Transform& transform);
[[nodiscard]] const std::vector<std::string>& transform_parts();

// Why the two do not go together; empty where they do.
[[nodiscard]] std::string conflict_of(const PruningMethod& method);

}  // namespace orthant::models
