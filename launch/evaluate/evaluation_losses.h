// What a dictionary costs the language model: cross-entropy and KL with its reconstruction spliced in,
// against the model as it is and against zero ablation. Not thread-safe.
#pragma once

#include "launch/evaluate/evaluation_job.h"
#include "launch/evaluate/evaluation_text.h"
#include "models/transformer/hook.h"

namespace orthant::launch {

class EvaluationLosses {
 public:
  // Local. Finds hook point and text of the job, which outlives this and has opened its model. Throws
  // Error(kConfig) where something is missing or does not fit.
  explicit EvaluationLosses(EvaluationJob& job);

  // Collective. Fills the job's losses; rows of a larger norm stay as they are (0: no limit).
  void measure(double norm_limit);

 private:
  void check_tokens(const std::vector<int32_t>& sequence) const;

  EvaluationJob* job_;
  models::HookPoint hook_;
  EvaluationText text_;
};

}  // namespace orthant::launch
