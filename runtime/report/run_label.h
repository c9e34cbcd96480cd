// A run's name with its colour, the same in every plot, table and heading of a report. Pure; thread-safe.
#pragma once

#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// `index` is the run's place among the runs of the report; it chooses the colour.
[[nodiscard]] std::string run_label(const RunSummary& run, size_t index);

}  // namespace orthant
