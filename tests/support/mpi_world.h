// The world of the job in which a parallel test runs (tests/support/mpi_main.cpp).
#pragma once

#include "runtime/comm/world.h"

namespace orthant::testing {

// Main thread only. Tests leave the world as they found it: closed are only the groups they split from it.
[[nodiscard]] World& world();

}  // namespace orthant::testing
