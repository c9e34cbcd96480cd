// The log of one rank: a line per call, to this rank's file and, from rank 0, to standard error.
//
// Standard output belongs to results and is never written here. Thread-safe.
#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace orthant {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// "debug", "info", "warning", "error", "off"; throws Error(kConfig) otherwise.
[[nodiscard]] LogLevel log_level_from_name(std::string_view name);

class Log {
 public:
  // Rank 0 echoes to standard error, where `echoes`; every rank writes to the file given to open_file().
  explicit Log(int rank = 0, LogLevel level = LogLevel::kInfo, bool echoes = true);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Appends from now on; throws Error(kIo) when the file cannot be opened.
  void open_file(const std::string& path);
  void set_level(LogLevel level) { level_ = level; }

  template <typename... Args>
  void debug(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void info(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void warning(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
  }
  template <typename... Args>
  void error(fmt::format_string<Args...> format, Args&&... args) {
    write(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
  }
  void write(LogLevel level, std::string_view message);

 private:
  int rank_;
  LogLevel level_;
  bool echoes_;
  std::mutex mutex_;
  std::FILE* file_ = nullptr;
};

}  // namespace orthant
