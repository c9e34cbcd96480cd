// How a variant's transforms are trained: what the configuration names, and the study's values of the scheme
// for the rest. Pure function; thread-safe.
#pragma once

#include "launch/sparsity/variants.h"
#include "models/adapt/train_learned.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

[[nodiscard]] models::LearnedSettings learned_settings(const Common& common, const Sparsity& own,
                                                       const Variant& variant);

}  // namespace orthant::launch
