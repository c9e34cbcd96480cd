// What an op does when its operands live on a device for which this build has no body. Thread-safe.
#pragma once

#include <string_view>

#include "runtime/device/device.h"

namespace orthant::kernels {

// Throws Error(kDevice) naming the op and the device.
[[noreturn]] void throw_no_body(std::string_view op, Device device);

}  // namespace orthant::kernels
