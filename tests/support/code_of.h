// The exit code that an error carries, for tests of what is refused.
#pragma once

#include <functional>
#include <string>

#include "runtime/core/error.h"

namespace orthant::testing {

// kDone where `work` throws no Error; its message goes to `message` where that is not null.
inline ExitCode code_of(const std::function<void()>& work, std::string* message = nullptr) {
  try {
    work();
  } catch (const Error& error) {
    if (message != nullptr) *message = error.what();
    return error.code();
  }
  return ExitCode::kDone;
}

}  // namespace orthant::testing
