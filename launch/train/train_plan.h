// What a training would need at every mesh of a world: the result of `plan train`, and what `train --dry_run`
// prints.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "launch/config.pb.h"
#include "launch/program/job_memory.h"
#include "runtime/comm/world.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

struct PlannedWorld {
  int ranks = 1;
  std::string device = "cpu";
  int64_t d_model = 0;  // where no source is given
};

// Reads headers, measures the peak of this host's cores where the device is the CPU, allocates nothing large.
// Local; sets the number of OpenMP threads to that of a planned rank. Throws what makes the configuration
// impossible at every mesh.
[[nodiscard]] boost::json::object plan_training(const Common& common, const Train& own,
                                                const PlannedWorld& world);

// Counts in `counted` (of JobMemory::Counting) what this rank will allocate for the trainer and, unless it
// reads a source that others read too, for the source.
void count_training(const Common& common, const Train& own, MeshShape mesh, int rank, bool with_source,
                    JobMemory& counted);

// Predicts in `memory` what this rank will allocate, and throws Error(kConfig) where its device or the ranks
// of this host have no room for it. Local: call it on every rank before any of them allocates.
void predict_training(const Common& common, const Train& own, MeshShape mesh, int rank, int ranks_of_host,
                      bool with_source, JobMemory& memory);

}  // namespace orthant::launch
