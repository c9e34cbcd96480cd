// How much memory the ranks of this host may use. Thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

namespace orthant {

// What to do where memory is not enough; the end of a message.
inline constexpr std::string_view kAskForLess =
    "Use fewer latents, rows or tokens at a time, or spread the run over more hosts.";

// Bytes of the machine, or of the control group this process is in where that allows less.
[[nodiscard]] int64_t host_memory_bytes();

}  // namespace orthant
