// Plots of runs: numbers over tokens with all runs overlaid, and distributions over latents. Pure;
// thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// The curves that decide first, every other one in a part that is closed at first; "" where there are none.
[[nodiscard]] std::string curve_section(std::span<const RunSummary> runs);
[[nodiscard]] std::string histogram_section(std::span<const RunSummary> runs);

}  // namespace orthant
