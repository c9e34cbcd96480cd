// Whether this host has room for what a job would allocate.
#pragma once

#include <cstdint>
#include <string>

namespace orthant::launch {

// Throws Error(kConfig) where `ranks` ranks of this host, each of which needs `bytes`, need more than it has
// left. `what`: "this training". To be called before any of the ranks allocates.
void refuse_beyond_host(const std::string& what, int64_t bytes, int ranks, const std::string& suggestion);

// "1.5 GiB"
[[nodiscard]] std::string size_text(double bytes);

}  // namespace orthant::launch
