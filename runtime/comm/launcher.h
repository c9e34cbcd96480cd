// Whether this process was started as one rank of many: read from the environment, before MPI starts.
// Thread-safe.
#pragma once

#include <optional>

namespace orthant {

// This process's rank when mpirun, srun --mpi=pmix or another process manager started it; nothing when it was
// started alone. Throws Error(kConfig) when srun started several tasks without PMIx, which would each be a
// world of one.
[[nodiscard]] std::optional<int> rank_from_launcher();

}  // namespace orthant
