// The path that a verb is given as its input.
#pragma once

#include <string>

#include "launch/program/verb.h"

namespace orthant::launch {

// `path` itself; throws Error(kUsage) naming the verb when it is empty, Error(kIo) when nothing is there.
[[nodiscard]] const std::string& given_path(const Invocation& invocation, const std::string& path);

}  // namespace orthant::launch
