// Fields that a verb cannot do without.
#pragma once

#include <string>

#include "runtime/core/error.h"

namespace orthant::launch {

// `value` unless it is empty; throws Error(kConfig) naming the field otherwise.
inline const std::string& required_field(const char* field, const std::string& value) {
  if (!value.empty()) return value;
  const std::string flag = std::string("--").append(field);
  throw Error(ExitCode::kConfig, {.problem = std::string(field).append(" is not given"),
                                  .why = "the verb needs it",
                                  .suggestion = std::string("give ").append(flag)});
}

}  // namespace orthant::launch
