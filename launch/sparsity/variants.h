// The variants of a model that a sparsity study measures: the dense one first, then each pattern with each
// method. Values; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "launch/config.pb.h"
#include "models/sparsity/build_pruning.h"

namespace orthant::launch {

struct Variant {
  models::SparsityPattern pattern = {};
  models::PruningMethod method = {};
  // As users write them; of the dense one "dense", "none", "none".
  [[nodiscard]] std::string pattern_name() const;
  [[nodiscard]] std::string criterion_name() const;
  [[nodiscard]] std::string transform_name() const;
  [[nodiscard]] std::string name() const;  // "8:16 magnitude dpts", "dense"
  [[nodiscard]] bool is_dense() const { return pattern.is_dense(); }
  // Whether it measures or trains something on the calibration text.
  [[nodiscard]] bool calibrates() const;
  [[nodiscard]] bool learns() const { return !is_dense() && method.transform.is_learned(); }
};

struct LeftOut {
  Variant variant;
  std::string why;
};

struct Variants {
  std::vector<Variant> measured;
  std::vector<LeftOut> left_out;  // pairs of the product that do not go together
};

// The patterns times the methods, which are the criteria times the transforms, and those that are named
// whole. Throws Error(kConfig) for an unknown name, and for a method named whole whose parts do not go
// together.
[[nodiscard]] Variants variants_of(const Sparsity& own);

// Blocks of a model of `layers` blocks: all where none is named. Throws Error(kConfig) for one that is not
// there.
[[nodiscard]] std::vector<int64_t> layers_of(const Sparsity& own, int64_t layers);
[[nodiscard]] std::vector<models::Projection> projections_of(const Sparsity& own);
// The tasks in the order given, each once.
[[nodiscard]] std::vector<std::string> distinct_tasks(const Sparsity& own);
// "all", or the names with commas between.
[[nodiscard]] std::string layers_name(const Sparsity& own);
[[nodiscard]] std::string projections_name(const Sparsity& own);

}  // namespace orthant::launch
