// The configuration of a training as its fields say, at a mesh: what `train` runs and `plan` plans. Pure.
#pragma once

#include <map>
#include <string>

#include "launch/config.pb.h"
#include "runtime/comm/world.h"
#include "runtime/job/config.pb.h"
#include "sae/training/trainer.h"

namespace orthant::launch {

// Throws Error(kConfig) for what no mesh can train.
[[nodiscard]] sae::TrainerConfig trainer_config(const Common& common, const Train& own, MeshShape mesh,
                                                int64_t d_model);

// What the file of a dictionary says of the schedule that it was trained by.
[[nodiscard]] std::map<std::string, std::string> schedule_texts(const sae::TrainerConfig& config);
// Training on from a dictionary whose file says `start`: where the fields say nothing, the warm-up is the
// share of the steps that it was there, and the rate falls from the same share of them on.
void take_schedule(const std::map<std::string, std::string>& start, const Train& own,
                   sae::TrainerConfig& config);

// Throws Error(kConfig) where the mesh cannot train it.
void refuse_impossible(const sae::TrainerConfig& config, MeshShape mesh);

}  // namespace orthant::launch
