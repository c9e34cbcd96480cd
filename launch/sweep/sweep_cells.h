// The cells of a sweep: a configuration of the swept verb for each point of the grid, keyed by the hash of
// what the cell depends on. Not Collective.
#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "launch/program/verb.h"
#include "runtime/job/sweep_grid.h"

namespace orthant::launch {

struct SweepCell {
  GridPoint point;
  Config config;    // resolved; its run directory is cells/KEY below that of the sweep
  std::string key;  // of the configuration
};

struct SweepCells {
  const Verb* verb = nullptr;
  std::vector<SweepCell> cells;  // in grid order
  int group_size = 1;            // ranks that work on a cell together
  Device device = kCpu;          // that they compute on
};

// `out`: the run directory of the sweep. `device`: what a verb that runs there computes on. Throws as
// expand_grid() does, and Error(kConfig) for a base that is none of one verb, for a value out of range, two
// cells of one configuration and a group of ranks that is not the mesh of the base.
[[nodiscard]] SweepCells sweep_cells(const Config& config, const std::string& out, Device device);

// The fields that make the cell, as numbers, truth values and texts.
[[nodiscard]] boost::json::object point_json(const SweepCell& cell);

}  // namespace orthant::launch
