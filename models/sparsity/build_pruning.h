// The pruning of a model's forward that a method and a pattern ask for.
//
// Not Collective: every rank builds the same. Thread-safe.
#pragma once

#include <array>
#include <vector>

#include "models/sparsity/method.h"
#include "models/sparsity/pattern.h"
#include "models/transformer/pruning.h"

namespace orthant::models {

struct PruningRecipe {
  SparsityPattern pattern;
  PruningMethod method = {};
  std::vector<int64_t> layers = {};          // ascending
  std::vector<Projection> projections = {};  // in the order of a block
  StatisticScope scope = StatisticScope::kSequence;
};

// The centre of each projection's input, for Transform::Center::kCalibrated: [layers][projection].
using CalibratedCenters = std::vector<std::array<float, kProjections>>;

// Of a criterion of inputs and a pattern that is not dense. What is learned (learned_transforms.h) is not in
// it yet. `centers` is of all layers where the method calibrates them. Throws Error(kConfig) where the
// pattern does not fit a projection or the parts of the method exclude each other.
[[nodiscard]] ModelPruning build_pruning(const PruningRecipe& recipe, const ModelFile& file,
                                         const CalibratedCenters& centers, Memory& memory, Stream& stream);

// The weights of a projection as the file has them, f32 on the host: [outputs, inputs].
[[nodiscard]] Tensor<float, 2> read_projection(const ModelFile& file, int64_t layer, Projection projection,
                                               Memory& host_memory);

}  // namespace orthant::models
