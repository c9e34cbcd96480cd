#include "runtime/core/log.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "runtime/core/error.h"

namespace orthant {
namespace {

std::string_view label(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
    case LogLevel::kOff:
      return "off";
  }
  return "?";
}

}  // namespace

LogLevel log_level_from_name(std::string_view name) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError, LogLevel::kOff}) {
    if (label(level) == name) return level;
  }
  throw Error(ExitCode::kConfig, {.problem = fmt::format("log_level '{}' is unknown", name),
                                  .suggestion = "Use debug, info, warning, error or off."});
}

Log::Log(int rank, LogLevel level, bool echoes) : rank_(rank), level_(level), echoes_(echoes) {}

Log::~Log() {
  if (file_ != nullptr) std::fclose(file_);
}

void Log::open_file(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::FILE* opened = std::fopen(path.c_str(), "a");
  if (opened == nullptr) {
    throw Error(ExitCode::kIo, {.problem = fmt::format("cannot write the log '{}'", path),
                                .why = std::strerror(errno),
                                .suggestion = "Choose another --out."});
  }
  if (file_ != nullptr) std::fclose(file_);
  file_ = opened;
}

void Log::write(LogLevel level, std::string_view message) {
  if (level < level_) return;
  const auto now = std::chrono::time_point_cast<std::chrono::seconds>(std::chrono::system_clock::now());
  const std::string line =
      fmt::format("{:%Y-%m-%dT%H:%M:%S} [{}] {}: {}\n", fmt::gmtime(now), rank_, label(level), message);
  const std::lock_guard lock(mutex_);
  if (file_ != nullptr) {
    std::fputs(line.c_str(), file_);
    std::fflush(file_);
  }
  if (rank_ == 0 && echoes_) std::fputs(line.c_str(), stderr);
}

}  // namespace orthant
