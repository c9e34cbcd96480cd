#include "launch/host_room.h"

#include <fmt/format.h>

#include "runtime/core/error.h"
#include "runtime/device/host_memory.h"

namespace orthant::launch {

std::string size_text(double bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  for (; bytes >= 1024.0 && unit + 1 < std::size(kUnits); ++unit) bytes /= 1024.0;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

void refuse_beyond_host(const std::string& what, int64_t bytes, int ranks, const std::string& suggestion) {
  const int64_t available = available_host_bytes();
  if (bytes <= available / ranks) return;
  throw Error(ExitCode::kConfig,
              {.problem = fmt::format("{} needs {} of memory on this host, which has {} left", what,
                                      size_text(static_cast<double>(bytes) * ranks),
                                      size_text(static_cast<double>(available))),
               .why = fmt::format("{} here, {}{}", ranks == 1 ? "one rank" : fmt::format("{} ranks", ranks),
                                  size_text(static_cast<double>(bytes)), ranks == 1 ? "" : " each"),
               .suggestion = suggestion});
}

}  // namespace orthant::launch
