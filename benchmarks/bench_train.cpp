// One training step of a dictionary: bench_train [--architecture=topk|batchtopk|ortsae] [--d_model=N]
// [--latents=N] [--batch=N] [--k=N] [--threads=N] [--repetitions=N] [--source=synthetic|STORE] [--period=N]
// [--mesh.data=N] [--mesh.dictionary=N] [--device=cpu|cuda] [--precision=f32|tf32|bf16]
// [--optimizer=true|false] [--card=h100] [--predict] [--json] [--check].
//
// Under mpirun it measures the step sharded over the ranks. fraction_of_peak sets the product of the encoder
// alone (2 d_model latents batch operations) against the whole step, at the peak of all ranks measured around
// each step. On CUDA the step that the plan's model predicts of the card stands beside it; --predict prints
// that alone and needs no device.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <memory>
#include <vector>

#include "benchmarks/device_peak.h"
#include "benchmarks/reference_step.h"
#include "benchmarks/train_flags.h"
#include "kernels/dense/reduce_parts.h"
#include "kernels/isa/isa.h"
#include "launch/program/version.h"
#include "runtime/comm/device_choice.h"
#include "runtime/comm/world.h"
#include "runtime/device/device_rates.h"
#include "runtime/storage/stored_source.h"
#include "sae/studies/synthetic_source.h"
#include "sae/training/trainer.h"
#include "sae/training/training_plan.h"

namespace orthant::benchmarks {
namespace {

constexpr int kWarmUpSteps = 2;
constexpr int64_t kCheckedRows = 128;

// Batches drawn before the clock runs, given again and again.
class PreparedBatches : public ActivationSource {
 public:
  PreparedBatches(ActivationSource& from, int64_t rows, Memory& memory)
      : held_(memory, "prepared batches", {rows, from.d_model()}), identity_(from.identity()) {
    from.read(Split::kTrain, 0, held_.view(), nullptr);
  }
  [[nodiscard]] int64_t d_model() const override { return held_.shape()[1]; }
  [[nodiscard]] int64_t rows(Split) const override { return held_.shape()[0]; }
  void read(Split, int64_t first, Matrix<float> into, RowLabels*) override {
    for (int64_t done = 0; done < into.shape[0];) {
      const int64_t row = (first + done) % held_.shape()[0];
      const int64_t count = std::min(into.shape[0] - done, held_.shape()[0] - row);
      const auto part = held_.view().rows(row, count);
      std::memcpy(into.row(done), part.data, static_cast<size_t>(part.bytes()));
      done += count;
    }
  }
  [[nodiscard]] std::string identity() const override { return identity_; }

 private:
  Tensor<float, 2> held_;  // [rows, d_model]
  std::string identity_;
};

std::unique_ptr<ActivationSource> open_source(const TrainFlags& flags, Memory& memory) {
  if (flags.source != "synthetic") {
    Source config;
    config.add_store(flags.source);
    return open_array_or_store(config, 0, memory);
  }
  Synthetic config;
  config.set_features(2048);
  config.set_d_model(flags.shape.d_model);
  config.set_l0(16);
  sae::SyntheticSource generator(config, 0, memory);
  return std::make_unique<PreparedBatches>(generator, 3 * flags.shape.batch, memory);
}

sae::TrainerConfig trainer_config(const TrainFlags& flags, int64_t batch, MeshShape mesh, int64_t d_model) {
  sae::Sae dictionary;
  dictionary.set_preset(flags.architecture);
  dictionary.set_latents(flags.shape.latents);
  dictionary.set_k(flags.shape.k);
  if (flags.architecture == "ortsae") dictionary.mutable_orthogonality()->set_period(flags.period);
  sae::TrainerConfig config;
  config.conventions = sae::resolve_conventions(dictionary, {});
  config.conventions.encoder_precision = flags.precision;
  config.batch_tokens = batch;
  config.steps = 1000;
  config.updates = flags.optimizer;
  config.data_parallel = sae::choose_data_parallel(
      "auto", {batch, d_model, config.conventions.latents, config.conventions.k, mesh.dictionary, mesh.data});
  return config;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t bytes_sent(const World& world, const Grid& grid) {
  return world.data->traffic().total() + grid.dictionary->traffic().total() + grid.data->traffic().total();
}

double quantile(std::vector<double> values, double fraction) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(fraction * static_cast<double>(values.size() - 1) + 0.5)];
}

struct Steps {
  std::vector<double> milliseconds;      // of the slowest rank
  std::vector<double> cpu_milliseconds;  // processor time over threads, of the rank that used most
  std::vector<double> peak_gflops;       // of all ranks, around each step
  int64_t bytes_on_the_wire = 0;         // of a step, sent by all ranks
  sae::StepReport last;
};

Steps measure_steps(const TrainFlags& flags, Device device, World& world, Grid& grid, sae::Trainer& trainer,
                    ActivationSource& source) {
  Steps steps;
  DevicePeak peak(device, flags.precision);
  ControlGroup& control = *world.control;
  for (int i = 0; i < kWarmUpSteps; ++i) steps.last = trainer.step(source);
  trainer.wait();
  const auto peak_of_all = [&] {
    control.barrier();
    return static_cast<double>(control.sum(static_cast<int64_t>(peak.gflops() * 1e3))) / 1e3;
  };
  const int64_t sent_before = bytes_sent(world, grid);
  double before = peak_of_all();
  for (int i = 0; i < flags.shape.repetitions; ++i) {
    control.barrier();
    const double start = seconds();
    const std::clock_t cpu_start = std::clock();
    steps.last = trainer.step(source);
    trainer.wait();
    const auto nanoseconds = static_cast<int64_t>(1e9 * (seconds() - start));
    const std::clock_t cpu = (std::clock() - cpu_start) / omp_get_max_threads();
    steps.cpu_milliseconds.push_back(1e3 * static_cast<double>(control.max(cpu)) / CLOCKS_PER_SEC);
    steps.milliseconds.push_back(static_cast<double>(control.max(nanoseconds)) / 1e6);
    const double after = peak_of_all();
    steps.peak_gflops.push_back((before + after) / 2);
    before = after;
  }
  steps.bytes_on_the_wire = control.sum((bytes_sent(world, grid) - sent_before) / flags.shape.repetitions);
  return steps;
}

// The squared error that a first step reports against the formulas in double precision, on a few rows.
double check_first_step(const TrainFlags& flags, Device device, World& world, Grid& grid, MeshShape mesh,
                        ActivationSource& source) {
  Memory memory;
  Memory there(device);
  const int64_t rows = std::max<int64_t>(mesh.data, std::min(kCheckedRows, flags.shape.batch));
  const sae::TrainerConfig config = trainer_config(flags, rows, mesh, source.d_model());
  sae::Trainer trainer(config, source.d_model(), world, grid, there);
  trainer.initialize(source);
  const sae::StepReport report = trainer.step(source);

  World alone = make_self_world();
  Grid whole = make_grid(*alone.data, {1, 1});
  sae::Trainer single(trainer_config(flags, rows, {1, 1}, source.d_model()), source.d_model(), alone, whole,
                      memory);
  single.initialize(source);
  Tensor<float, 2> x(memory, "batch", {rows, source.d_model()});
  source.read(Split::kTrain, 0, x.view(), nullptr);
  const double expected = reference_squared_error(single.dictionary(), x.view());
  const double difference = std::abs(report.squared_error - expected) / expected;
  // Sums of d_model products round to about sqrt(d_model) times a unit of the operands; near ties may fall to
  // another latent.
  const double most = flags.precision == kernels::Precision::kF32 ? 1e-5 : 1e-2;
  if (!(difference < most)) {
    throw Error(ExitCode::kInternal,
                {.problem = fmt::format("the squared error of a step is {}, by its formulas {}",
                                        report.squared_error, expected),
                 .why = "the trainer and the double-precision reference disagree"});
  }
  return difference;
}

boost::json::object to_json(const TrainFlags& flags, const World& world, MeshShape mesh, const Steps& steps) {
  const Flags& shape = flags.shape;
  const double flop =
      2.0 * static_cast<double>(shape.d_model * shape.latents) * static_cast<double>(shape.batch);
  std::vector<double> fractions;
  for (size_t i = 0; i < steps.milliseconds.size(); ++i) {
    fractions.push_back(flop / (steps.milliseconds[i] * 1e6) / steps.peak_gflops[i]);
  }
  const double ms = quantile(steps.milliseconds, 0.5);
  const double peak = quantile(steps.peak_gflops, 0.5);
  return {{"what", "train_step"},
          {"architecture", flags.architecture},
          {"source", flags.source},
          {"d_model", shape.d_model},
          {"latents", shape.latents},
          {"batch", shape.batch},
          {"k", shape.k},
          {"period", flags.period},
          {"precision", kernels::name_of(flags.precision)},
          {"optimizer", flags.optimizer},
          {"threads", omp_get_max_threads()},
          {"world", world.size()},
          {"mesh", {{"data", mesh.data}, {"dictionary", mesh.dictionary}}},
          {"ms_p50", ms},
          {"ms_p95", quantile(steps.milliseconds, 0.95)},
          {"ms_min", *std::min_element(steps.milliseconds.begin(), steps.milliseconds.end())},
          {"cpu_ms_min", *std::min_element(steps.cpu_milliseconds.begin(), steps.cpu_milliseconds.end())},
          {"ms", boost::json::array(steps.milliseconds.begin(), steps.milliseconds.end())},
          {"ideal_ms", flop / peak / 1e6},
          {"peak_gflops", peak},
          {"fraction_of_peak", quantile(fractions, 0.5)},
          {"tokens_per_second", static_cast<double>(shape.batch) / ms * 1e3},
          {"bytes_on_the_wire", steps.bytes_on_the_wire},
          {"loss", steps.last.loss},
          {"l0", steps.last.l0},
          {"kernel", flags.device == "cuda" ? std::string("cublasLt")
                                            : fmt::format("own {}", kernels::name_of(kernels::active_isa()))},
          {"git", launch::git_hash()}};
}

// Stated figures are of bf16 products: tensor cores take tf32 operands, of twice the size, at half the rate.
DeviceRates rates_of(const TrainFlags& flags) {
  DeviceRates rates = stated_rates(flags.card);
  if (flags.precision == kernels::Precision::kTF32) {
    rates.flops /= 2;
    rates.value_bytes *= 2;
  }
  return rates;
}

// What the plan's model says of a step on the card, nothing measured.
boost::json::object prediction(const TrainFlags& flags, MeshShape mesh) {
  const sae::TrainerConfig config = trainer_config(flags, flags.shape.batch, mesh, flags.shape.d_model);
  const sae::MeshPlan plan = sae::plan_mesh(config, flags.shape.d_model, mesh, 0, rates_of(flags));
  const double seconds = plan.time.total();
  return {{"card", flags.card},
          {"ms", 1e3 * seconds},
          {"tokens_per_second", static_cast<double>(flags.shape.batch) / seconds},
          {"products_ms", 1e3 * plan.time.products},
          {"rows_ms", 1e3 * plan.time.rows},
          {"optimizer_ms", 1e3 * plan.time.optimizer},
          {"penalty_ms", 1e3 * plan.time.penalty},
          {"wire_ms", 1e3 * plan.time.wire},
          {"memory_bytes", plan.footprint.memory_bytes}};
}

int print_prediction(const TrainFlags& flags, const World& world) {
  const MeshShape mesh = resolve_mesh(flags.mesh, world.size());
  if (world.rank() != 0) return 0;
  const boost::json::object line = {
      {"what", "train_step_prediction"},      {"architecture", flags.architecture},
      {"d_model", flags.shape.d_model},       {"latents", flags.shape.latents},
      {"batch", flags.shape.batch},           {"k", flags.shape.k},
      {"optimizer", flags.optimizer},         {"precision", kernels::name_of(flags.precision)},
      {"predicted", prediction(flags, mesh)}, {"git", launch::git_hash()}};
  fmt::print("{}\n", boost::json::serialize(line));
  return 0;
}

int bench(TrainFlags flags, World world, MpiSession& session) {
  if (flags.predict_only) return print_prediction(flags, world);
  if (flags.shape.threads == 0) omp_set_num_threads(std::max(1, omp_get_max_threads() / world.local_size));
  const Device device = choose_device(flags.device, world.local_rank, *world.control);
  session.use_device(world, device, kernels::cuda::reduce_parts);
  const MeshShape mesh = resolve_mesh(flags.mesh, world.size());
  Memory memory;
  Memory there(device);
  std::unique_ptr<ActivationSource> source;
  agree(*world.control, "opening the activation source", [&] { source = open_source(flags, memory); });
  flags.shape.d_model = source->d_model();
  Grid grid = make_grid(*world.data, mesh);
  double difference = 0.0;
  if (flags.shape.check) difference = check_first_step(flags, device, world, grid, mesh, *source);

  const sae::TrainerConfig config = trainer_config(flags, flags.shape.batch, mesh, source->d_model());
  sae::Trainer trainer(config, source->d_model(), world, grid, there);
  trainer.initialize(*source);
  const Steps steps = measure_steps(flags, device, world, grid, trainer, *source);

  boost::json::object line = to_json(flags, world, mesh, steps);
  line["device"] = to_string(device);
  line["trainer_bytes"] = world.control->max(there.allocated_bytes());
  line["peak_resident_bytes"] = world.control->max(peak_resident_bytes());
  if (device.kind == DeviceKind::kCuda) line["predicted"] = prediction(flags, mesh);
  if (flags.shape.check) line["check_relative_difference"] = difference;
  if (world.rank() != 0) return 0;
  if (!flags.shape.json) {
    fmt::print("{}: {:.0f} ms a step, {:.0f} tokens/s, {:.0f} % of the ideal step ({:.0f} ms)\n",
               flags.architecture, line["ms_p50"].as_double(), line["tokens_per_second"].as_double(),
               100 * line["fraction_of_peak"].as_double(), line["ideal_ms"].as_double());
  }
  fmt::print("{}\n", boost::json::serialize(line));
  return 0;
}

}  // namespace
}  // namespace orthant::benchmarks

int main(int argc, char** argv) {
  using namespace orthant;
  MpiSession session;
  return run_ranks(session, [&](World world) {
    return benchmarks::bench(benchmarks::read_train_flags(argc, argv), std::move(world), session);
  });
}
