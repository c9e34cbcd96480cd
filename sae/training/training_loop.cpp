#include "sae/training/training_loop.h"

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "runtime/core/error.h"
#include "runtime/job/faults.h"

namespace orthant::sae {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;
constexpr uint64_t kNonFinite = 4;

void save(Trainer& trainer, TrainingLoop& loop) {
  if (loop.checkpoints == nullptr) return;
  CheckpointPoint point{.step = trainer.steps_done(), .values = {}};
  point.values["config_key"] = loop.config_key;
  point.values["tokens"] = std::to_string(trainer.steps_done() * trainer.config().batch_tokens);
  const std::array<Checkpointable*, 1> objects = {&trainer};
  if (loop.checkpoints->save(point, objects)) loop.saved(trainer.steps_done());
}

[[noreturn]] void stop_for_non_finite(const StepReport& report) {
  throw Error(ExitCode::kNonFinite,
              {.problem = fmt::format("the loss is {} at step {}", report.loss, report.step),
               .why = "activations or parameters left the finite range",
               .suggestion = "Lower train.lr, or look for extreme rows (source.exclude.norm_ratio). The last "
                             "checkpoint is from before."});
}

}  // namespace

TrainingEnd run_training(Trainer& trainer, ActivationSource& source, TrainingLoop& loop) {
  bool loaded = false;
  if (loop.checkpoints != nullptr) {
    const std::array<Checkpointable*, 1> objects = {&trainer};
    loaded = loop.checkpoints->load(objects).has_value();
    if (loaded) trainer.after_load();
  }
  if (!loaded && loop.initialize) loop.initialize();
  if (!loaded && !loop.initialize) trainer.initialize(source);
  const int64_t first_step = trainer.steps_done();
  loop.begins(first_step);

  using Clock = std::chrono::steady_clock;
  auto last = Clock::now();
  int64_t steps_since = 0;
  int64_t saved_at = loaded ? trainer.steps_done() : -1;
  while (trainer.steps_done() < trainer.config().steps) {
    const int64_t step = trainer.steps_done();
    fault_point("train.step");
    const bool logs = step % loop.log_every == 0 || step + 1 == trainer.config().steps;
    const StepReport report = trainer.step(source, logs);
    ++steps_since;
    if (step == first_step) loop.control->end_startup();
    uint64_t word = report.finite ? 0 : kNonFinite;
    if (loop.stop_wanted()) word |= kStop;
    if (loop.control->rank() == 0 && loop.checkpoint_due(trainer.steps_done())) word |= kSave;
    word = loop.control->bit_or(word);
    if ((word & kNonFinite) != 0) stop_for_non_finite(report);
    if (logs) {
      const auto now = Clock::now();
      loop.logged(report, std::chrono::duration<double>(now - last).count(), steps_since);
      last = now;
      steps_since = 0;
    }
    if ((word & (kSave | kStop)) != 0) {
      save(trainer, loop);
      saved_at = trainer.steps_done();
    }
    if ((word & kStop) != 0 && trainer.steps_done() < trainer.config().steps) return TrainingEnd::kStopped;
  }
  if (saved_at != trainer.steps_done()) save(trainer, loop);
  return TrainingEnd::kFinished;
}

}  // namespace orthant::sae
