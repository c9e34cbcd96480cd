// In which settings runs of the same verb differ, and where each run comes from. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// One table a verb that has at least two runs; "" where there is none.
[[nodiscard]] std::string difference_section(std::span<const RunSummary> runs);
// Command, version, hosts, mesh, times, and the whole configuration of each run.
[[nodiscard]] std::string provenance_section(std::span<const RunSummary> runs);

}  // namespace orthant
