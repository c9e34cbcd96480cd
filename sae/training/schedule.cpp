#include "sae/training/schedule.h"

#include <cmath>

namespace orthant::sae {

double LearningRateSchedule::factor(int64_t step) const {
  if (step < warm_up_steps) return static_cast<double>(step) / static_cast<double>(warm_up_steps);
  const auto decay_step = static_cast<int64_t>(std::llround(decay_start * static_cast<double>(steps)));
  if (decay_start >= 1.0 || step < decay_step) return 1.0;
  return static_cast<double>(steps - step) / static_cast<double>(steps - decay_step);
}

}  // namespace orthant::sae
