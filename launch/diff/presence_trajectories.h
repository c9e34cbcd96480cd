// The tables of `diff presence` that follow latents along chains of named stages. Not Collective.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

namespace orthant::launch {

// A chain as the configuration writes it, "S:D:F", and the numbers of its stages.
struct StageChain {
  std::string text;
  std::vector<size_t> stages;
};

// Throws Error(kConfig) for a chain of fewer than two stages and for a name that is none of `names`.
[[nodiscard]] std::vector<StageChain> parse_chains(const std::vector<std::string>& texts,
                                                   const std::vector<std::string>& names);

// Whether each latent is present in each stage [stages][latents]: of those asked for, and of the others that
// they are compared with.
struct StagePresences {
  std::vector<std::vector<bool>> asked;
  std::vector<std::vector<bool>> random;
};

// One row for each stage of each chain: shares present, gained and lost.
[[nodiscard]] boost::json::array trajectory_rows(const std::vector<StageChain>& chains,
                                                 const std::vector<std::string>& names,
                                                 const StagePresences& presences);
// One row for each chain and one for all of them together: latents that its last stage alone has. `asked`:
// the numbers of the latents.
[[nodiscard]] boost::json::array specific_rows(const std::vector<StageChain>& chains,
                                               const StagePresences& presences,
                                               const std::vector<int64_t>& asked);

}  // namespace orthant::launch
