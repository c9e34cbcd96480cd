// Lists of rows inside a result, as a sweep's cells or a study's rows: one table each. Pure; thread-safe.
#pragma once

#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

// Columns are all names that occur; the longest lists are cut, and it is said how many rows were left out.
[[nodiscard]] std::string result_rows(const RunSummary& run, size_t index);

}  // namespace orthant
