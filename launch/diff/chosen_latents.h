// Latents that a verb of diff is asked about, and others to compare them with. Not Collective.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace orthant::launch {

// `latents` where any are given, else those that the run of score at `features` chose, else (`features`
// empty) none. Throws Error(kConfig) where the reference, which has `of` latents, has no such one,
// Error(kData) where the run chose none.
[[nodiscard]] std::vector<int64_t> chosen_latents(std::span<const int64_t> latents,
                                                  const std::string& features, int64_t of);

// `count` different latents of `of` that are not in `taken`, drawn by the seed; fewer where there are fewer.
[[nodiscard]] std::vector<int64_t> other_latents(std::span<const int64_t> taken, int64_t of, int64_t count,
                                                 uint64_t seed);

}  // namespace orthant::launch
