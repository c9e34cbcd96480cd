// Completion scripts of the shells, generated from the schemas: verbs, flags and named values.
#pragma once

#include <string>

#include "launch/program/verb.h"

namespace orthant::launch {

[[nodiscard]] std::string bash_completion();
[[nodiscard]] std::string zsh_completion();
[[nodiscard]] std::string fish_completion();

}  // namespace orthant::launch
