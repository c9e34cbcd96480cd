#include "launch/sparsity/measured_rows.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cmath>
#include <map>

namespace orthant::launch {
namespace {

namespace json = boost::json;

Variant magnitude_of(const char* pattern) {
  return {.pattern = models::parse_pattern(pattern), .method = {.criterion = models::Criterion::kMagnitude}};
}

// Four questions of two choices of which the first is right, and a text of two windows.
class MeasuredRows : public ::testing::Test {
 protected:
  MeasuredRows() {
    variants_.measured = {{}, magnitude_of("2:4"), magnitude_of("8:16")};
    TaskData questions{.spec = models::find_task("piqa")};
    for (int i = 0; i < 4; ++i)
      questions.documents.push_back({.requests = {{}, {}}, .choice_characters = {1, 1}});
    TaskData text{.spec = models::find_task("window_perplexity")};
    text.documents.resize(2);
    text.windows.resize(2);
    tasks_ = {questions, text};
  }

  // `right`: which questions are answered so; `nll`: of the windows of ten tokens.
  void give(const Variant& variant, const std::vector<bool>& right, const std::vector<double>& nll) {
    json::array& answers = requests_[variant.name() + "piqa"];
    for (size_t d = 0; d < right.size(); ++d) {
      for (const double log_prob : {right[d] ? -1.0 : -3.0, -2.0})
        answers.push_back({{"doc", d}, {"log_prob", log_prob}, {"greedy", false}, {"tokens", 1}});
    }
    json::array& windows = requests_[variant.name() + "window_perplexity"];
    for (size_t d = 0; d < nll.size(); ++d)
      windows.push_back({{"doc", d}, {"log_prob", -10.0 * nll[d]}, {"greedy", false}, {"tokens", 10}});
  }

  [[nodiscard]] json::array rows(models::NumericMode mode = models::NumericMode::kF32) const {
    return measured_rows(variants_, tasks_,
                         [&](const Variant& variant, const TaskData& task) {
                           std::vector<const json::object*> found;
                           for (const json::value& request : requests_.at(variant.name() + task.spec.name))
                             found.push_back(&request.as_object());
                           return found;
                         },
                         {.layers = "0,1", .projections = "q,k", .window = 11, .mode = mode});
  }

  static json::object row_of(const json::array& rows, const std::string& pattern, const std::string& metric) {
    for (const json::value& row : rows) {
      if (row.at("pattern").as_string() == pattern && row.at("metric").as_string() == metric)
        return row.as_object();
    }
    ADD_FAILURE() << pattern << " " << metric;
    return {};
  }

  Variants variants_;
  std::vector<TaskData> tasks_;
  std::map<std::string, json::array> requests_;
};

TEST_F(MeasuredRows, StandBesideTheDenseModel) {
  give(variants_.measured[0], {true, true, true, false}, {1.0, 2.0});
  give(variants_.measured[1], {true, false, false, false}, {1.5, 2.5});
  give(variants_.measured[2], {true, true, true, true}, {1.0, 2.0});
  const json::array found = rows();
  ASSERT_EQ(found.size(), 3u * (2 + 1));  // acc, acc_norm, perplexity
  const json::object dense = row_of(found, "dense", "acc");
  EXPECT_EQ(dense.at("value").as_double(), 0.75);
  EXPECT_DOUBLE_EQ(dense.at("stderr").as_double(), 0.25);  // sqrt(3/4 / 3 / 4)
  EXPECT_EQ(dense.at("drop_percent").as_double(), 0.0);
  EXPECT_EQ(dense.at("layers").as_string(), "0,1");
  EXPECT_EQ(dense.at("projections").as_string(), "q,k");
  EXPECT_EQ(dense.at("documents").as_int64(), 4);
  EXPECT_FALSE(dense.contains("p_value"));

  const json::object pruned = row_of(found, "2:4", "acc");
  EXPECT_EQ(pruned.at("criterion").as_string(), "magnitude");
  EXPECT_EQ(pruned.at("transform").as_string(), "none");
  EXPECT_EQ(pruned.at("value").as_double(), 0.25);
  EXPECT_DOUBLE_EQ(pruned.at("drop_percent").as_double(), 100.0 * 0.5 / 0.75);
  EXPECT_EQ(pruned.at("only_dense_right").as_int64(), 2);
  EXPECT_EQ(pruned.at("only_pruned_right").as_int64(), 0);
  EXPECT_DOUBLE_EQ(pruned.at("p_value").as_double(), 0.5);  // 2 (1/2)^2
  EXPECT_DOUBLE_EQ(pruned.at("difference").at("mean").as_double(), -0.5);

  const json::object better = row_of(found, "8:16", "acc");
  EXPECT_DOUBLE_EQ(better.at("drop_percent").as_double(), -100.0 * 0.25 / 0.75);
  EXPECT_EQ(better.at("p_value").as_double(), 1.0);
}

// A perplexity is better when it is low, and its logarithm is what is compared.
TEST_F(MeasuredRows, TellARiseOfPerplexityAsADrop) {
  give(variants_.measured[0], {true, true, true, false}, {1.0, 2.0});
  give(variants_.measured[1], {true, true, true, false}, {1.5, 2.5});
  give(variants_.measured[2], {true, true, true, false}, {1.0, 2.0});
  const json::array found = rows();
  const json::object pruned = row_of(found, "2:4", "perplexity");
  EXPECT_DOUBLE_EQ(pruned.at("value").as_double(), std::exp(2.0));
  EXPECT_DOUBLE_EQ(pruned.at("drop_percent").as_double(), 100.0 * (std::exp(0.5) - 1.0));
  EXPECT_EQ(pruned.at("window").as_int64(), 11);
  EXPECT_FALSE(pruned.contains("difference"));
  EXPECT_FALSE(pruned.contains("p_value"));
  const json::object& difference = pruned.at("log_difference").as_object();
  EXPECT_DOUBLE_EQ(difference.at("mean").as_double(), 0.5);
  EXPECT_NEAR(difference.at("stderr").as_double(), 0.0, 1e-12);  // the same in every window
  EXPECT_EQ(row_of(found, "8:16", "perplexity").at("drop_percent").as_double(), 0.0);
}

TEST_F(MeasuredRows, MeanDropsAreOfAccuraciesAlone) {
  give(variants_.measured[0], {true, true, true, false}, {1.0, 2.0});
  give(variants_.measured[1], {true, false, false, false}, {1.5, 2.5});
  give(variants_.measured[2], {true, true, true, true}, {9.0, 9.0});
  TaskData again = tasks_[0];
  again.spec.name = "openbookqa";
  for (const Variant& variant : variants_.measured)
    requests_[variant.name() + "openbookqa"] = requests_.at(variants_.measured[0].name() + "piqa");
  tasks_.push_back(again);
  const json::array drops = mean_drops(rows());
  ASSERT_EQ(drops.size(), 2u);
  EXPECT_EQ(drops[0].at("pattern").as_string(), "2:4");
  EXPECT_EQ(drops[0].at("tasks").as_int64(), 2);
  EXPECT_DOUBLE_EQ(drops[0].at("mean_drop_percent").as_double(), (100.0 * 0.5 / 0.75 + 0.0) / 2.0);
  EXPECT_DOUBLE_EQ(drops[1].at("mean_drop_percent").as_double(), -100.0 * 0.25 / 0.75 / 2.0);
}

TEST_F(MeasuredRows, TellBothReadingsOfABf16Study) {
  for (const Variant& variant : variants_.measured) give(variant, {true, true, false, false}, {1.0, 2.0});
  for (auto& [name, requests] : requests_) {
    for (json::value& request : requests) {
      request.as_object()["log_prob_bf16"] = -4.0;  // every choice ties, and the first is right
      request.as_object()["greedy_bf16"] = false;
    }
  }
  const json::array found = rows(models::NumericMode::kBf16);
  const json::object answers = row_of(found, "2:4", "acc");
  EXPECT_EQ(answers.at("value").as_double(), 1.0);
  EXPECT_EQ(answers.at("value_f32").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(row_of(found, "2:4", "perplexity").at("value").as_double(), std::exp(0.4));
  EXPECT_FALSE(row_of(rows(), "2:4", "acc").contains("value_f32"));
}

// Without a document that was answered right there is no relative drop.
TEST_F(MeasuredRows, HaveNoDropFromNothing) {
  give(variants_.measured[0], {false, false, false, false}, {1.0, 2.0});
  give(variants_.measured[1], {true, false, false, false}, {1.0, 2.0});
  give(variants_.measured[2], {false, false, false, false}, {1.0, 2.0});
  const json::array found = rows();
  EXPECT_TRUE(row_of(found, "2:4", "acc").at("drop_percent").is_null());
  EXPECT_TRUE(mean_drops(found).empty());
}

}  // namespace
}  // namespace orthant::launch
