#include "runtime/comm/launcher.h"

#include <fmt/format.h>

#include <array>
#include <cstdlib>

#include "runtime/core/error.h"

namespace orthant {
namespace {

// Open MPI's mpirun, PMIx (srun --mpi=pmix, prun), PMI-1 and PMI-2 (Hydra).
constexpr std::array<const char*, 3> kRankVariables = {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"};

int number_in(const char* variable, int absent) {
  const char* text = std::getenv(variable);
  return text == nullptr ? absent : std::atoi(text);
}

}  // namespace

std::optional<int> rank_from_launcher() {
  for (const char* variable : kRankVariables) {
    if (std::getenv(variable) != nullptr) return number_in(variable, 0);
  }
  const int tasks = number_in("SLURM_STEP_NUM_TASKS", 1);
  if (tasks > 1) {
    throw Error(ExitCode::kConfig, {.problem = fmt::format("srun started {} separate processes", tasks),
                                    .why = "Open MPI joins the tasks of a step by PMIx only",
                                    .suggestion = "Use srun --mpi=pmix, or mpirun."});
  }
  return std::nullopt;
}

}  // namespace orthant
