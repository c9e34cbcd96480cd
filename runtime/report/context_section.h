// Top activating contexts: each token's background tells how active the latent is on it, its tooltip how
// much. Pure; thread-safe.
#pragma once

#include <span>
#include <string>

#include "runtime/report/run_summary.h"

namespace orthant {

[[nodiscard]] std::string context_section(std::span<const RunSummary> runs);

}  // namespace orthant
