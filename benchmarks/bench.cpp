#include "benchmarks/bench.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <string_view>

#include "kernels/dense/peak.h"
#include "runtime/core/error.h"

namespace orthant::benchmarks {
namespace {

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t number(std::string_view flag, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc() && end == text.data() + text.size() && value >= 0) return value;
  throw Error(ExitCode::kUsage, {.problem = fmt::format("{}={} cannot be used", flag, text),
                                 .why = "a whole number is expected",
                                 .suggestion = fmt::format("Write {}=4096.", flag)});
}

double percentile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  const double position = fraction * static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(position + 0.5)];
}

// The commit of the working directory, "unknown" outside a checkout.
std::string git_commit() {
  std::string commit;
  if (FILE* pipe = popen("git rev-parse --short HEAD 2>/dev/null", "r")) {
    std::array<char, 64> line{};
    if (std::fgets(line.data(), static_cast<int>(line.size()), pipe) != nullptr) commit = line.data();
    pclose(pipe);
  }
  commit.erase(std::find(commit.begin(), commit.end(), '\n'), commit.end());
  return commit.empty() ? "unknown" : commit;
}

boost::json::object to_json(const Result& result) {
  boost::json::object line = {{"what", result.what},
                              {"rows_at_once", result.rows_at_once},
                              {"ms_p50", result.timing.ms_p50},
                              {"ms_p95", result.timing.ms_p95},
                              {"fraction_of_peak", result.timing.fraction_of_peak},
                              {"peak_gflops", result.timing.peak_gflops},
                              {"kernel", result.kernel}};
  for (const auto& [name, value] : result.numbers) line[name] = value;
  return line;
}

}  // namespace

Flags read_flags(int argc, char** argv) {
  Flags flags;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? "" : argument.substr(equals + 1);
    if (name == "--d_model")
      flags.d_model = number(name, value);
    else if (name == "--latents")
      flags.latents = number(name, value);
    else if (name == "--batch")
      flags.batch = number(name, value);
    else if (name == "--k")
      flags.k = number(name, value);
    else if (name == "--threads")
      flags.threads = static_cast<int>(number(name, value));
    else if (name == "--repetitions")
      flags.repetitions = std::max(1, static_cast<int>(number(name, value)));
    else if (name == "--json")
      flags.json = true;
    else if (name == "--check")
      flags.check = true;
    else
      throw Error(ExitCode::kUsage, {.problem = fmt::format("unknown flag '{}'", argument),
                                     .suggestion = "Flags are --d_model --latents --batch --k --threads "
                                                   "--repetitions (each with =NUMBER), --json, --check."});
  }
  if (flags.threads > 0) omp_set_num_threads(flags.threads);
  flags.threads = omp_get_max_threads();
  return flags;
}

Timing measure(int repetitions, double flop, const std::function<void()>& work) {
  work();
  std::vector<double> times, fractions, peaks;
  double before = kernels::peak_gflops();
  for (int i = 0; i < repetitions; ++i) {
    const double start = seconds();
    work();
    times.push_back(seconds() - start);
    const double after = kernels::peak_gflops();
    peaks.push_back((before + after) / 2);
    fractions.push_back(flop / times.back() / 1e9 / peaks.back());
    before = after;
  }
  return {.ms_p50 = percentile(times, 0.5) * 1e3,
          .ms_p95 = percentile(times, 0.95) * 1e3,
          .fraction_of_peak = percentile(fractions, 0.5),
          .peak_gflops = percentile(peaks, 0.5)};
}

void print(const Flags& flags, const std::vector<Result>& results) {
  if (!flags.json) {
    fmt::print("{:<22} {:>7} {:>10} {:>10} {:>8} {:>12}  {}\n", "what", "rows", "ms p50", "ms p95", "of peak",
               "peak GF/s", "kernel");
    for (const Result& result : results) {
      fmt::print("{:<22} {:>7} {:>10.2f} {:>10.2f} {:>7.1f}% {:>12.1f}  {}\n", result.what,
                 result.rows_at_once, result.timing.ms_p50, result.timing.ms_p95,
                 100 * result.timing.fraction_of_peak, result.timing.peak_gflops, result.kernel);
    }
  }
  boost::json::object line = to_json(results.front());
  line["d_model"] = flags.d_model;
  line["latents"] = flags.latents;
  line["batch"] = flags.batch;
  line["k"] = flags.k;
  line["threads"] = flags.threads;
  line["git"] = git_commit();
  boost::json::array others;
  for (size_t i = 1; i < results.size(); ++i) others.push_back(to_json(results[i]));
  line["beside"] = others;
  fmt::print("{}\n", boost::json::serialize(line));
}

int run(int argc, char** argv, const std::function<void(const Flags&)>& body) {
  try {
    body(read_flags(argc, argv));
    return static_cast<int>(ExitCode::kDone);
  } catch (const Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return static_cast<int>(error.code());
  }
}

}  // namespace orthant::benchmarks
