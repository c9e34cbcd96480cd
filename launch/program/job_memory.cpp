#include "launch/program/job_memory.h"

#include <fmt/format.h>

#include "launch/program/host_room.h"

namespace orthant::launch {

void JobMemory::predict(JobMemory& planned, const std::string& what, int ranks,
                        const std::string& suggestion) {
  device_.predict(planned.device_);
  beside_.predict(planned.beside_);
  for (const Memory* memory : {&planned.device_, &planned.beside_}) {
    refuse_beyond_room(what, memory->allocated_bytes(), memory->device(), ranks, suggestion);
  }
}

std::string JobMemory::table() const {
  if (is_one()) return device_.table();
  const Device device = device_.device();
  const std::string left =
      device_.counts_only()
          ? ""
          : fmt::format("left there now: {}\n", size_text(static_cast<double>(available_bytes(device))));
  return fmt::format("{}\n{}{}on the host\n{}", to_string(device), device_.table(), left, beside_.table());
}

}  // namespace orthant::launch
