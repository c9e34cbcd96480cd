// The results of runs side by side: the measures that decide first, then every other number, then tables of
// cells or rows. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

[[nodiscard]] std::string result_section(std::span<const RunSummary> runs);

}  // namespace orthant
