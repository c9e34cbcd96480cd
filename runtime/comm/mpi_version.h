// The MPI library the program runs with, whether or not it was started by a launcher. Thread-safe.
#pragma once

#include <string>

namespace orthant {

[[nodiscard]] std::string mpi_version();  // for example "Open MPI v4.1.4"

}  // namespace orthant
