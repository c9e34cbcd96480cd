// The rows of a sparsity study: what each task's metrics are of each variant, beside the dense model in the
// same run. Pure functions of records. Thread-safe.
#pragma once

#include <boost/json/array.hpp>
#include <functional>
#include <string>
#include <vector>

#include "launch/sparsity/task_data.h"
#include "launch/sparsity/variants.h"
#include "models/tasks/harness/task_metrics.h"

namespace orthant::launch {

// The requests of all documents of a task under one variant, in order: the objects of requests.jsonl.
using RequestsOf =
    std::function<std::vector<const boost::json::object*>(const Variant& variant, const TaskData& task)>;

// What rows tell of the study.
struct StudySettings {
  std::string layers = {}, projections = {};
  int64_t window = 0;                                    // tokens of one of window_perplexity
  models::NumericMode mode = models::NumericMode::kF32;  // of the scores that are compared
};

// One row a variant, task and metric: value, stderr, drop_percent (positive: worse than dense), and where a
// metric has a value a document the difference from dense with its standard error and 95 % interval (paired
// bootstrap over documents, of the logarithm where it is a perplexity), and of right and wrong answers the
// p-value of McNemar's test. Of bf16 scores also value_f32, that of the f32 ones.
[[nodiscard]] boost::json::array measured_rows(const Variants& variants, const std::vector<TaskData>& tasks,
                                               const RequestsOf& requests_of, const StudySettings& settings);

// One row a variant that is not dense: the mean over the tasks that have an accuracy of the relative drops of
// their headline metrics (activation_sparsity 9), in percent.
[[nodiscard]] boost::json::array mean_drops(const boost::json::array& rows);

}  // namespace orthant::launch
