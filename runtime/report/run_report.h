// The report of any runs: one page with their results, curves, histograms, contexts, settings and provenance.
//
// Sections for which no run has data are left out. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

struct ReportTexts {
  std::string title;
  std::string written = {};  // when and by which version, one line
};

// `runs` have unique names, see name_runs().
[[nodiscard]] std::string run_report(std::span<const RunSummary> runs, const ReportTexts& texts);

}  // namespace orthant
