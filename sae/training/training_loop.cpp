#include "sae/training/training_loop.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "runtime/core/error.h"
#include "runtime/job/faults.h"

namespace orthant::sae {
namespace {

constexpr uint64_t kStop = 1;
constexpr uint64_t kSave = 2;
constexpr uint64_t kNonFinite = 4;

[[noreturn]] void stop_for_non_finite(const StepReport& report) {
  throw Error(ExitCode::kNonFinite,
              {.problem = fmt::format("the loss is {} at step {}", report.loss, report.step),
               .why = "activations or parameters left the finite range",
               .suggestion = "Lower train.lr, or look for extreme rows (source.exclude.norm_ratio). The last "
                             "checkpoint is from before."});
}

}  // namespace

TrainingSession::TrainingSession(Trainer& trainer, ActivationSource& source, TrainingLoop loop)
    : trainer_(trainer), source_(source), loop_(std::move(loop)) {
  bool loaded = false;
  if (loop_.checkpoints != nullptr) {
    const std::array<Checkpointable*, 1> objects = {&trainer_};
    loaded = loop_.checkpoints->load(objects).has_value();
    if (loaded) trainer_.after_load();
  }
  if (!loaded && loop_.initialize) loop_.initialize();
  if (!loaded && !loop_.initialize) trainer_.initialize(source_);
  first_step_ = trainer_.steps_done();
  if (loaded) saved_at_ = first_step_;
  loop_.begins(first_step_);
}

void TrainingSession::save() {
  saved_at_ = trainer_.steps_done();
  if (loop_.checkpoints == nullptr) return;
  CheckpointPoint point{.step = trainer_.steps_done(), .values = {}};
  point.values["config_key"] = loop_.config_key;
  point.values["tokens"] = std::to_string(trainer_.steps_done() * trainer_.config().batch_tokens);
  const std::array<Checkpointable*, 1> objects = {&trainer_};
  if (loop_.checkpoints->save(point, objects)) loop_.saved(trainer_.steps_done());
}

void TrainingSession::step() {
  const auto begun = Clock::now();
  const int64_t step = trainer_.steps_done();
  fault_point("train.step");
  const bool logs = step % loop_.log_every == 0 || step + 1 == trainer_.config().steps;
  const StepReport report = trainer_.step(source_, logs);
  if (step == first_step_) loop_.control->end_startup();
  uint64_t word = report.finite ? 0 : kNonFinite;
  if (loop_.stop_wanted()) word |= kStop;
  if (loop_.control->rank() == 0 && loop_.checkpoint_due(trainer_.steps_done())) word |= kSave;
  word = loop_.control->bit_or(word);
  if ((word & kNonFinite) != 0) stop_for_non_finite(report);
  ++unlogged_steps_;
  if (logs) {
    unlogged_ += Clock::now() - begun;
    loop_.logged(report, std::chrono::duration<double>(unlogged_).count(), std::exchange(unlogged_steps_, 0));
    unlogged_ = {};
  }
  const auto rest = logs ? Clock::now() : begun;
  if ((word & (kSave | kStop)) != 0) save();
  if ((word & kStop) != 0 && trainer_.steps_done() < trainer_.config().steps)
    state_ = TrainingState::kStopped;
  unlogged_ += Clock::now() - rest;
}

TrainingState TrainingSession::advance() {
  if (state_ != TrainingState::kRunning) return state_;
  if (trainer_.steps_done() < trainer_.config().steps) step();
  if (trainer_.steps_done() < trainer_.config().steps) return state_;
  if (saved_at_ != trainer_.steps_done()) save();
  return state_ = TrainingState::kFinished;
}

TrainingState run_training(Trainer& trainer, ActivationSource& source, TrainingLoop loop) {
  TrainingSession session(trainer, source, std::move(loop));
  TrainingState state = session.advance();
  while (state == TrainingState::kRunning) state = session.advance();
  return state;
}

}  // namespace orthant::sae
