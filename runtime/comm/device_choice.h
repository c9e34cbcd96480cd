// Which device each rank of a job computes on: of one kind everywhere, and no device twice.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/comm/control_group.h"
#include "runtime/device/device.h"

namespace orthant {

// Collective. The device of this rank by the name of the flag (device_from_name). Every rank throws
// Error(kDevice) when a rank has none, when some ranks would compute on the CPU and others on CUDA, or when
// two ranks would share a device, which ORTHANT_NCCL_SHARE_GPU=1 allows to tests.
[[nodiscard]] Device choose_device(std::string_view name, int local_rank, ControlGroup& control);

// What choose_device() refuses of the identities of all ranks' devices ("cpu", or what is equal only for one
// device of one host), in rank order. Throws Error(kDevice).
void refuse_shared_devices(const std::vector<std::string>& identities, bool may_share);

}  // namespace orthant
