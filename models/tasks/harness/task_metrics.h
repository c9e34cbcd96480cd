// The metrics of a task from the scores of its requests: pure functions of records, the same for any batch
// size, number of ranks and order of work. Thread-safe.
//
// Standard errors. Of a mean over documents: sample standard deviation / sqrt(n), as the harness has it. Of
// mmlu and its categories: from the variances within subjects pooled with weights n_s - 1, as the harness
// pools them. Of a ratio r = sum a_d / sum w_d (which the harness gives none of): the delta method over
// documents, s = sqrt(n / (n - 1) sum_d (a_d - r w_d)^2) / sum w_d; of a perplexity exp(r): exp(r) s. All are
// NaN where there are too few documents for one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/tasks/harness/task.h"

namespace orthant::models {

struct RequestScore {
  double log_prob = 0.0;       // natural logarithm, summed over the continuation or the window
  double log_prob_bf16 = 0.0;  // the same as a bf16 model gives it (pair_scoring.h)
  bool greedy = false;         // every token is the most probable one
  bool greedy_bf16 = false;    // of the logits of a bf16 model
  int64_t tokens = 0;          // scored
};

struct TaskMetric {
  std::string name;
  double value = 0.0;
  double standard_error = 0.0;
  // What the value is the mean of, in the order of documents, for paired tests; empty where it is no mean.
  std::vector<double> documents = {};
  // Of a perplexity: what its logarithm is the mean of. Where that is a ratio r, r + n (a_d - r w_d) / sum w,
  // whose differences between two runs have the delta method's standard error of their difference.
  std::vector<double> log_documents = {};
  int64_t counted = 0;  // documents it is of; 0: all of the task
};

// Which log-likelihoods are compared: those of f32, or the published digits of a bf16 model.
enum class NumericMode { kF32, kBf16 };

// The metrics of `task` in the order of task.metrics; a category of mmlu without documents is left out, and
// "acc_virology" follows them for each subject that has some, in the order of first documents.
// `scores` [documents][requests]: of a rolling task [documents][windows of its page], of window_perplexity
// the windows of the text, as those of one document or one each, with any `documents`. Ties between choices
// go to the lowest. Throws Error(kConfig) where there is no document, Error(kNonFinite) for a score that is
// not a number. Not for generations: gsm8k_metrics().
[[nodiscard]] std::vector<TaskMetric> task_metrics(const TaskSpec& task,
                                                   std::span<const TaskDocument> documents,
                                                   std::span<const std::vector<RequestScore>> scores,
                                                   NumericMode mode = NumericMode::kF32);

// Of gsm8k: `responses` [documents] as generated; what follows a stop string is cut off.
[[nodiscard]] std::vector<TaskMetric> gsm8k_metrics(const TaskSpec& task,
                                                    std::span<const TaskDocument> documents,
                                                    std::span<const std::string> responses);

}  // namespace orthant::models
