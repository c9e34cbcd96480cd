#include "launch/train/training_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/dense/peak.h"
#include "kernels/isa/isa.h"
#include "launch/config.pb.h"
#include "launch/source/open_source.h"
#include "launch/source/source_hook.h"
#include "launch/train/train_config.h"
#include "launch/train/train_plan.h"
#include "runtime/job/metrics.h"
#include "runtime/job/progress.h"
#include "runtime/job/run_directory.h"
#include "runtime/job/signals.h"
#include "runtime/storage/stored_source.h"
#include "sae/dictionary/host_dictionary.h"
#include "sae/exchange/load_dictionary.h"
#include "sae/training/training_result.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

void refuse_empty(const Source& config, const ActivationSource& source) {
  const bool is_stored = config.store_size() > 0 || config.has_array();
  if (!is_stored || source.rows(Split::kTrain) > 0) return;
  const ExcludedRows excluded = source.excluded();
  throw Error(
      ExitCode::kData,
      {.problem = fmt::format("{} has no rows to train on", path_of(config)),
       .why = fmt::format("left out by token {}, by position {}, by norm {}; held out {}", excluded.token_ids,
                          excluded.positions, excluded.norm_ratio, source.rows(Split::kHoldout)),
       .suggestion = "Harvest more text, or loosen source.exclude and source.holdout."});
}

Scalars scalars_of(const sae::StepReport& r, const sae::Conventions& c, double seconds_per_step,
                   double tokens) {
  Scalars scalars = {
      {"losses/loss", r.loss},
      {"losses/reconstruction", r.reconstruction},
      {"losses/auxiliary", r.auxiliary},
      {"losses/orthogonality", r.orthogonality},
      {"metrics/explained_variance", 1.0 - r.squared_error / r.variance},
      {"sparsity/l0", r.l0},
      {"sparsity/dead_latents", static_cast<double>(r.dead_latents)},
      {"sparsity/dead_fraction", static_cast<double>(r.dead_latents) / static_cast<double>(c.latents)},
      {"details/lr", r.lr},
      {"details/threshold", r.threshold},
      {"details/second_round_rows", static_cast<double>(r.second_round_rows)},
      {"system/seconds_per_step", seconds_per_step},
      {"system/tokens_per_second", tokens / seconds_per_step}};
  if (c.max_grad_norm > 0.0) scalars.emplace_back("details/gradient_norm", r.gradient_norm);
  return scalars;
}

std::string kernels_of(Device device) {
  return device == kCpu ? std::string(kernels::name_of(kernels::active_isa())) : "of " + to_string(device);
}

// Collective. What all ranks together could do with nothing but multiply-adds, all at once: flop a second.
// The best of a few times ten milliseconds, because threads start and hosts are busy. 0 where it is not
// known, of devices.
double peak_flops(Device device, ControlGroup& control) {
  constexpr int kTimes = 4;
  if (device != kCpu) return 0.0;
  int64_t best = 0;
  for (int i = 0; i < kTimes; ++i) {
    control.barrier();
    best = std::max<int64_t>(best, std::llround(kernels::peak_gflops()));
  }
  return 1e9 * static_cast<double>(control.sum(best));
}

// The products that no sparse step can do without: every row with every latent.
double necessary_flop(const sae::Trainer& trainer) {
  const sae::Dictionary& d = trainer.dictionary();
  return 2.0 * static_cast<double>(d.d_model) * static_cast<double>(d.latents) *
         static_cast<double>(trainer.config().batch_tokens);
}

}  // namespace

// What a training run shows and keeps while it runs.
class TrainingWatch {
 public:
  TrainingWatch(Invocation& invocation, const sae::Trainer& trainer, const Stopwatch& stopwatch, double peak)
      : invocation_(&invocation),
        trainer_(&trainer),
        stopwatch_(&stopwatch),
        peak_(peak),
        progress_(progress_style(invocation.common.progress(), invocation.world.rank()), "step") {}

  void begin(int64_t first_step) {
    begun_ = stopwatch_->seconds();
    first_step_ = first_step;
    if (invocation_->run == nullptr) return;
    invocation_->run->begin_attempt("step", first_step);
    metrics_ =
        std::make_unique<MetricsWriter>(invocation_->run->path(), first_step, invocation_->world.rank() == 0);
  }

  void log(const sae::StepReport& report, double seconds, int64_t steps) {
    const sae::TrainerConfig& config = trainer_->config();
    const double per_step = seconds / static_cast<double>(steps);
    const auto tokens = static_cast<double>(config.batch_tokens);
    const double io = (trainer_->source_seconds() - source_seconds_) / seconds;
    source_seconds_ = trainer_->source_seconds();
    Scalars scalars = scalars_of(report, config.conventions, per_step, tokens);
    const bool has_peak = peak_ > 0.0;
    const double speed_of_light = has_peak ? necessary_flop(*trainer_) / per_step / peak_ : -1.0;
    if (has_peak) scalars.emplace_back("system/speed_of_light", speed_of_light);
    scalars.emplace_back("system/io_share", io);
    const int64_t sent = sent_bytes_ + trainer_->sent_bytes() - entered_at_ - logged_bytes_;
    logged_bytes_ += sent;
    scalars.emplace_back("system/sent_bytes_per_step",
                         static_cast<double>(sent) / static_cast<double>(steps));
    if (metrics_) metrics_->write(report.step, (report.step + 1) * config.batch_tokens, elapsed(), scalars);
    const double dead =
        static_cast<double>(report.dead_latents) / static_cast<double>(config.conventions.latents);
    progress_.show({.done = report.step + 1,
                    .total = config.steps,
                    .text = fmt::format("fvu {:.3f} l0 {:.1f} dead {:.1f}%",
                                        report.squared_error / report.variance, report.l0, 100.0 * dead),
                    .tokens_per_second = tokens / per_step,
                    .speed_of_light = speed_of_light,
                    .source_share = io,
                    .seconds_left = per_step * static_cast<double>(config.steps - report.step - 1)});
  }

  // Seconds of steps so far.
  [[nodiscard]] double elapsed() const { return stopwatch_->seconds() - begun_; }
  [[nodiscard]] int64_t first_step() const { return first_step_; }
  // Around each step: trainings that take turns may share their groups of ranks.
  void enter() { entered_at_ = trainer_->sent_bytes(); }
  void leave() { sent_bytes_ += trainer_->sent_bytes() - entered_at_; }
  // By the steps of this attempt, of this rank.
  [[nodiscard]] int64_t sent_bytes() const { return sent_bytes_; }

 private:
  Invocation* invocation_;
  const sae::Trainer* trainer_;
  const Stopwatch* stopwatch_;
  double peak_;  // flop a second of all ranks; 0: not known
  Progress progress_;
  std::unique_ptr<MetricsWriter> metrics_;
  double begun_ = 0.0;  // on the stopwatch
  int64_t first_step_ = 0;
  double source_seconds_ = 0.0;  // when it was logged last
  int64_t entered_at_ = 0;       // counters of the groups when the step at hand began
  int64_t sent_bytes_ = 0;       // by the steps before it
  int64_t logged_bytes_ = 0;
};

namespace {

void load_start(sae::Trainer& trainer, const std::string& init) {
  Memory memory;
  const sae::DictionaryFile start = sae::load_dictionary(init, memory);
  trainer.initialize_from(start.dictionary);
}

// Without the fields of execution: the same job leaves the same bytes wherever and however it ran.
std::map<std::string, std::string> provenance(const Invocation& invocation, const ActivationSource& source,
                                              const sae::TrainerConfig& trained) {
  std::map<std::string, std::string> texts = schedule_texts(trained);
  texts["source"] = source.identity();
  texts["hook"] = hook_of(invocation.own<Train>().source());
  texts["config"] = invocation.config.job_text();
  texts["config_key"] = to_hex(invocation.config.key());
  return texts;
}

MeshShape mesh_of(const Invocation& invocation) {
  const Mesh& asked = invocation.common.mesh();
  return resolve_mesh({asked.data(), asked.dictionary()}, invocation.world.size());
}

}  // namespace

TrainingRun::TrainingRun(Invocation& invocation, ActivationSource* shared)
    : invocation_(invocation),
      world_(invocation.world),
      mesh_(mesh_of(invocation)),
      memory_(invocation.device),
      source_(shared),
      schedule_(invocation.common.checkpoint(), invocation.common.stop_before()) {
  const Stopwatch::Scope running(stopwatch_);
  const Train& own = invocation.own<Train>();
  if (own.source().has_model()) refuse_undetermined_model(invocation.common, invocation.device);
  agree(*world_.control, "plan its memory", [&] {
    predict_training(invocation.common, own, mesh_, world_.rank(), world_.local_size, shared == nullptr,
                     memory_);
  });
  agree(*world_.control, "open the activation source", [&] {
    if (shared != nullptr) return;
    own_source_ =
        open_source(own.source(), invocation.common.seed(), world_, memory_.host(), memory_.device(),
                    invocation.log, kernels::precision_from_name(own.precision()));
    source_ = own_source_.get();
  });
  sae::TrainerConfig config = trainer_config(invocation.common, own, mesh_, source_->d_model());
  if (own.has_init()) {
    agree(*world_.control, "read --init",
          [&] { take_schedule(sae::dictionary_header(own.init()), own, config); });
  }
  refuse_empty(own.source(), *source_);
  grid_ = make_grid(*world_.data, mesh_);
  trainer_ = std::make_unique<sae::Trainer>(config, source_->d_model(), world_, grid_, memory_.device());
  invocation.log.info("mesh {}x{} (data x dictionary), replicas agree by {}, kernels {}, precision {}",
                      mesh_.data, mesh_.dictionary, name_of(config.data_parallel),
                      kernels_of(invocation.device), own.precision());
  invocation.log.info("memory of this rank\n{}", memory_.table());
  if (invocation.run != nullptr) {
    checkpoints_ =
        std::make_unique<Checkpoints>(invocation.run->checkpoint_folder(),
                                      invocation.common.checkpoint().keep(), *world_.control, invocation.log);
  }
  watch_ = std::make_unique<TrainingWatch>(invocation, *trainer_, stopwatch_,
                                           peak_flops(invocation.device, *world_.control));
  session_ = std::make_unique<sae::TrainingSession>(*trainer_, *source_, loop());
}

TrainingRun::~TrainingRun() = default;

sae::TrainingLoop TrainingRun::loop() {
  const Train& own = invocation_.own<Train>();
  sae::TrainingLoop loop;
  loop.control = world_.control.get();
  loop.checkpoints = checkpoints_.get();
  loop.config_key = to_hex(invocation_.config.key());
  loop.log_every = own.train().log_every();
  loop.stop_wanted = [this] { return stop_requested() || (world_.rank() == 0 && schedule_.stop_due()); };
  loop.checkpoint_due = [this](int64_t steps) { return schedule_.due(steps); };
  loop.saved = [this](int64_t steps) { schedule_.saved(steps); };
  if (own.has_init()) loop.initialize = [this, &own] { load_start(*trainer_, own.init()); };
  loop.begins = [this](int64_t first_step) {
    schedule_.saved(first_step);
    watch_->begin(first_step);
  };
  loop.logged = [this](const sae::StepReport& report, double seconds, int64_t steps) {
    watch_->log(report, seconds, steps);
  };
  return loop;
}

sae::TrainingState TrainingRun::advance() {
  const Stopwatch::Scope running(stopwatch_);
  watch_->enter();
  const sae::TrainingState state = session_->advance();
  watch_->leave();
  return state;
}

int64_t TrainingRun::tokens_done() const {
  return trainer_->steps_done() * trainer_->config().batch_tokens;
}

int64_t TrainingRun::tokens() const {
  return trainer_->config().steps * trainer_->config().batch_tokens;
}

ExitCode TrainingRun::finish() {
  const double seconds = watch_->elapsed();
  const Stopwatch::Scope running(stopwatch_);
  const auto steps = static_cast<double>(trainer_->steps_done() - watch_->first_step());
  const double tokens = steps * static_cast<double>(trainer_->config().batch_tokens);
  json::object result =
      training_result(*trainer_, *source_, grid_, invocation_.own<Train>().train().holdout_rows());
  result["seconds"] = seconds;
  result["own_seconds"] = stopwatch_.seconds();
  result["tokens_per_second"] = seconds > 0.0 ? tokens / seconds : 0.0;
  result["sent_bytes_per_step"] = steps > 0.0 ? static_cast<double>(watch_->sent_bytes()) / steps : 0.0;
  result["memory_bytes"] = world_.control->max(memory_.device().allocated_bytes());
  result["peak_resident_bytes"] = world_.control->max(peak_resident_bytes());
  if (invocation_.run != nullptr) {
    Stream stream;
    const sae::HostDictionary host(trainer_->dictionary());
    write_dictionary_file(*host, provenance(invocation_, *source_, trainer_->config()),
                          invocation_.run->file(sae::kDictionaryFile), *grid_.dictionary,
                          grid_.data->rank() == 0, stream);
  }
  return invocation_.finish(result);
}

}  // namespace orthant::launch
