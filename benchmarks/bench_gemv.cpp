// Batch-1 products that skip inputs (kernels/sparse) beside dense ones of the same weights in the same
// format: what N:M activation sparsity gains when one token is decoded at a time.
//
// All products of a shape and format take turns in every repetition, so that a host that slows down slows
// all; a skipping product includes its selection. The dense product to beat is the faster of matmul_nt with
// one row and the input-major one with all inputs kept. fraction_of_peak is of the rate at which the same
// threads only read the same memory; small weights stay in the cache. --threads=N: N only, else 1 and all.
#include <fmt/format.h>
#include <omp.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <vector>

#include "benchmarks/bench.h"
#include "benchmarks/random_values.h"
#include "kernels/dense/gemm.h"
#include "kernels/dense/peak.h"
#include "kernels/isa/isa.h"
#include "kernels/ref/skipping_gemv.h"
#include "kernels/sparse/mask_bitmap.h"
#include "kernels/sparse/skipping_gemv.h"

namespace orthant::benchmarks {
namespace {

using kernels::InputMajorWeights;
using kernels::WeightFormat;

struct Shape {
  const char* model;
  int64_t inputs;
  int64_t outputs;
  int count;  // of the projections of a block that have this shape
};
// k and v of grouped queries are left out.
constexpr Shape kShapes[] = {{"smollm2", 576, 576, 2}, {"smollm2", 576, 1536, 2}, {"smollm2", 1536, 576, 1},
                             {"llama", 4096, 4096, 2}, {"llama", 4096, 14336, 2}, {"llama", 14336, 4096, 1}};

struct Pattern {
  int64_t keep;
  int64_t group;
};
constexpr Pattern kPatterns[] = {{2, 4}, {4, 8}, {8, 16}, {16, 32}};

// Of a single thread the time that it had a core, so that other programs of the host do not count.
double seconds() {
  if (omp_get_max_threads() == 1) {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double at_fraction(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(fraction * static_cast<double>(values.size() - 1) + 0.5)];
}

// Reads memory and nothing else.
uint64_t read_all(const std::byte* data, int64_t bytes) {
  const auto* const words = reinterpret_cast<const uint64_t*>(data);
  uint64_t sum = 0;
#pragma omp parallel for reduction(+ : sum) schedule(static)
  for (int64_t i = 0; i < bytes / 8; ++i) sum += words[i];
  return sum;
}

// What is timed, and how many bytes of weights it reads.
struct Contender {
  std::string what;
  double bytes;
  std::function<void()> work;
  std::vector<double> times = {};  // seconds
};

struct Problem {
  Problem(const Shape& of_shape, WeightFormat in_format)
      : shape(of_shape),
        format(in_format),
        x(random_values(shape.inputs, 1)),
        values(random_values(shape.inputs * shape.outputs, 2)),
        out(static_cast<size_t>(shape.outputs)),
        inputs(static_cast<size_t>(shape.inputs)),
        activations(static_cast<size_t>(shape.inputs)) {
    // More than any cache holds.
    constexpr int64_t kCold = 128 << 20;
    do {
      copies.emplace_back(memory, "weights", shape.outputs, shape.inputs, format);
      copies.back().pack({values.data(), {shape.outputs, shape.inputs}}, stream);
    } while (static_cast<int64_t>(copies.size()) * copies.back().bytes() < kCold);
  }
  [[nodiscard]] size_t next() { return ++last % copies.size(); }
  [[nodiscard]] int64_t all_bytes() const {
    return static_cast<int64_t>(copies.size()) * copies.front().bytes();
  }
  void skip(Pattern pattern) {
    const int64_t count = kernels::kept_count(shape.inputs, pattern.keep, pattern.group);
    const kernels::KeptInputs kept = {{inputs.data(), {count}}, {activations.data(), {count}}};
    kernels::kept_inputs({x.data(), {shape.inputs}}, pattern.keep, pattern.group, kept, stream);
    kernels::skipping_gemv(kept, copies[next()], {out.data(), {shape.outputs}}, stream);
  }
  Shape shape;
  WeightFormat format;
  Memory memory;
  Stream stream;
  std::vector<float> x, values, out;
  std::vector<int32_t> inputs;
  std::vector<float> activations;
  std::vector<InputMajorWeights> copies;
  size_t last = 0;
};

// As many copies for the dense product of the project in the format; none where it has it not.
std::vector<kernels::PackedWeights> panels_of(Problem& problem) {
  std::vector<kernels::PackedWeights> panels;
  if (problem.format == WeightFormat::kQ8) return panels;
  const auto precision =
      problem.format == WeightFormat::kF32 ? kernels::Precision::kF32 : kernels::Precision::kBF16;
  for (size_t i = 0; i < problem.copies.size(); ++i) {
    panels.emplace_back(problem.memory, "panels", problem.shape.outputs, problem.shape.inputs, precision);
    panels.back().pack({problem.values.data(), {problem.shape.outputs, problem.shape.inputs}},
                       problem.stream);
  }
  return panels;
}

void check(Problem& problem) {
  const int64_t inputs = problem.shape.inputs, outputs = problem.shape.outputs;
  std::vector<float> unpacked(problem.values.size());
  problem.copies.front().unpack({unpacked.data(), {outputs, inputs}});
  for (const Pattern pattern : kPatterns) {
    problem.skip(pattern);
    const auto kept = static_cast<size_t>(kernels::kept_count(inputs, pattern.keep, pattern.group));
    const auto expected =
        kernels::ref::skipping_gemv({problem.inputs.data(), kept}, {problem.activations.data(), kept},
                                    {unpacked.data(), {outputs, inputs}});
    double largest = 0.0;
    for (size_t o = 0; o < expected.size(); ++o)
      largest = std::max(largest, std::abs(expected[o] - static_cast<double>(problem.out[o])));
    const auto depth = static_cast<double>(kept);
    require(largest <= 1.2e-7 * depth * std::sqrt(depth), "the skipping product equals the reference");
  }
}

Result result_of(const Contender& contender, const Problem& problem, double dense_ms, double best_dense_ms,
                 double read_rate) {
  const double median = at_fraction(contender.times, 0.5);
  const Timing timing = {.ms_p50 = median * 1e3,
                         .ms_p95 = at_fraction(contender.times, 0.95) * 1e3,
                         .fraction_of_peak = contender.bytes / median / read_rate,
                         .peak_gflops = kernels::peak_gflops()};
  return {contender.what,
          fmt::format("{} {}", name_of(problem.format), kernels::name_of(kernels::active_isa())),
          1,
          timing,
          {{"inputs", static_cast<double>(problem.shape.inputs)},
           {"outputs", static_cast<double>(problem.shape.outputs)},
           {"threads", omp_get_max_threads()},
           {"gbytes_per_second", contender.bytes / median / 1e9},
           {"times_dense", dense_ms / timing.ms_p50},
           {"ms_best", at_fraction(contender.times, 0.0) * 1e3},
           {"times_dense_best", best_dense_ms / (at_fraction(contender.times, 0.0) * 1e3)}}};
}

void print_row(const Flags& flags, const Problem& problem, const Result& result) {
  if (flags.json) return;
  fmt::print(
      "{:<8} {:>5} x {:<5} {:<5} {:>2} {:<16} {:>9.4f} {:>9.4f} {:>7.1f} {:>6.0f}% {:>6.2f} {:>9.4f} "
      "{:>6.2f}\n",
      problem.shape.model, problem.shape.inputs, problem.shape.outputs, name_of(problem.format),
      omp_get_max_threads(), result.what, result.timing.ms_p50, result.timing.ms_p95,
      result.numbers[3].second, 100 * result.timing.fraction_of_peak, result.numbers[4].second,
      result.numbers[5].second, result.numbers[6].second);
}

std::vector<Contender> contenders_of(Problem& problem, const std::vector<kernels::PackedWeights>& panels) {
  const auto bytes = static_cast<double>(problem.copies.front().bytes());
  std::vector<Contender> contenders;
  if (!panels.empty()) {
    // Its panels are f32 in either precision.
    contenders.push_back({"matmul_nt", 4.0 * static_cast<double>(problem.values.size()), [&problem, &panels] {
                            kernels::matmul_nt(
                                {problem.x.data(), {1, problem.shape.inputs}}, panels[problem.next()],
                                {problem.out.data(), {1, problem.shape.outputs}}, problem.stream);
                          }});
  }
  contenders.push_back({"input-major dense", bytes, [&problem] { problem.skip({1, 1}); }});
  for (const Pattern pattern : kPatterns) {
    contenders.push_back({fmt::format("skipping {}:{}", pattern.keep, pattern.group),
                          bytes * static_cast<double>(pattern.keep) / static_cast<double>(pattern.group),
                          [&problem, pattern] { problem.skip(pattern); }});
  }
  return contenders;
}

// Medians in the order of the contenders, those of skipping products after the best dense one.
std::vector<Result> race(const Flags& flags, Problem& problem, std::vector<Contender> contenders) {
  const auto at_once = static_cast<int64_t>(problem.copies.size());
  double read_rate = 0.0;
  for (int repetition = -1; repetition < flags.repetitions; ++repetition) {
    const double start = seconds();
    for (const InputMajorWeights& copy : problem.copies) {
      volatile uint64_t sum = read_all(copy.rows().data, copy.bytes());
      (void)sum;
    }
    read_rate = std::max(read_rate, static_cast<double>(problem.all_bytes()) / (seconds() - start));
    for (Contender& contender : contenders) {
      const double before = seconds();
      for (int64_t i = 0; i < at_once; ++i) contender.work();
      if (repetition >= 0) contender.times.push_back((seconds() - before) / static_cast<double>(at_once));
    }
  }
  double dense_ms = INFINITY, best_dense_ms = INFINITY;
  for (const Contender& contender : contenders) {
    if (contender.what.starts_with("skipping")) continue;
    dense_ms = std::min(dense_ms, at_fraction(contender.times, 0.5) * 1e3);
    best_dense_ms = std::min(best_dense_ms, at_fraction(contender.times, 0.0) * 1e3);
  }
  std::vector<Result> results;
  for (const Contender& contender : contenders) {
    results.push_back(result_of(contender, problem, dense_ms, best_dense_ms, read_rate));
    print_row(flags, problem, results.back());
  }
  return results;
}

// Time of the projections of one block with the faster dense product, and with each pattern: medians, and the
// fastest repetitions.
struct BlockTime {
  std::string model;
  double dense_ms = 0.0, best_dense_ms = 0.0;
  std::vector<double> skipping_ms = std::vector<double>(std::size(kPatterns));
  std::vector<double> best_skipping_ms = std::vector<double>(std::size(kPatterns));
};

void add_to(BlockTime& block, const Shape& shape, const std::vector<Result>& results) {
  const size_t first = results.size() - std::size(kPatterns);
  const Result& any = results[first];
  block.dense_ms += shape.count * any.timing.ms_p50 * any.numbers[4].second;
  block.best_dense_ms += shape.count * any.numbers[5].second * any.numbers[6].second;
  for (size_t i = 0; i < std::size(kPatterns); ++i) {
    block.skipping_ms[i] += shape.count * results[first + i].timing.ms_p50;
    block.best_skipping_ms[i] += shape.count * results[first + i].numbers[5].second;
  }
}

void print_blocks(const Flags& flags, WeightFormat format, const std::vector<BlockTime>& blocks,
                  std::vector<Result>& all) {
  for (const BlockTime& block : blocks) {
    for (size_t i = 0; i < std::size(kPatterns); ++i) {
      const double times = block.dense_ms / block.skipping_ms[i];
      const double best_times = block.best_dense_ms / block.best_skipping_ms[i];
      const std::string what =
          fmt::format("{} block {}:{}", block.model, kPatterns[i].keep, kPatterns[i].group);
      if (!flags.json) {
        fmt::print(
            "{:<20} {:<5} {} threads: dense {:.3f} ms, skipping {:.3f} ms, {:.2f} times; best {:.2f}\n", what,
            name_of(format), omp_get_max_threads(), block.dense_ms, block.skipping_ms[i], times, best_times);
      }
      all.push_back(
          {what,
           fmt::format("{} {}", name_of(format), kernels::name_of(kernels::active_isa())),
           1,
           {.ms_p50 = block.skipping_ms[i]},
           {{"threads", omp_get_max_threads()}, {"times_dense", times}, {"times_dense_best", best_times}}});
    }
  }
}

// Of a row of the widest shape: finding what survives, and its mask as a bitmap.
void bench_masks(const Flags& flags, std::vector<Result>& all) {
  constexpr int64_t kWidth = 14336;
  const std::vector<float> x = random_values(kWidth, 3);
  Stream stream;
  for (const Pattern pattern : kPatterns) {
    const int64_t count = kernels::kept_count(kWidth, pattern.keep, pattern.group);
    std::vector<int32_t> inputs(static_cast<size_t>(count));
    std::vector<float> values(inputs.size());
    std::vector<uint8_t> bitmap(static_cast<size_t>(kernels::mask_bytes(kWidth)));
    const Timing found = measure(flags.repetitions, 1.0, [&] {
      kernels::kept_inputs({x.data(), {kWidth}}, pattern.keep, pattern.group,
                           {{inputs.data(), {count}}, {values.data(), {count}}}, stream);
    });
    const Timing encoded =
        measure(flags.repetitions, 1.0, [&] { kernels::encode_mask(inputs, kWidth, bitmap); });
    std::vector<int32_t> again;
    const Timing decoded =
        measure(flags.repetitions, 1.0, [&] { again = kernels::decode_mask(bitmap, kWidth); });
    require(again == inputs, "a bitmap tells the inputs that survive");
    const kernels::MaskCost cost = kernels::mask_cost(pattern.keep, pattern.group);
    if (!flags.json) {
      fmt::print(
          "mask {:>2}:{:<2} of {}: {:.1f} us to find, {:.1f} us to encode, {:.1f} us to decode; {} bytes, "
          "entropy {:.3f} bits an element\n",
          pattern.keep, pattern.group, kWidth, 1e3 * found.ms_p50, 1e3 * encoded.ms_p50, 1e3 * decoded.ms_p50,
          bitmap.size(), cost.entropy);
    }
    all.push_back({fmt::format("mask {}:{}", pattern.keep, pattern.group),
                   std::string(kernels::name_of(kernels::active_isa())),
                   1,
                   found,
                   {{"inputs", static_cast<double>(kWidth)},
                    {"encode_ms", encoded.ms_p50},
                    {"decode_ms", decoded.ms_p50},
                    {"bytes", static_cast<double>(bitmap.size())},
                    {"entropy_bits", cost.entropy}}});
  }
}

void bench(const Flags& flags) {
  const int asked = flags.threads;
  std::vector<Result> all;
  if (!flags.json) {
    fmt::print("{:<8} {:>13} {:<5} {:>2} {:<16} {:>9} {:>9} {:>7} {:>7} {:>6} {:>9} {:>6}\n", "model",
               "in x out", "", "T", "what", "ms p50", "ms p95", "GB/s", "of peak", "times", "ms best",
               "times");
  }
  for (const WeightFormat format : {WeightFormat::kF32, WeightFormat::kBF16, WeightFormat::kQ8}) {
    std::vector<int> counts = {1};
    if (asked > 1) counts.push_back(asked);
    std::vector<std::vector<BlockTime>> blocks(counts.size(), {{.model = "smollm2"}, {.model = "llama"}});
    for (const Shape& shape : kShapes) {
      Problem problem(shape, format);
      const auto panels = panels_of(problem);
      if (flags.check) check(problem);
      for (size_t c = 0; c < counts.size(); ++c) {
        omp_set_num_threads(counts[c]);
        const auto results = race(flags, problem, contenders_of(problem, panels));
        for (BlockTime& block : blocks[c]) {
          if (block.model == shape.model) add_to(block, shape, results);
        }
        all.insert(all.end(), results.begin(), results.end());
      }
      omp_set_num_threads(asked);
    }
    for (size_t c = 0; c < counts.size(); ++c) {
      omp_set_num_threads(counts[c]);
      print_blocks(flags, format, blocks[c], all);
    }
    omp_set_num_threads(asked);
  }
  bench_masks(flags, all);
  print({.threads = asked, .json = true}, all);
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  return orthant::benchmarks::run(argc, argv, orthant::benchmarks::bench);
}
