// How far a run is, for people: a bar with tokens/s and ETA on a terminal, one line every 30 s otherwise.
// Written by rank 0 to standard error. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace orthant {

enum class ProgressStyle { kBar, kLine, kNone };

// "auto" becomes a bar where standard error is a terminal, lines otherwise; other ranks than 0 show nothing.
[[nodiscard]] ProgressStyle progress_style(std::string_view name, int rank);

struct ProgressPoint {
  int64_t done = 0;
  int64_t total = 0;
  std::string text;              // what the job adds: "fvu 0.213 l0 64.0 dead 1.2%"
  double tokens_per_second = 0;  // recent
  double speed_of_light =
      -1;                    // share of the peak that the strictly necessary products need; negative: unknown
  double source_share = -1;  // share of the time that went into waiting for the source; negative: unknown
  double seconds_left = -1;  // negative: unknown
};

// "step 1234 [34%] fvu 0.213 l0 64.0 dead 1.2% | 412k tok/s sol 41% io 3% | eta 00:23"
[[nodiscard]] std::string progress_line(std::string_view counted, const ProgressPoint& point);

class Progress {
 public:
  Progress(ProgressStyle style, std::string_view counted) : style_(style), unit_(counted) {}
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // Shows the point when it is time to; the last one (done == total) always.
  void show(const ProgressPoint& point);

 private:
  ProgressStyle style_;
  std::string unit_;
  bool open_ = false;  // the cursor stands in a bar
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace orthant
