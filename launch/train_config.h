// The configuration of a training as its fields say, at a mesh: what `train` runs and `plan` plans. Pure.
#pragma once

#include "launch/config.pb.h"
#include "runtime/comm/world.h"
#include "runtime/job/config.pb.h"
#include "sae/training/trainer.h"

namespace orthant::launch {

[[nodiscard]] sae::TrainerConfig trainer_config(const Common& common, const Train& own, MeshShape mesh,
                                                int64_t d_model);

// Throws Error(kConfig) where the mesh cannot train it.
void refuse_impossible(const sae::TrainerConfig& config, MeshShape mesh);

}  // namespace orthant::launch
