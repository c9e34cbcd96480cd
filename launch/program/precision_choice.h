// The precision of a job's dense products, settled once it is known where they are computed.
#pragma once

#include "runtime/device/device.h"
#include "runtime/job/config.h"

namespace orthant::launch {

// Sets the field `precision`, where the verb has one and nobody has set it: f32 on the CPU and where the job
// is deterministic, else bf16 on CUDA.
// What is set becomes part of the job, so that it is not continued in another one. Throws Error(kConfig) for
// a precision that the device has not.
void settle_precision(Config& config, Device device);

}  // namespace orthant::launch
