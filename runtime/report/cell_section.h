// The cells of a sweep against each other: L0 against what a dictionary keeps, with the Pareto frontier. The
// table of cells is one of the results. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// "" where no run has cells with an L0 and a measure beside it.
[[nodiscard]] std::string cell_section(std::span<const RunSummary> runs);

}  // namespace orthant
