// How much memory this host can still give, whoever asks. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

namespace orthant {

// Bytes that processes of this host can still allocate: what the kernel calls available, and no more than
// what the limits of this process's control groups leave, files in the page cache counted as free. Nothing is
// known where neither can be read: the largest number. `root` is where proc and sys are found.
[[nodiscard]] int64_t available_host_bytes(const std::string& root = "");

}  // namespace orthant
