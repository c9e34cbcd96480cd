#include "models/tasks/harness/task_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>

#include "models/tasks/divergence_totals.h"
#include "models/tasks/harness/gsm8k.h"
#include "models/tasks/harness/mmlu_subjects.h"
#include "models/tasks/harness/response.h"
#include "models/text/python_text.h"
#include "models/tokenizer/tokenizer.h"
#include "runtime/core/error.h"

namespace orthant::models {
namespace {

using Scores = std::span<const std::vector<RequestScore>>;

constexpr double kNoError = std::numeric_limits<double>::quiet_NaN();

double log_prob_of(const RequestScore& score, NumericMode mode) {
  return mode == NumericMode::kF32 ? score.log_prob : score.log_prob_bf16;
}

void refuse_nan(Scores scores) {
  for (size_t d = 0; d < scores.size(); ++d) {
    for (const RequestScore& score : scores[d]) {
      if (!std::isnan(score.log_prob) && !std::isnan(score.log_prob_bf16)) continue;
      throw Error(ExitCode::kNonFinite, {.problem = fmt::format("document {} has no score", d),
                                         .why = "a log-likelihood of it is not a number",
                                         .suggestion = "Look at the model with orthant lm perplexity."});
    }
  }
}

void refuse_none(const TaskSpec& task, size_t documents) {
  if (documents > 0) return;
  throw Error(ExitCode::kConfig, {.problem = fmt::format("task {} has no scored document", task.name),
                                  .why = "a metric needs one",
                                  .suggestion = "Give a larger --limit."});
}

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

struct Spread {
  double mean = 0.0;
  double squares = 0.0;  // of the distances to the mean
};

Spread spread_of(std::span<const double> values) {
  Spread spread{.mean = sum_of(values) / static_cast<double>(values.size())};
  for (const double value : values) spread.squares += (value - spread.mean) * (value - spread.mean);
  return spread;
}

TaskMetric mean_metric(const std::string& name, std::vector<double> values) {
  const Spread spread = spread_of(values);
  const int64_t counted = std::ssize(values);
  const auto count = static_cast<double>(counted);
  return {.name = name,
          .value = spread.mean,
          .standard_error = count < 2.0 ? kNoError : std::sqrt(spread.squares / (count - 1.0) / count),
          .documents = std::move(values),
          .counted = counted};
}

struct Ratio {
  double value;
  double standard_error;
};

Ratio ratio_of(std::span<const double> sums, std::span<const double> weights) {
  const DocumentMean found = mean_over_documents(sums, weights);
  return {found.mean, found.standard_error.value_or(kNoError)};
}

// exp(sum of `nll` / sum of `weights`), both [documents].
TaskMetric perplexity_metric(const std::string& name, std::span<const double> nll,
                             std::span<const double> weights) {
  const Ratio ratio = ratio_of(nll, weights);
  const double mean_weight = sum_of(weights) / static_cast<double>(weights.size());
  TaskMetric metric{.name = name,
                    .value = std::exp(ratio.value),
                    .standard_error = std::exp(ratio.value) * ratio.standard_error};
  for (size_t d = 0; d < nll.size(); ++d) {
    metric.log_documents.push_back(ratio.value + (nll[d] - ratio.value * weights[d]) / mean_weight);
  }
  return metric;
}

// Whether the choice with the largest value is right; `lengths` divide the log-likelihoods.
double is_right(const TaskDocument& document, std::span<const RequestScore> scores, bool by_length,
                NumericMode mode) {
  std::vector<double> values;
  for (size_t c = 0; c < scores.size(); ++c) {
    const double length = by_length ? static_cast<double>(document.choice_characters[c]) : 1.0;
    values.push_back(log_prob_of(scores[c], mode) / length);
  }
  const auto best = std::max_element(values.begin(), values.end());
  return best - values.begin() == document.gold ? 1.0 : 0.0;
}

std::vector<double> accuracies(std::span<const TaskDocument> documents, Scores scores, bool by_length,
                               NumericMode mode) {
  std::vector<double> right;
  for (size_t d = 0; d < documents.size(); ++d) {
    require(scores[d].size() == documents[d].requests.size(), "every choice has a score");
    right.push_back(is_right(documents[d], scores[d], by_length, mode));
  }
  return right;
}

// The documents' numbers of each group, in the order of first documents.
std::vector<std::vector<size_t>> documents_by_group(std::span<const TaskDocument> documents) {
  std::map<std::string, size_t> places;
  std::vector<std::vector<size_t>> groups;
  for (size_t d = 0; d < documents.size(); ++d) {
    const auto [place, is_first] = places.try_emplace(documents[d].group, groups.size());
    if (is_first) groups.emplace_back();
    groups[place->second].push_back(d);
  }
  return groups;
}

std::vector<double> chosen(std::span<const double> values, std::span<const size_t> numbers) {
  std::vector<double> found;
  for (const size_t number : numbers) found.push_back(values[number]);
  return found;
}

// The mean over all documents of `groups`, with the standard error of pooled variances.
TaskMetric pooled_metric(const std::string& name, std::span<const double> values,
                         std::span<const std::vector<size_t>> groups) {
  std::vector<size_t> numbers;
  double squares = 0.0;
  for (const std::vector<size_t>& group : groups) {
    squares += spread_of(chosen(values, group)).squares;
    numbers.insert(numbers.end(), group.begin(), group.end());
  }
  std::sort(numbers.begin(), numbers.end());
  TaskMetric metric = mean_metric(name, chosen(values, numbers));
  const auto count = static_cast<double>(numbers.size());
  const double freedom = count - static_cast<double>(groups.size());
  metric.standard_error = freedom > 0.0 ? std::sqrt(squares / freedom / count) : kNoError;
  return metric;
}

std::vector<TaskMetric> mmlu_metrics(std::span<const TaskDocument> documents, std::span<const double> right) {
  const auto groups = documents_by_group(documents);
  std::vector<TaskMetric> metrics = {pooled_metric("acc", right, groups)};
  for (const MmluCategory& category : mmlu_categories()) {
    std::vector<std::vector<size_t>> own;
    for (const std::vector<size_t>& group : groups) {
      const std::string& subject = documents[group.front()].group;
      const auto& subjects = category.subjects;
      if (std::find(subjects.begin(), subjects.end(), subject) != subjects.end()) own.push_back(group);
    }
    if (!own.empty()) metrics.push_back(pooled_metric("acc_" + category.name, right, own));
  }
  for (const std::vector<size_t>& group : groups)
    metrics.push_back(mean_metric("acc_" + documents[group.front()].group, chosen(right, group)));
  return metrics;
}

std::vector<TaskMetric> choice_metrics(const TaskSpec& task, std::span<const TaskDocument> documents,
                                       Scores scores, NumericMode mode) {
  if (task.name == "mmlu") return mmlu_metrics(documents, accuracies(documents, scores, false, mode));
  std::vector<TaskMetric> metrics;
  for (const std::string& name : task.metrics) {
    metrics.push_back(mean_metric(name, accuracies(documents, scores, name == "acc_norm", mode)));
  }
  return metrics;
}

// [documents], each summed over its requests or windows.
std::vector<double> nll_of(Scores scores, NumericMode mode) {
  std::vector<double> sums;
  for (const std::vector<RequestScore>& document : scores) {
    double sum = 0.0;
    for (const RequestScore& score : document) sum -= log_prob_of(score, mode);
    sums.push_back(sum);
  }
  return sums;
}

std::vector<TaskMetric> greedy_word_metrics(Scores scores, NumericMode mode) {
  std::vector<double> greedy;
  for (const std::vector<RequestScore>& document : scores) {
    const RequestScore& score = document.front();
    greedy.push_back((mode == NumericMode::kBf16 ? score.greedy_bf16 : score.greedy) ? 1.0 : 0.0);
  }
  const std::vector<double> ones(scores.size(), 1.0);
  return {mean_metric("acc", std::move(greedy)), perplexity_metric("perplexity", nll_of(scores, mode), ones)};
}

std::vector<TaskMetric> rolling_metrics(std::span<const TaskDocument> documents, Scores scores,
                                        NumericMode mode) {
  std::vector<double> words, bytes;
  for (const TaskDocument& document : documents) {
    words.push_back(static_cast<double>(white_space_pieces(document.page)));
    bytes.push_back(static_cast<double>(document.page.size()));
  }
  const std::vector<double> nll = nll_of(scores, mode);
  const Ratio per_byte = ratio_of(nll, bytes);
  return {perplexity_metric("word_perplexity", nll, words),
          perplexity_metric("byte_perplexity", nll, bytes),
          {.name = "bits_per_byte",
           .value = per_byte.value / std::numbers::ln2,
           .standard_error = per_byte.standard_error / std::numbers::ln2}};
}

std::vector<TaskMetric> window_metrics(Scores scores, NumericMode mode) {
  std::vector<double> means;
  for (const std::vector<RequestScore>& document : scores) {
    for (const RequestScore& window : document) {
      means.push_back(-log_prob_of(window, mode) / static_cast<double>(window.tokens));
    }
  }
  const std::vector<double> ones(means.size(), 1.0);
  return {perplexity_metric("perplexity", means, ones)};
}

std::vector<TaskMetric> answer_metrics(Scores scores, NumericMode mode) {
  std::vector<double> tokens;
  for (const std::vector<RequestScore>& document : scores) {
    tokens.push_back(static_cast<double>(document.front().tokens));
  }
  return {perplexity_metric("perplexity", nll_of(scores, mode), tokens)};
}

}  // namespace

std::vector<TaskMetric> task_metrics(const TaskSpec& task, std::span<const TaskDocument> documents,
                                     Scores scores, NumericMode mode) {
  refuse_none(task, scores.size());
  refuse_nan(scores);
  const bool is_windows = task.form == TaskForm::kWindows;
  require(is_windows || scores.size() == documents.size(), "every document has its scores");
  for (const auto& document : scores) require(!document.empty(), "every document has a score");
  switch (task.form) {
    case TaskForm::kChoices:
      return choice_metrics(task, documents, scores, mode);
    case TaskForm::kGreedyWord:
      return greedy_word_metrics(scores, mode);
    case TaskForm::kRolling:
      return rolling_metrics(documents, scores, mode);
    case TaskForm::kWindows:
      return window_metrics(scores, mode);
    case TaskForm::kAnswers:
      return answer_metrics(scores, mode);
    case TaskForm::kGeneration:
      break;
  }
  require(false, "a generation is marked by its text");
  return {};
}

std::vector<TaskMetric> gsm8k_metrics(const TaskSpec& task, std::span<const TaskDocument> documents,
                                      std::span<const std::string> responses) {
  refuse_none(task, documents.size());
  require(responses.size() == documents.size(), "every question has a response");
  std::vector<double> strict, flexible;
  for (size_t d = 0; d < documents.size(); ++d) {
    int64_t replaced = 0;
    const std::string response = replace_invalid_utf8(responses[d], replaced);
    const Gsm8kMatch match = gsm8k_matches(text_before_stops(response, task.stops), documents[d].answer);
    strict.push_back(match.strict ? 1.0 : 0.0);
    flexible.push_back(match.flexible ? 1.0 : 0.0);
  }
  return {mean_metric(task.metrics[0], std::move(strict)), mean_metric(task.metrics[1], std::move(flexible))};
}

}  // namespace orthant::models
