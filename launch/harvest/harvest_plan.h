// What a harvest would need: the result of `plan harvest`, and what `harvest --dry_run` prints.
#pragma once

#include <boost/json/object.hpp>

#include "launch/config.pb.h"
#include "launch/program/job_memory.h"
#include "launch/train/train_plan.h"
#include "models/formats/model_file.h"
#include "models/transformer/hook.h"

namespace orthant::launch {

// The models whose activations are stored. Throws Error(kConfig) where there is none or one is given twice.
[[nodiscard]] std::vector<std::string> models_of(const Harvest& config);

// Throws Error(kConfig) for a hook that the model lacks, that is given twice, or where there is none.
[[nodiscard]] std::vector<models::HookPoint> hooks_of(const Harvest& config, int64_t layers);

// Reads the header of the model and, where `tokens` does not say how many there are, the text. Local; sets
// the number of OpenMP threads to that of a planned rank.
[[nodiscard]] boost::json::object plan_harvest(const Common& common, const Harvest& config,
                                               const PlannedWorld& world);

// Predicts in `memory` what a rank will allocate at most for one of the models, and throws Error(kConfig)
// where its device, or the ranks of this host together, have no room for it. Local: call it on every rank
// before any of them allocates.
void predict_harvest(const Harvest& config, int model, int ranks_of_host, JobMemory& memory);

}  // namespace orthant::launch
