// Steps until the tokens are used up, with checkpoints, metrics and stops at step boundaries.
//
// Continues at the newest valid checkpoint. A stop that any rank wants, a checkpoint that rank 0 finds due
// and non-finite numbers are agreed by all ranks before anybody acts. Collective over the world; main thread
// only.
#pragma once

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
  // Called on every rank for each step that is logged; `seconds` since the last such call.
  std::function<void(const StepReport&, double seconds, int64_t steps)> logged = [](const StepReport&, double,
                                                                                    int64_t) {};
  std::function<void(int64_t steps_done)> saved = [](int64_t) {};
};

enum class TrainingEnd { kFinished, kStopped };

// Throws Error(kNonFinite) when loss or gradients leave the finite range; the last checkpoint is then from
// before.
TrainingEnd run_training(Trainer& trainer, ActivationSource& source, TrainingLoop& loop);

}  // namespace orthant::sae
