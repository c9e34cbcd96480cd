// The learning rate of a step, as a share of `lr`.
#pragma once

#include <cstdint>

namespace orthant::sae {

// Linear warm-up from 0 (the rate is 0 at step 0), constant, then linear decay to 0 from step
// round(decay_start * steps). decay_start >= 1: no decay.
struct LearningRateSchedule {
  int64_t steps = 0;
  int64_t warm_up_steps = 0;
  double decay_start = 1.0;
  [[nodiscard]] double factor(int64_t step) const;
};

}  // namespace orthant::sae
