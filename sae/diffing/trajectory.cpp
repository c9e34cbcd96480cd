#include "sae/diffing/trajectory.h"

#include "runtime/core/error.h"

namespace orthant::sae {

Trajectory follow(const std::vector<std::vector<bool>>& present) {
  require(!present.empty(), "a trajectory has a stage");
  Trajectory found{.stages = std::vector<StagePresence>(present.size()), .is_specific = present.back()};
  for (size_t stage = 0; stage < present.size(); ++stage) {
    require(present[stage].size() == present.front().size(), "every stage tells of the same latents");
    StagePresence& counts = found.stages[stage];
    for (size_t latent = 0; latent < present[stage].size(); ++latent) {
      const bool is_here = present[stage][latent];
      const bool was_before = stage > 0 && present[stage - 1][latent];
      counts.present += is_here ? 1 : 0;
      counts.gained += stage > 0 && is_here && !was_before ? 1 : 0;
      counts.lost += was_before && !is_here ? 1 : 0;
      if (is_here && stage + 1 < present.size()) found.is_specific[latent] = false;
    }
  }
  return found;
}

}  // namespace orthant::sae
