#include "runtime/job/progress.h"

#include <gtest/gtest.h>

#include "runtime/core/error.h"
#include "runtime/job/checkpoint_schedule.h"

namespace orthant {
namespace {

TEST(ProgressLine, ReadsAsStated) {
  EXPECT_EQ(progress_line("step", {.done = 1234,
                                   .total = 3630,
                                   .text = "fvu 0.213 l0 64.0 dead 1.2%",
                                   .tokens_per_second = 412345,
                                   .speed_of_light = 0.41,
                                   .source_share = 0.03,
                                   .seconds_left = 23}),
            "step 1234 [34%] fvu 0.213 l0 64.0 dead 1.2% | 412.3k tok/s sol 41% io 3% | eta 00:23");
}

TEST(CheckpointSchedule, IsDueByStepsAndByTime) {
  CheckpointConfig config;
  config.set_every_steps(10);
  config.set_every_minutes(2);
  CheckpointSchedule::Clock::time_point now{};
  CheckpointSchedule schedule(config, "", [&] { return now; });
  EXPECT_FALSE(schedule.due(9));
  EXPECT_TRUE(schedule.due(10));
  now += std::chrono::minutes(2);
  EXPECT_TRUE(schedule.due(11));
  schedule.saved(11);
  EXPECT_FALSE(schedule.due(12));
  EXPECT_FALSE(schedule.stop_due());
}

TEST(CheckpointSchedule, IsNotDueForTheStepThatWasSaved) {
  CheckpointConfig config;
  config.set_every_steps(10);
  config.set_every_minutes(2);
  CheckpointSchedule::Clock::time_point now{};
  CheckpointSchedule schedule(config, "", [&] { return now; });
  schedule.saved(20);
  EXPECT_FALSE(schedule.due(20));
  now += std::chrono::minutes(3);
  EXPECT_FALSE(schedule.due(20));
  EXPECT_TRUE(schedule.due(21));
}

TEST(CheckpointSchedule, StopsAMinuteBeforeTheTime) {
  CheckpointSchedule::Clock::time_point now = std::chrono::system_clock::now();
  const std::time_t at = std::chrono::system_clock::to_time_t(now + std::chrono::minutes(10));
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", std::localtime(&at));
  CheckpointSchedule schedule({}, text, [&] { return now; });
  EXPECT_FALSE(schedule.stop_due());
  now += std::chrono::minutes(9) + std::chrono::seconds(1);
  EXPECT_TRUE(schedule.stop_due());
  EXPECT_THROW(CheckpointSchedule({}, "tomorrow"), Error);
}

}  // namespace
}  // namespace orthant
