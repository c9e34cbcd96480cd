// A pass of a job over codes with what a job owes its user: progress, checkpoints, and an end when asked.
//
// Collective over the world where the pass is. Not thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "launch/program/verb.h"
#include "runtime/job/checkpoint_schedule.h"
#include "runtime/job/progress.h"
#include "runtime/storage/checkpoint.h"
#include "sae/scoring/code_pass.h"

namespace orthant::launch {

class AttendedPass {
 public:
  // Checkpoints of `objects` lie in `folder`; empty: none are made.
  AttendedPass(Invocation& call, const std::string& folder, std::vector<Checkpointable*> objects);
  // Whether there was a checkpoint.
  [[nodiscard]] bool load();
  // Runs `pass` from block `first`. blocks_done(): of the objects, after a merge.
  [[nodiscard]] sae::PassEnd run(sae::CodePass pass, int64_t first,
                                 const std::function<int64_t()>& blocks_done,
                                 const std::function<sae::PassEnd(const sae::CodePass&)>& run_pass);
  // Of run().
  [[nodiscard]] double seconds() const { return seconds_; }
  [[nodiscard]] int64_t rows() const { return rows_; }

 private:
  Invocation& call_;
  std::vector<Checkpointable*> objects_;
  std::unique_ptr<Checkpoints> checkpoints_;
  CheckpointSchedule schedule_;
  double seconds_ = 0.0;
  int64_t rows_ = 0;
};

}  // namespace orthant::launch
