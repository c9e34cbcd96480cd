#include "runtime/job/step_control.h"

namespace orthant {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;
constexpr uint64_t kNonFinite = 4;

}  // namespace

StepDecision decide_step(ControlGroup& group, StepReport report) {
  const uint64_t mine =
      (report.stop ? kStop : 0) | (report.save ? kSave : 0) | (report.non_finite ? kNonFinite : 0);
  const uint64_t all = group.bit_or(mine);
  StepDecision decision{.stop = (all & kStop) != 0, .save = (all & kSave) != 0};
  if ((all & kNonFinite) != 0) {
    decision.first_non_finite_rank =
        static_cast<int>(group.min(report.non_finite ? group.rank() : group.size()));
  }
  return decision;
}

}  // namespace orthant
