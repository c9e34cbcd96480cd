// Learned transforms of all blocks together, by the next-token loss (train_learned.h). Not Collective.
#pragma once

#include "models/adapt/train_learned.h"

namespace orthant::models {

// Windows that are trained on.
[[nodiscard]] int64_t global_windows(const LearnedTask& task, const LearnedSettings& settings);

// Continues `learned` at step learned.finished and calls `save` after every step.
void train_globally(const LearnedTask& task, const LearnedSettings& settings, LearnedTransforms& learned,
                    const std::function<void()>& save,
                    const std::function<void(const LearnedProgress&)>& progress, Memory& memory,
                    Stream& stream);

}  // namespace orthant::models
