// What results hold beside numbers, as plots: histograms, and measures over layers or positions. Pure;
// thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// Histograms stand anywhere in a result, alone or one in each row of a list; rows that name a hook
// (blocks.L...) are points over L, rows from a position to another are points over it. "" where no run has
// any.
[[nodiscard]] std::string result_plots(std::span<const RunSummary> runs);

}  // namespace orthant
