#include "runtime/job/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace orthant {
namespace {

constexpr std::chrono::milliseconds kBarEvery{200};
constexpr std::chrono::seconds kLineEvery{30};
constexpr int kBarWidth = 24;

std::string rate(double per_second) {
  if (per_second >= 1e6) return fmt::format("{:.2f}M", per_second * 1e-6);
  if (per_second >= 1e3) return fmt::format("{:.1f}k", per_second * 1e-3);
  return fmt::format("{:.0f}", per_second);
}

std::string clock_time(double seconds) {
  const auto total = static_cast<int64_t>(seconds + 0.5);
  if (total >= 3600) return fmt::format("{}:{:02}:{:02}", total / 3600, total / 60 % 60, total % 60);
  return fmt::format("{:02}:{:02}", total / 60, total % 60);
}

std::string bar(double share) {
  std::string text = "[";
  for (int i = 0; i < kBarWidth; ++i) text += i < share * kBarWidth ? '=' : ' ';
  return text + "] ";
}

}  // namespace

ProgressStyle progress_style(std::string_view name, int rank) {
  if (rank != 0 || name == "none") return ProgressStyle::kNone;
  if (name == "bar") return ProgressStyle::kBar;
  if (name == "line") return ProgressStyle::kLine;
  return isatty(STDERR_FILENO) != 0 ? ProgressStyle::kBar : ProgressStyle::kLine;
}

std::string progress_line(std::string_view counted, const ProgressPoint& point) {
  const double share =
      point.total > 0 ? static_cast<double>(point.done) / static_cast<double>(point.total) : 0.0;
  std::string line = fmt::format("{} {} [{:.0f}%]", counted, point.done, 100.0 * share);
  if (!point.text.empty()) line += " " + point.text;
  if (point.tokens_per_second > 0) line += fmt::format(" | {} tok/s", rate(point.tokens_per_second));
  if (point.speed_of_light >= 0) line += fmt::format(" sol {:.0f}%", 100.0 * point.speed_of_light);
  if (point.source_share >= 0) line += fmt::format(" io {:.0f}%", 100.0 * point.source_share);
  if (point.seconds_left >= 0) line += fmt::format(" | eta {}", clock_time(point.seconds_left));
  return line;
}

Progress::~Progress() {
  if (open_) std::fputc('\n', stderr);
}

void Progress::show(const ProgressPoint& point) {
  if (style_ == ProgressStyle::kNone) return;
  const auto now = std::chrono::steady_clock::now();
  const bool is_bar = style_ == ProgressStyle::kBar;
  const auto every = is_bar ? std::chrono::milliseconds(kBarEvery) : std::chrono::milliseconds(kLineEvery);
  if (point.done < point.total && last_.time_since_epoch().count() != 0 && now - last_ < every) return;
  last_ = now;
  const std::string line = progress_line(unit_, point);
  if (!is_bar) {
    fmt::print(stderr, "{}\n", line);
    return;
  }
  const double share =
      point.total > 0 ? static_cast<double>(point.done) / static_cast<double>(point.total) : 0.0;
  fmt::print(stderr, "\r{}{}\x1b[K", bar(share), line);
  std::fflush(stderr);
  open_ = true;
}

}  // namespace orthant
