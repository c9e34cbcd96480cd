// The decisions of a step, taken together: every rank leaves with the same answer.
//
// Flags of all ranks are joined by OR; where a rank failed, the lowest failing rank is found by a second
// exchange, which a good step never makes. Collective; main thread.
#pragma once

#include <cstdint>
#include <optional>

#include "runtime/comm/control_group.h"

namespace orthant {

// What one rank has to say about the step.
struct StepReport {
  bool stop = false;        // a signal arrived, or the time is up
  bool save = false;        // a checkpoint is due; decided by rank 0
  bool non_finite = false;  // this rank's numbers left the finite range
};

// What all ranks do.
struct StepDecision {
  bool stop = false;
  bool save = false;
  std::optional<int> first_non_finite_rank = std::nullopt;
};

// Collective.
[[nodiscard]] StepDecision decide_step(ControlGroup& group, StepReport report);

}  // namespace orthant
