// What is measured over rows of activations, those held out of training where there are any: reconstruction,
// statistics of latents, and the contexts in which latents fire most. Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "launch/evaluate/evaluation_job.h"
#include "runtime/job/activation_source.h"
#include "sae/measure/top_contexts.h"

namespace orthant::launch {

class EvaluationRows {
 public:
  // Local. Opens the source of the job, which outlives this. Throws Error(kConfig) where it does not fit the
  // dictionary.
  explicit EvaluationRows(EvaluationJob& job);

  // Collective. Fills the job's quality and latents.
  void measure_reconstruction();
  // Collective. After measure_reconstruction(); empty where the source has no tokens.
  [[nodiscard]] std::vector<sae::LatentContexts> find_contexts();

  // Local. The norm above which the source leaves rows out, from the median of its first rows; 0: none.
  [[nodiscard]] double norm_limit();
  [[nodiscard]] std::string identity() const { return source_->identity(); }

 private:
  EvaluationJob* job_;
  std::unique_ptr<ActivationSource> source_;
  Split split_ = Split::kHoldout;
  int64_t rows_ = 0;
};

}  // namespace orthant::launch
