// Which host, boot and process this is. Thread-safe.
#pragma once

#include <string>

namespace orthant {

[[nodiscard]] std::string host_name();
// Differs after every boot of the host; "unknown" where the system does not tell.
[[nodiscard]] std::string boot_id();
// When process `pid` of this host began, in clock ticks after boot; "" when there is no such process or it has ended and nobody has asked how. Tells a
// process from a later one with the same number.
[[nodiscard]] std::string process_start(long pid);
// UTC, "2026-11-24T16:05:59Z".
[[nodiscard]] std::string utc_now();

}  // namespace orthant
