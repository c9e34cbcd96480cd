// The program from its arguments to its exit code.
#pragma once

#include <string>
#include <vector>

namespace orthant::launch {

// Collective over the ranks that a launcher started. `arguments` begins with the program's own name. Never
// throws: a failure is one line on standard error and an exit code, the same on every rank.
[[nodiscard]] int run_program(const std::vector<std::string>& arguments);

}  // namespace orthant::launch
