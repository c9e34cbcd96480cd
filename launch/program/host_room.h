// Whether there is room for what a job would allocate.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/device/device.h"

namespace orthant::launch {

// Throws Error(kConfig) where a rank needs more `bytes` than `device` has left, or where `ranks` ranks of
// this host, each of which needs `bytes` of it, need more than it has left. `what`: "this training". To be
// called before any of the ranks allocates.
void refuse_beyond_room(const std::string& what, int64_t bytes, Device device, int ranks,
                        const std::string& suggestion);

// "1.5 GiB"
[[nodiscard]] std::string size_text(double bytes);

}  // namespace orthant::launch
