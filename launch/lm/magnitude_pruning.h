// What --sparsity of the `lm` verbs asks for.
#pragma once

#include <optional>
#include <string>

#include "models/sparsity/build_pruning.h"

namespace orthant::launch {

// The inputs of all projections of all blocks, by magnitude. None where `pattern` (models/sparsity/pattern.h)
// is empty or dense. Throws Error(kConfig) for one that is none or does not fit a projection.
[[nodiscard]] std::optional<models::ModelPruning> magnitude_pruning(const std::string& pattern,
                                                                    const models::ModelFile& file,
                                                                    Memory& memory, Stream& stream);

}  // namespace orthant::launch
