// Learned transforms block after block (train_learned.h). Not Collective.
#pragma once

#include "models/adapt/train_learned.h"

namespace orthant::models {

// Continues `learned` at block learned.finished, one epoch a block, and calls `save` when a block is
// finished.
void train_by_layers(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                     const std::function<void()>& save,
                     const std::function<void(const LearnedProgress&)>& progress, Memory& memory,
                     Stream& stream);

}  // namespace orthant::models
