// The refusal of a configuration that cannot be run.
#pragma once

#include <string>

#include "runtime/core/error.h"

namespace orthant::launch {

// Throws Error(kConfig).
[[noreturn]] inline void refuse(const std::string& problem, const std::string& why,
                                const std::string& suggestion) {
  throw Error(ExitCode::kConfig, {.problem = problem, .why = why, .suggestion = suggestion});
}

}  // namespace orthant::launch
