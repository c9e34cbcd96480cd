// What the twins of CUDA's functions throw in a build without it. Thread-safe.
#pragma once

#include "runtime/core/error.h"

namespace orthant::cuda {

[[noreturn]] inline void throw_not_configured() {
  throw Error(ExitCode::kDevice,
              {.problem = "CUDA is not configured",
               .why = "this build has no CUDA part",
               .suggestion = "Use --device=cpu, or build on a host with the CUDA toolkit."});
}

}  // namespace orthant::cuda
