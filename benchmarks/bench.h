// What every benchmark shares: flags, repetitions against a calibrated peak, and the JSON of the last line.
//
// The peak of fused multiply-adds is measured before and after each repetition on all threads at once,
// because hosts slow down and recover; a repetition counts against the mean of its two peaks. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace orthant::benchmarks {

// Flags that every benchmark of an encoder understands.
struct Flags {
  int64_t d_model = 576;
  int64_t latents = 16384;
  int64_t batch = 4096;
  int64_t k = 64;
  int threads = 0;  // 0: all
  int repetitions = 7;
  bool json = false;   // only the last line
  bool check = false;  // compare results with a reference, exit 70 where they differ
};

// Reads the flags and sets OpenMP's threads; throws Error(kUsage) for what it does not know.
[[nodiscard]] Flags read_flags(int argc, char** argv);

struct Timing {
  double ms_p50 = 0.0;
  double ms_p95 = 0.0;
  double fraction_of_peak = 0.0;  // median over repetitions
  double peak_gflops = 0.0;       // median over repetitions, of all threads
};

// Runs `work` of `flop` floating point operations once to warm up, then `repetitions` times.
[[nodiscard]] Timing measure(int repetitions, double flop, const std::function<void()>& work);

struct Result {
  std::string what;
  std::string kernel;
  int64_t rows_at_once = 0;
  Timing timing;
  std::vector<std::pair<std::string, double>> numbers = {};  // what else it measured
};

// A table on standard output (not with --json), then the first result with all others beside it as one JSON
// line.
void print(const Flags& flags, const std::vector<Result>& results);

// Runs `body`, prints an Error as the program does; the exit code.
[[nodiscard]] int run(int argc, char** argv, const std::function<void(const Flags&)>& body);

}  // namespace orthant::benchmarks
