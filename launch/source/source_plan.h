// What an activation source would allocate, from headers alone.
#pragma once

#include <cstdint>

#include "kernels/dense/precision.h"
#include "runtime/device/memory.h"
#include "runtime/job/config.pb.h"

namespace orthant::launch {

// Counts in the memories (Memory::counting) what open_source() and reading would allocate on each rank;
// returns d_model. Where no source is given: nothing, and `assumed_d_model`. Throws Error(kConfig) where
// neither is given, or several sources are.
int64_t count_source(const Source& config, uint64_t seed, kernels::Precision precision,
                     int64_t assumed_d_model, Memory& memory, Memory& model_memory);

}  // namespace orthant::launch
