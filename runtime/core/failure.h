// What an exception of any kind means for the process: an exit code and a message. Thread-safe.
#pragma once

#include <exception>
#include <string>

#include "runtime/core/error.h"

namespace orthant {

struct Failure {
  ExitCode code = ExitCode::kInternal;
  std::string message;
};

// An Error says both itself. Memory that ran out is a configuration larger than the host (kConfig); all else
// is a bug (kInternal).
[[nodiscard]] Failure failure_of(const std::exception& exception);

}  // namespace orthant
