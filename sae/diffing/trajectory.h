// Latents followed along a chain of stages (S, then D, then F): where they are present, where they come in
// and go (arXiv 2503.18878, section 5). Pure; thread-safe.
#pragma once

#include <cstdint>
#include <vector>

namespace orthant::sae {

// Of one stage of a chain, in latents.
struct StagePresence {
  int64_t present = 0;
  int64_t gained = 0;  // not present at the stage before; of the first stage 0
  int64_t lost = 0;    // present at the stage before and no longer; of the first stage 0
};

struct Trajectory {
  std::vector<StagePresence> stages;
  // [latents] absent from every stage but the last and present there.
  std::vector<bool> is_specific;
};

// `present` [stages][latents], a stage at least, all of the same number of latents.
[[nodiscard]] Trajectory follow(const std::vector<std::vector<bool>>& present);

}  // namespace orthant::sae
