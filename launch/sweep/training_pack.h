// Trainings that read the same data, run together: they take turns, the one that is behind first, on one
// reading of the source. Each ends with the bits of a run of its own.
//
// A member that fails leaves the others undisturbed. Collective over the world of the group; main thread
// only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launch/sweep/cell_job.h"
#include "runtime/job/shared_source.h"

namespace orthant::launch {

// What the data of a training cell is: trainings of equal texts read the same rows in the same portions.
// Empty of a cell that is none.
[[nodiscard]] std::string data_of(const SweepCells& cells, const SweepCell& cell);

// How many of `cells`, from the first on, fit together beside one source in the memory of `cells.device`,
// which `ranks` ranks of this host share. At least 1. Not Collective.
[[nodiscard]] size_t cells_that_fit(const SweepCells& cells, const std::vector<const SweepCell*>& members,
                                    int ranks);

struct PackEnd {
  bool is_stopped = false;                         // on request; every member has saved
  std::vector<const SweepCell*> refused_together;  // could not begin beside the others
  int64_t rows_read = 0;                           // of the source
  int64_t rows_given = 0;                          // to the members
};

struct PackReport {
  std::function<void(const SweepCell&, const boost::json::object& record)> ended;  // a member has its record
  std::function<void(double share)> advanced;                                      // of all members' tokens
};

// Trains `members`, whose data_of() is equal and whose locks the caller holds.
[[nodiscard]] PackEnd train_together(const SweepCells& cells, const std::vector<const SweepCell*>& members,
                                     const Invocation& sweep, World& world, const PackReport& report);

}  // namespace orthant::launch
