// One cell of a sweep at work: its own invocation, log and run directory, in the world of the group that
// works on it. Collective over that world; main thread only.
#pragma once

#include <boost/json/object.hpp>
#include <exception>
#include <memory>
#include <optional>

#include "launch/sweep/sweep_cells.h"
#include "runtime/job/run_directory.h"

namespace orthant::launch {

// Whether a failure is the cell's, to be recorded while the others go on. Not where the ranks of a group have
// lost each other: of several, all must have agreed on it.
[[nodiscard]] bool is_of_the_cell(const std::exception& problem, const World& world);

class CellJob {
 public:
  // The caller holds the lock of the cell's run directory while the job lives. `cell`, `sweep` and `world`
  // outlive it.
  CellJob(const SweepCells& cells, const SweepCell& cell, const Invocation& sweep, World& world);

  [[nodiscard]] const SweepCell& cell() const { return cell_; }
  [[nodiscard]] Invocation& invocation() { return invocation_; }
  // Opens the run directory. Returns whether there is work to do: false where an earlier attempt finished.
  [[nodiscard]] bool open();
  // Runs the verb to its end, in the open directory. Throws what it throws.
  [[nodiscard]] ExitCode run();
  // Records in the open directory how the attempt ended.
  void end(ExitCode code);
  void end(const std::exception& problem);

  // What the sweep keeps of a cell that is done: its point, how often it was begun, its result.
  [[nodiscard]] boost::json::object record() const;
  // And of one that failed.
  [[nodiscard]] boost::json::object record_of(const std::exception& problem) const;

 private:
  [[nodiscard]] boost::json::object head(const char* state) const;

  const SweepCell& cell_;
  Log log_;
  Invocation invocation_;
  std::unique_ptr<RunDirectory> run_;
};

}  // namespace orthant::launch
