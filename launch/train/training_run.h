// The job of `orthant train`, a step at a time, so that a sweep can let several trainings take turns on one
// reading of their data. Collective over the world of its invocation; main thread only.
#pragma once

#include <memory>

#include "launch/program/job_memory.h"
#include "launch/program/verb.h"
#include "runtime/comm/world.h"
#include "runtime/core/stopwatch.h"
#include "runtime/job/activation_source.h"
#include "runtime/job/checkpoint_schedule.h"
#include "sae/training/trainer.h"
#include "sae/training/training_loop.h"

namespace orthant::launch {

class TrainingWatch;

class TrainingRun {
 public:
  // Reads rows of `shared`, or, where it is null, of a source of its own. `invocation`, of the verb train,
  // and `shared` outlive the run. Throws what makes the training impossible.
  explicit TrainingRun(Invocation& invocation, ActivationSource* shared = nullptr);
  ~TrainingRun();
  TrainingRun(const TrainingRun&) = delete;
  TrainingRun& operator=(const TrainingRun&) = delete;

  // One step.
  sae::TrainingState advance();
  // After kFinished: measures, writes the dictionary and the result.
  ExitCode finish();

  // Rows trained on so far, and in all. Local.
  [[nodiscard]] int64_t tokens_done() const;
  [[nodiscard]] int64_t tokens() const;

 private:
  [[nodiscard]] sae::TrainingLoop loop();

  Invocation& invocation_;
  World& world_;
  Stopwatch stopwatch_;
  MeshShape mesh_;
  JobMemory memory_;
  std::unique_ptr<ActivationSource> own_source_;
  ActivationSource* source_ = nullptr;
  Grid grid_;
  std::unique_ptr<sae::Trainer> trainer_;
  std::unique_ptr<Checkpoints> checkpoints_;
  CheckpointSchedule schedule_;
  std::unique_ptr<TrainingWatch> watch_;
  std::unique_ptr<sae::TrainingSession> session_;
};

}  // namespace orthant::launch
