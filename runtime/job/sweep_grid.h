// The cells of a sweep file: every combination of its axes, zipped axes and named points, without those that
// are excluded. Pure; thread-safe.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/job/config_schema.h"
#include "runtime/job/sweep.pb.h"

namespace orthant {

// What makes a cell differ from the base.
struct GridPoint {
  std::string name = {};                                           // of its named point; empty: none
  std::vector<std::pair<std::string, std::string>> settings = {};  // dotted field, value, in file order
};

// In file order, the first axis slowest; zipped axes come after the axes and named points last. `schema` is
// that of the cells' verb. Errors: kUsage for a field that the verb has not (nearest name suggested), kConfig
// for an axis without values, values of different number in a zip, a field that is set twice or says only how
// a job runs, a grid without cells and one of more than `sweep.max_cells`.
[[nodiscard]] std::vector<GridPoint> expand_grid(const Sweep& sweep, const ConfigSchema& schema);

}  // namespace orthant
