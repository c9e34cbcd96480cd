// TensorBoard event files, written natively: scalars by tag and step.
//
// A record is its length (u64 little-endian), the masked CRC32C of those 8 bytes, the protobuf Event, and the
// masked CRC32C of it; mask(c) = rotate right 15, plus 0xa282ead8. The first record says "brain.Event:2". Not
// thread-safe.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace orthant {

[[nodiscard]] uint32_t crc32c(std::string_view bytes);
[[nodiscard]] std::string event_record(std::string_view event);
[[nodiscard]] std::string version_event(double wall_seconds);
[[nodiscard]] std::string scalar_event(double wall_seconds, int64_t step,
                                       const std::vector<std::pair<std::string, double>>& scalars);

}  // namespace orthant
