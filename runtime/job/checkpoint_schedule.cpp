#include "runtime/job/checkpoint_schedule.h"

#include <fmt/format.h>

#include <ctime>
#include <iomanip>
#include <sstream>

#include "runtime/core/error.h"

namespace orthant {
namespace {

constexpr std::chrono::seconds kRoomToSave{60};

std::optional<std::chrono::system_clock::time_point> parse_local_time(std::string_view text) {
  if (text.empty()) return std::nullopt;
  for (const char* format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"}) {
    std::tm time{};
    time.tm_isdst = -1;
    std::istringstream stream{std::string(text)};
    stream >> std::get_time(&time, format);
    if (!stream.fail() && (stream.peek() == std::char_traits<char>::eof())) {
      return std::chrono::system_clock::from_time_t(std::mktime(&time));
    }
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("stop_before = '{}' is no time", text),
                                  .suggestion = "Write it as YYYY-MM-DDTHH:MM, local time."});
}

}  // namespace

CheckpointSchedule::CheckpointSchedule(const CheckpointConfig& config, std::string_view stop_before,
                                       std::function<Clock::time_point()> now)
    : every_steps_(config.every_steps()),
      every_(config.every_minutes() * 60.0),
      now_(std::move(now)),
      last_saved_(now_()),
      stop_before_(parse_local_time(stop_before)) {}

bool CheckpointSchedule::due(int64_t steps_done) const {
  if (steps_done == saved_step_) return false;
  if (every_steps_ > 0 && steps_done % every_steps_ == 0) return true;
  return every_.count() > 0.0 && now_() - last_saved_ >= every_;
}

void CheckpointSchedule::saved(int64_t steps_done) {
  last_saved_ = now_();
  saved_step_ = steps_done;
}

bool CheckpointSchedule::stop_due() const {
  return stop_before_ && now_() + kRoomToSave >= *stop_before_;
}

}  // namespace orthant
