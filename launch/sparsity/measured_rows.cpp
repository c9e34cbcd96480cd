#include "launch/sparsity/measured_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "models/tasks/harness/paired_tests.h"
#include "models/tasks/ifeval/scores.h"

namespace orthant::launch {
namespace {

namespace json = boost::json;

using models::RequestScore;
using models::TaskMetric;

constexpr int64_t kResamples = 2000;

// Numbers that JSON has no form of become null.
json::value number(double value) {
  return std::isfinite(value) ? json::value(value) : json::value(nullptr);
}

bool is_better_when_low(const std::string& metric) {
  return metric.ends_with("perplexity") || metric == "bits_per_byte";
}

std::vector<std::vector<RequestScore>> scores_of(const TaskData& task,
                                                 const std::vector<const json::object*>& requests) {
  std::vector<std::vector<RequestScore>> scores(task.documents.size());
  for (const json::object* request : requests) {
    const auto document = request->at("doc").to_number<size_t>();
    const json::value* const bf16 = request->if_contains("log_prob_bf16");
    scores.at(document).push_back({.log_prob = request->at("log_prob").to_number<double>(),
                                   .log_prob_bf16 = bf16 == nullptr ? 0.0 : bf16->to_number<double>(),
                                   .greedy = request->at("greedy").as_bool(),
                                   .greedy_bf16 = bf16 != nullptr && request->at("greedy_bf16").as_bool(),
                                   .tokens = request->at("tokens").to_number<int64_t>()});
  }
  return scores;
}

std::vector<TaskMetric> ifeval_metrics(const TaskData& task, const std::vector<std::string>& responses) {
  const models::IfevalScores scores = models::ifeval_scores(task.ifeval, responses);
  std::vector<double> strict, loose;
  for (const models::IfevalVerdicts& verdicts : scores.documents) {
    if (verdicts.strict.empty()) continue;  // a prompt of which nothing is checked counts nowhere
    strict.push_back(verdicts.all_strict() ? 1.0 : 0.0);
    loose.push_back(verdicts.all_loose() ? 1.0 : 0.0);
  }
  std::vector<TaskMetric> metrics = {
      {"prompt_level_strict_acc", scores.prompt_strict, scores.prompt_strict_error, strict},
      {"prompt_level_loose_acc", scores.prompt_loose, scores.prompt_loose_error, loose},
      {"inst_level_strict_acc", scores.instruction_strict, scores.instruction_strict_error},
      {"inst_level_loose_acc", scores.instruction_loose, scores.instruction_loose_error}};
  for (TaskMetric& metric : metrics) metric.counted = scores.prompts;
  return metrics;
}

std::vector<TaskMetric> metrics_of(const TaskData& task, const std::vector<const json::object*>& requests,
                                   models::NumericMode mode) {
  if (!task.is_generation())
    return models::task_metrics(task.spec, task.documents, scores_of(task, requests), mode);
  std::vector<std::string> responses;
  for (const json::object* request : requests) responses.emplace_back(request->at("text").as_string());
  return task.ifeval.empty() ? models::gsm8k_metrics(task.spec, task.documents, responses)
                             : ifeval_metrics(task, responses);
}

double drop_percent(const TaskMetric& base, const TaskMetric& found) {
  const double loss = is_better_when_low(base.name) ? found.value - base.value : base.value - found.value;
  return 100.0 * loss / base.value;
}

bool is_right_or_wrong(const std::vector<double>& values) {
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0.0 || value == 1.0; });
}

void add_comparison(const TaskMetric& base, const TaskMetric& found, json::object& row) {
  row["drop_percent"] = number(drop_percent(base, found));
  const bool of_logarithm = found.documents.empty();
  const auto& before = of_logarithm ? base.log_documents : base.documents;
  const auto& after = of_logarithm ? found.log_documents : found.documents;
  if (after.empty()) return;
  const models::PairedDifference difference = models::paired_bootstrap(before, after, 0, kResamples);
  row[of_logarithm ? "log_difference" : "difference"] =
      json::object{{"mean", number(difference.mean)},
                   {"stderr", number(difference.standard_error)},
                   {"low", number(difference.low)},
                   {"high", number(difference.high)}};
  if (of_logarithm || !is_right_or_wrong(before) || !is_right_or_wrong(after)) return;
  const models::McNemarTest test = models::mcnemar_test(before, after);
  row["only_dense_right"] = test.first_only;
  row["only_pruned_right"] = test.second_only;
  row["p_value"] = number(test.p_value);
}

// What the metric is of: all of the task, unless it is of some of its documents.
int64_t documents_of(const TaskData& task, const TaskMetric& metric) {
  return metric.counted > 0 ? metric.counted : std::ssize(task.documents);
}

json::object row_of(const Variant& variant, const TaskData& task, const TaskMetric& metric,
                    const StudySettings& settings) {
  json::object row{{"pattern", variant.pattern_name()},
                   {"criterion", variant.criterion_name()},
                   {"transform", variant.transform_name()},
                   {"layers", settings.layers},
                   {"projections", settings.projections},
                   {"task", task.spec.name},
                   {"metric", metric.name},
                   {"value", number(metric.value)},
                   {"stderr", number(metric.standard_error)},
                   {"documents", documents_of(task, metric)}};
  if (task.spec.form == models::TaskForm::kWindows) row["window"] = settings.window;
  return row;
}

}  // namespace

json::array measured_rows(const Variants& variants, const std::vector<TaskData>& tasks,
                          const RequestsOf& requests_of, const StudySettings& settings) {
  json::array rows;
  std::vector<std::vector<TaskMetric>> dense;
  for (const Variant& variant : variants.measured) {
    for (size_t t = 0; t < tasks.size(); ++t) {
      const auto requests = requests_of(variant, tasks[t]);
      const std::vector<TaskMetric> metrics = metrics_of(tasks[t], requests, settings.mode);
      const bool has_both = settings.mode == models::NumericMode::kBf16 && !tasks[t].is_generation();
      const std::vector<TaskMetric> in_f32 =
          has_both ? metrics_of(tasks[t], requests, models::NumericMode::kF32) : metrics;
      if (variant.is_dense()) dense.push_back(metrics);
      for (size_t m = 0; m < metrics.size(); ++m) {
        json::object row = row_of(variant, tasks[t], metrics[m], settings);
        if (has_both) row["value_f32"] = number(in_f32[m].value);
        if (variant.is_dense()) {
          row["drop_percent"] = 0.0;
        } else {
          add_comparison(dense[t][m], metrics[m], row);
        }
        rows.emplace_back(std::move(row));
      }
    }
  }
  return rows;
}

json::array mean_drops(const json::array& rows) {
  struct Drops {
    json::object row = {};
    std::string last_task = {};
    double sum = 0.0;
    int64_t tasks = 0;
  };
  std::vector<Drops> variants;
  for (const json::value& value : rows) {
    const json::object& row = value.as_object();
    const std::string pattern(row.at("pattern").as_string()), task(row.at("task").as_string());
    if (pattern == "dense") continue;
    json::object key;
    for (const char* name : {"pattern", "criterion", "transform"}) key[name] = row.at(name);
    if (variants.empty() || variants.back().row != key) variants.push_back({.row = key});
    Drops& drops = variants.back();
    const bool is_headline = drops.last_task != task;
    drops.last_task = task;
    const bool is_accuracy = !is_better_when_low(std::string(row.at("metric").as_string()));
    if (!is_headline || !is_accuracy || !row.at("drop_percent").is_double()) continue;
    drops.sum += row.at("drop_percent").as_double();
    ++drops.tasks;
  }
  json::array means;
  for (Drops& drops : variants) {
    if (drops.tasks == 0) continue;
    drops.row["tasks"] = drops.tasks;
    drops.row["mean_drop_percent"] = drops.sum / static_cast<double>(drops.tasks);
    means.emplace_back(std::move(drops.row));
  }
  return means;
}

}  // namespace orthant::launch
