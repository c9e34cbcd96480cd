// When a checkpoint is due, by steps and by wall clock, and when a run has to stop. Decided by rank 0 alone;
// ranks agree on what it says. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

#include "runtime/job/config.pb.h"

namespace orthant {

class CheckpointSchedule {
 public:
  using Clock = std::chrono::system_clock;
  // `stop_before` is local time, "YYYY-MM-DDTHH:MM[:SS]", or empty; throws Error(kConfig) when it cannot be
  // read. `now` stands in for the clock in tests.
  CheckpointSchedule(const CheckpointConfig& config, std::string_view stop_before,
                     std::function<Clock::time_point()> now = Clock::now);

  // Never of the step that was saved last.
  [[nodiscard]] bool due(int64_t steps_done) const;
  // Also of the step that a continued run starts from.
  void saved(int64_t steps_done);
  // Whether another step and a checkpoint may no longer end before the time: one minute is kept for both.
  [[nodiscard]] bool stop_due() const;

 private:
  int64_t every_steps_;
  std::chrono::duration<double> every_;
  std::function<Clock::time_point()> now_;
  Clock::time_point last_saved_;
  int64_t saved_step_ = -1;  // none yet
  std::optional<Clock::time_point> stop_before_;
};

}  // namespace orthant
