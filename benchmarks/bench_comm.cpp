// Bandwidth of every collective: bench_comm [--bytes=N] [--repetitions=N] [--threads=S] [--json] [--check].
//
// Under mpirun it measures the ranks of the job; alone, with --threads=S, S ranks that are threads. Bandwidth
// of the algorithm is the bytes of the result by time; of the bus, that times the part of them which must
// cross between ranks, so that it can be set against the memory or the network. The last line is one JSON
// object.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "launch/program/version.h"
#include "runtime/comm/world.h"
#include "runtime/core/dtype.h"
#include "runtime/core/error.h"
#include "runtime/device/buffer.h"

namespace orthant {
namespace {

struct Options {
  std::vector<int64_t> bytes = {8, 65536, 1 << 20, 16 << 20, 64 << 20};
  int repetitions = 10;
  int threads = 1;
  bool check = false;
  bool json = false;
};

struct Measurement {
  std::string operation;
  int64_t bytes = 0;
  double p50_ms = 0, p95_ms = 0;
  double algorithm_gb_per_s = 0, bus_gb_per_s = 0;
};

// An operation on `elements` f32 in all: its call, and the part of the bytes that crosses between ranks.
struct Collective {
  std::string name;
  double bus_factor;
  std::function<void(World&, float* send, float* receive, int64_t elements)> call;
};

std::vector<Collective> collectives(int ranks, Stream& stream) {
  const double crossing = static_cast<double>(ranks - 1) / ranks;
  return {
      {"all_reduce", 2 * crossing,
       [&stream](World& world, float* send, float*, int64_t elements) {
         world.data->all_reduce(send, elements, Dtype::kF32, ReduceOp::kSum, stream);
       }},
      {"reduce_scatter", crossing,
       [&stream, ranks](World& world, float* send, float* receive, int64_t elements) {
         world.data->reduce_scatter(send, receive, elements / ranks, Dtype::kF32, ReduceOp::kSum, stream);
       }},
      {"all_gather", crossing,
       [&stream, ranks](World& world, float* send, float* receive, int64_t elements) {
         world.data->all_gather(send, receive, elements / ranks, Dtype::kF32, stream);
       }},
      {"broadcast", 1.0,
       [&stream](World& world, float* send, float*, int64_t elements) {
         world.data->broadcast(send, elements, Dtype::kF32, 0, stream);
       }},
      {"all_to_all", crossing,
       [&stream, ranks](World& world, float* send, float* receive, int64_t elements) {
         const std::vector<int64_t> counts(static_cast<size_t>(ranks), elements / ranks);
         world.data->all_to_all(send, counts, receive, counts, Dtype::kF32, stream);
       }},
      // Not a collective: what the memory gives when every rank copies at once.
      {"copy", 1.0,
       [](World&, float* send, float* receive, int64_t elements) {
         std::memcpy(receive, send, static_cast<size_t>(elements) * sizeof(float));
       }},
      {"shift", 1.0,
       [&stream](World& world, float* send, float* receive, int64_t elements) {
         world.data->shift(send, receive, elements, Dtype::kF32, 1, stream);
       }},
  };
}

Measurement measure(World& world, const Collective& collective, int64_t bytes, int repetitions) {
  const int64_t elements = std::max<int64_t>(world.size(), bytes / 4 / world.size() * world.size());
  Buffer send(kCpu, elements * 4), receive(kCpu, elements * 4);
  zero_bytes(send.data(), kCpu, send.bytes());
  zero_bytes(receive.data(), kCpu, receive.bytes());
  std::vector<double> milliseconds;
  const int warm_ups = 3;
  for (int i = -warm_ups; i < repetitions; ++i) {
    world.control->barrier();
    const auto start = std::chrono::steady_clock::now();
    collective.call(world, reinterpret_cast<float*>(send.data()), reinterpret_cast<float*>(receive.data()),
                    elements);
    const std::chrono::duration<double, std::milli> taken = std::chrono::steady_clock::now() - start;
    if (i >= 0) milliseconds.push_back(taken.count());
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const auto quantile = [&](double q) {
    return milliseconds[static_cast<size_t>(q * static_cast<double>(milliseconds.size() - 1))];
  };
  Measurement result{collective.name, elements * 4, quantile(0.5), quantile(0.95), 0, 0};
  result.algorithm_gb_per_s = static_cast<double>(result.bytes) / result.p50_ms * 1e-6;
  result.bus_gb_per_s = result.algorithm_gb_per_s * collective.bus_factor;
  return result;
}

// The sum of ones over the ranks, at a size that crosses pieces.
void check_sum(World& world, Stream& stream) {
  std::vector<float> ones(700001, 1.0f);
  world.data->all_reduce(ones.data(), static_cast<int64_t>(ones.size()), Dtype::kF32, ReduceOp::kSum, stream);
  const auto right = std::count(ones.begin(), ones.end(), static_cast<float>(world.size()));
  require(right == static_cast<int64_t>(ones.size()), "all_reduce sums ones to the number of ranks");
}

boost::json::object to_json(const Measurement& m) {
  return {{"operation", m.operation},
          {"bytes", m.bytes},
          {"ms_p50", m.p50_ms},
          {"ms_p95", m.p95_ms},
          {"algorithm_gb_per_s", m.algorithm_gb_per_s},
          {"bus_gb_per_s", m.bus_gb_per_s}};
}

void print_table(const std::vector<Measurement>& measurements) {
  for (const Measurement& m : measurements) {
    const std::string line =
        fmt::format("{:15} {:>10} B  {:9.4f} ms  {:7.2f} GB/s  bus {:7.2f} GB/s\n", m.operation, m.bytes,
                    m.p50_ms, m.algorithm_gb_per_s, m.bus_gb_per_s);
    std::fputs(line.c_str(), stdout);
  }
}

// The longest message of an operation.
const Measurement& last_of(const std::vector<Measurement>& measurements, std::string_view operation) {
  const auto found = std::find_if(measurements.rbegin(), measurements.rend(),
                                  [&](const Measurement& m) { return m.operation == operation; });
  require(found != measurements.rend(), "every operation is measured");
  return *found;
}

void print_json(const World& world, const Options& options, const std::vector<Measurement>& measurements) {
  boost::json::array rows;
  for (const Measurement& m : measurements) rows.push_back(to_json(m));
  const Measurement& sum = last_of(measurements, "all_reduce");
  const boost::json::object line = {
      {"what", "comm"},
      {"kernel", world.data->kind()},
      {"world", world.size()},
      {"dtype", "f32"},
      {"repetitions", options.repetitions},
      {"bytes", sum.bytes},
      {"ms_p50", sum.p50_ms},
      {"ms_p95", sum.p95_ms},
      {"bus_gb_per_s", sum.bus_gb_per_s},
      {"fraction_of_peak", sum.bus_gb_per_s / last_of(measurements, "copy").bus_gb_per_s},
      {"git", launch::git_hash()},
      {"measurements", rows}};
  std::fputs((boost::json::serialize(line) + "\n").c_str(), stdout);
}

int run(World& world, const Options& options) {
  Stream stream;
  if (options.check) check_sum(world, stream);
  std::vector<Measurement> measurements;
  for (const Collective& collective : collectives(world.size(), stream)) {
    for (const int64_t bytes : options.bytes) {
      measurements.push_back(measure(world, collective, bytes, options.repetitions));
    }
  }
  if (world.rank() != 0) return 0;
  if (!options.json) print_table(measurements);
  print_json(world, options, measurements);
  return 0;
}

Options parse(std::span<char*> arguments) {
  Options options;
  for (const std::string_view argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string_view name = argument.substr(0, equals);
    const std::string value(equals == std::string_view::npos ? "" : argument.substr(equals + 1));
    if (name == "--bytes") {
      options.bytes = {std::stoll(value)};
    } else if (name == "--repetitions") {
      options.repetitions = std::max(1, std::stoi(value));
    } else if (name == "--threads") {
      options.threads = std::stoi(value);
    } else if (name == "--check") {
      options.check = true;
    } else if (name == "--json") {
      options.json = true;
    } else {
      throw Error(ExitCode::kUsage,
                  {.problem = fmt::format("unknown flag '{}'", argument),
                   .suggestion = "Use --bytes, --repetitions, --threads, --check, --json."});
    }
  }
  return options;
}

int run_all(World world, std::span<char*> arguments) {
  const Options options = parse(arguments);
  if (world.size() > 1 || options.threads == 1) return run(world, options);
  run_thread_ranks(options.threads, [&](World thread_world) { run(thread_world, options); });
  return 0;
}

}  // namespace
}  // namespace orthant

int main(int argc, char** argv) {
  const std::span<char*> arguments(argv + 1, static_cast<size_t>(argc - 1));
  return orthant::run_ranks(orthant::Deadlines{}, [&](orthant::World world) {
    return orthant::run_all(std::move(world), arguments);
  });
}
