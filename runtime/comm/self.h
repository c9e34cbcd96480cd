// A group of one rank: every collective is the identity or a copy. Nothing waits, so there is no deadline.
#pragma once

#include <memory>

#include "runtime/comm/communicator.h"
#include "runtime/comm/control_group.h"

namespace orthant {

[[nodiscard]] std::unique_ptr<Communicator> make_self_communicator(Device device = kCpu);
[[nodiscard]] std::unique_ptr<ControlGroup> make_self_control_group();

}  // namespace orthant
