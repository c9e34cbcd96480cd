// Steps until the tokens are used up, with checkpoints, metrics and stops at step boundaries.
//
// Continues at the newest valid checkpoint. A stop that any rank wants, a checkpoint that rank 0 finds due
// and non-finite numbers are agreed by all ranks before anybody acts. Collective over the world; main thread
// only.
#pragma once

#include <chrono>
#include <functional>

#include "runtime/storage/checkpoint.h"
#include "sae/training/trainer.h"

namespace orthant::sae {

struct TrainingLoop {
  ControlGroup* control = nullptr;
  Checkpoints* checkpoints = nullptr;  // null: none are written
  std::string config_key;              // hash of the configuration, kept in each checkpoint
  int64_t log_every = 1;
  // In place of Trainer::initialize() where no checkpoint was found; null: that.
  std::function<void()> initialize = nullptr;
  // Asked on every rank after each step.
  std::function<bool()> stop_wanted = [] { return false; };
  // Asked on rank 0 after each step.
  std::function<bool(int64_t steps_done)> checkpoint_due = [](int64_t) { return false; };
  // Called on every rank once the first step is known, after loading.
  std::function<void(int64_t first_step)> begins = [](int64_t) {};
  // Called on every rank for each step that is logged; `seconds` spent in `steps` steps since the last such
  // call.
  std::function<void(const StepReport&, double seconds, int64_t steps)> logged = [](const StepReport&, double,
                                                                                    int64_t) {};
  std::function<void(int64_t steps_done)> saved = [](int64_t) {};
};

enum class TrainingState { kRunning, kFinished, kStopped };

// A training under way, a step at a time, so that several can take turns. The trainer and the source outlive
// it.
class TrainingSession {
 public:
  // Loads the newest checkpoint or initialises.
  TrainingSession(Trainer& trainer, ActivationSource& source, TrainingLoop loop);

  // One step and what comes after it: the log, a checkpoint that is due, the end. Throws Error(kNonFinite)
  // when loss or gradients leave the finite range; the last checkpoint is then from before.
  TrainingState advance();

 private:
  using Clock = std::chrono::steady_clock;
  void step();
  void save();

  Trainer& trainer_;
  ActivationSource& source_;
  TrainingLoop loop_;
  TrainingState state_ = TrainingState::kRunning;
  int64_t first_step_ = 0;
  int64_t saved_at_ = -1;       // no checkpoint yet
  int64_t unlogged_steps_ = 0;  // since the last that was logged
  Clock::duration unlogged_{};  // time in advance() since then
};

// Advances to the end.
TrainingState run_training(Trainer& trainer, ActivationSource& source, TrainingLoop loop);

}  // namespace orthant::sae
