// What was built and what it runs on, for --version, run.json and the log.
#pragma once

#include <string>

namespace orthant::launch {

[[nodiscard]] std::string version();   // "0.1.0"
[[nodiscard]] std::string git_hash();  // twelve digits, "-dirty" where the checkout had changes
// One line each: version, git hash, compiler, MPI, CUDA, NCCL, CPU kernels chosen.
[[nodiscard]] std::string version_text();

}  // namespace orthant::launch
