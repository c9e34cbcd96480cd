// The two planes of an MPI job. MPI has been initialised; the watchdog outlives them. Main thread only.
#pragma once

#include <memory>
#include <string_view>

#include "runtime/comm/communicator.h"
#include "runtime/comm/control_group.h"
#include "runtime/comm/watchdog.h"

namespace orthant {

// Throws Error(kPeer) with MPI's own text unless `status` is success.
void check_mpi(int status, std::string_view call);

// Collective over all ranks of the job; each plane has its own MPI communicator.
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(Watchdog& watchdog);
[[nodiscard]] std::unique_ptr<ControlGroup> make_mpi_control_group(Watchdog& watchdog);

}  // namespace orthant
