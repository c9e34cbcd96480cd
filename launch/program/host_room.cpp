#include "launch/program/host_room.h"

#include <fmt/format.h>

#include "runtime/core/error.h"

namespace orthant::launch {

std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  for (; bytes >= 1024.0 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024.0;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

void refuse_beyond_room(const std::string& what, int64_t bytes, Device device, int ranks,
                        const std::string& suggestion) {
  const bool is_host = device.kind == DeviceKind::kCpu;
  const int sharers = is_host ? ranks : 1;
  const int64_t available = available_bytes(device);
  if (bytes <= available / sharers) return;
  const std::string each = size_text(static_cast<double>(bytes));
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{} needs {} of memory on {}, which has {} left", what,
                                      size_text(static_cast<double>(bytes) * sharers),
                                      is_host ? "this host" : to_string(device),
                                      size_text(static_cast<double>(available))),
               .why = sharers == 1 ? fmt::format("one rank here, {}", each)
                                   : fmt::format("{} ranks here, {} each", sharers, each),
               .suggestion = suggestion});
}

}  // namespace orthant::launch
